-- name: are_in_shop
-- Whether the shop has each of these products.
SELECT count(DISTINCT "Id") = %(wanted)s FROM "ProductVariants" WHERE "Id" = ANY(%(ids)s::{id_type}[])

-- name: count
-- The next window of ids: how many rows it has and its last id; the stored vectors of each kind, and
-- those of products that the shop has deleted.
WITH span AS MATERIALIZED (
  SELECT "ProductVariantId" AS id, "ImageEmbedding" IS NOT NULL AS image,
    "TextEmbedding" IS NOT NULL AS text, "CombinedEmbedding" IS NOT NULL AS combined
  FROM "ProductEmbeddings"
  WHERE "ProductVariantId" IS NOT NULL AND "SourceHash" IS NOT NULL
    AND (%(after)s::{id_type} IS NULL OR "ProductVariantId" > %(after)s::{id_type})
  ORDER BY "ProductVariantId"
  LIMIT %(window)s
), found AS (
  SELECT span.*, NOT EXISTS (
    SELECT FROM "ProductVariants" AS v WHERE v."Id" = span.id) AS is_gone
  FROM span
)
SELECT count(*) AS size, (SELECT id::text FROM span ORDER BY span.id DESC LIMIT 1) AS last,
  count(*) FILTER (WHERE image) AS image, count(*) FILTER (WHERE text) AS text,
  count(*) FILTER (WHERE combined) AS combined,
  count(*) FILTER (WHERE image AND is_gone) AS gone_image,
  count(*) FILTER (WHERE text AND is_gone) AS gone_text,
  count(*) FILTER (WHERE combined AND is_gone) AS gone_combined
FROM found
