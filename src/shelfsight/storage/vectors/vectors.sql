-- name: lock_table
-- A switch to other models needs an exclusive lock on the table. So the switch waits until this
-- transaction ends.
LOCK TABLE "ProductEmbeddings" IN ROW EXCLUSIVE MODE;
SELECT to_regclass('"ProductEmbeddings"')::oid::bigint

-- name: table_oid
SELECT to_regclass('"ProductEmbeddings"')::oid::bigint

-- name: copy_new
COPY "ProductEmbeddings" ({columns}) FROM STDIN (FORMAT BINARY)

-- name: count_in_shop
SELECT count(DISTINCT "Id") FROM "ProductVariants" WHERE "Id" = ANY(%(ids)s::{id_type}[])

-- name: lock_stored
-- Rows are locked in the order of their ids, so that two pages cannot deadlock.
SELECT FROM "ProductEmbeddings"
WHERE "ProductVariantId" = ANY(%(ids)s::{id_type}[]) AND "SourceHash" IS NOT NULL
ORDER BY "ProductVariantId"
FOR UPDATE

-- name: stored_needs
-- Returns the stored vectors, and what is to be done about each of them now. This statement runs
-- after lock_stored and not as a part of it. So its snapshot includes the rows that the previous
-- holder of the locks has written.
WITH page AS (
  SELECT id, source_hash FROM unnest(%(ids)s::{id_type}[], %(hashes)s::text[]) AS x (id, source_hash)
), failures AS MATERIALIZED (
  SELECT "ProductVariantId", "Stage", "SourceHash" FROM shelfsight."EmbeddingFailures"
  WHERE "VectorSet" = %(vector_set)s AND "ProductVariantId" = ANY(%(ids)s::{id_type}[])
  ORDER BY "ProductVariantId", "Stage"
  FOR UPDATE
), failed AS (
  SELECT page.id, bool_or({image_failed}) AS image, bool_or({text_failed}) AS text
  FROM page JOIN failures AS f ON f."ProductVariantId" = page.id
  GROUP BY page.id
)
SELECT page.id::text AS id, {image_need} AS image_need, {text_need} AS text_need,
  e."ImageEmbedding"::vector AS image, e."TextEmbedding"::vector AS text
FROM page
LEFT JOIN "ProductEmbeddings" AS e
  ON e."ProductVariantId" = page.id AND e."ProductVariantId" = ANY(%(ids)s::{id_type}[])
  AND e."SourceHash" IS NOT NULL
LEFT JOIN failed ON failed.id = page.id

-- name: create_staging
CREATE TEMPORARY TABLE {table} ({columns}) ON COMMIT DROP

-- name: copy_staging
COPY {table} FROM STDIN (FORMAT BINARY)

-- name: analyze_staged
-- Without statistics Postgres assumes that the temporary table is large, and reads all products to
-- join it.
ANALYZE shelfsight_page (id)

-- name: upsert_vectors
-- If a new vector could not be made, the stored vector stays, unless it is known to be of other
-- content or of another model. The combined vector is then out of date. This is recorded by leaving
-- "fusion" out of the model versions. The conflict is also found by a unique index over all rows, if
-- the table has one: then the shop allows one row a product, and its own row is filled.
WITH staged AS (
  SELECT s.*, v."Id" AS variant_id, {product_id} AS product_id, {owner} AS owner,
    e."ImageEmbedding" IS NOT NULL AND CASE s.image_need
      WHEN 'keep' THEN true WHEN 'check' THEN {image_is_current} IS NOT FALSE ELSE false
    END AS keep_image,
    e."TextEmbedding" IS NOT NULL AND CASE s.text_need
      WHEN 'keep' THEN true WHEN 'check' THEN {text_is_current} IS NOT FALSE ELSE false
    END AS keep_text,
    e."ImageEmbedding" AS old_image, e."TextEmbedding" AS old_text,
    e."CombinedEmbedding" AS old_combined, e."ColorHistogram" AS old_color, e."ImageUrl" AS old_url, e."ImageHash" AS old_hash,
    e."ImageFiles" AS old_files, e."ProductText" AS old_product_text, e."ModelVersions" AS old_versions
  FROM shelfsight_page AS s
  JOIN "ProductVariants" AS v ON v."Id" = s.id::{id_type}
  LEFT JOIN "ProductEmbeddings" AS e
    ON e."ProductVariantId" = v."Id" AND e."SourceHash" IS NOT NULL
), page AS (
  SELECT variant_id, product_id, owner, source_hash,
    CASE WHEN keep_image THEN old_image ELSE image END AS image,
    CASE WHEN keep_text THEN old_text ELSE text END AS text,
    CASE WHEN keep_image THEN old_color ELSE color END AS color,
    coalesce(combined, CASE WHEN keep_image OR keep_text THEN old_combined END) AS combined,
    CASE WHEN keep_image THEN old_url ELSE image_url END AS image_url,
    CASE WHEN keep_image THEN old_hash ELSE image_hash END AS image_hash,
    coalesce(image_files, CASE WHEN keep_image THEN old_files END) AS image_files,
    CASE WHEN keep_text THEN old_product_text ELSE product_text END AS product_text,
    jsonb_strip_nulls(jsonb_build_object(
      'fusion', CASE WHEN keep_image AND image_need = 'check' OR keep_text AND text_need = 'check'
                     THEN NULL ELSE versions -> 'fusion' END,
      'image', CASE WHEN keep_image THEN old_versions ELSE versions END -> 'image',
      'text', CASE WHEN keep_text THEN old_versions ELSE versions END -> 'text',
      'text_fields', CASE WHEN keep_text THEN old_versions ELSE versions END -> 'text_fields'))
      AS versions
  FROM staged
), deleted AS (
  DELETE FROM "ProductEmbeddings" AS e USING page
  WHERE e."ProductVariantId" = page.variant_id AND e."SourceHash" IS NOT NULL
    AND page.image IS NULL AND page.text IS NULL AND NOT {holds_values}
), emptied AS (
  UPDATE "ProductEmbeddings" AS e SET {emptied} FROM page
  WHERE e."ProductVariantId" = page.variant_id AND e."SourceHash" <> ''
    AND page.image IS NULL AND page.text IS NULL AND {holds_values}
)
INSERT INTO "ProductEmbeddings" (
  {id_column} "ProductVariantId", "ProductId", "UserId", "ImageEmbedding", "TextEmbedding",
  "CombinedEmbedding", "ColorHistogram", "ImageUrl", "ImageHash", "ProductText", "SourceType",
  "SourceHash", "ModelVersions", "ImageFiles", "CreatedAt", "UpdatedAt")
SELECT {id_value} variant_id, product_id::{ProductId}, owner::{UserId}, image, text, combined, color,
  image_url::{ImageUrl}, image_hash::{ImageHash}, product_text::{ProductText},
  (CASE WHEN text IS NULL THEN 'image' WHEN image IS NULL THEN 'text' ELSE 'image_text' END)
    ::{SourceType},
  source_hash, versions, image_files, now(), now()
FROM page
WHERE image IS NOT NULL OR text IS NOT NULL
ON CONFLICT ("ProductVariantId") WHERE "SourceHash" IS NOT NULL DO UPDATE SET
  "ProductId" = EXCLUDED."ProductId", "UserId" = EXCLUDED."UserId",
  "ImageEmbedding" = EXCLUDED."ImageEmbedding", "TextEmbedding" = EXCLUDED."TextEmbedding",
  "CombinedEmbedding" = EXCLUDED."CombinedEmbedding",
  "ColorHistogram" = EXCLUDED."ColorHistogram", "ImageUrl" = EXCLUDED."ImageUrl",
  "ImageHash" = EXCLUDED."ImageHash", "ProductText" = EXCLUDED."ProductText",
  "SourceType" = EXCLUDED."SourceType", "SourceHash" = EXCLUDED."SourceHash",
  "ModelVersions" = EXCLUDED."ModelVersions", "ImageFiles" = EXCLUDED."ImageFiles", "UpdatedAt" = now()

-- name: update_files
-- Only the HTTP validators that the servers sent have changed, so the vectors and "UpdatedAt" stay.
UPDATE "ProductEmbeddings" AS e SET "ImageFiles" = x.files
FROM unnest(%(ids)s::{id_type}[], %(hashes)s::text[], %(files)s::jsonb[]) AS x (id, hash, files)
WHERE e."ProductVariantId" = x.id AND e."ImageEmbedding" IS NOT NULL
  AND e."SourceHash" IS NOT NULL
  AND split_part(e."SourceHash", ':', %(part)s) = split_part(x.hash, ':', %(part)s)

-- name: count_vectors
SELECT count("ImageEmbedding") AS image, count("TextEmbedding") AS text,
  count("CombinedEmbedding") AS combined
FROM "ProductEmbeddings" AS e
WHERE "SourceHash" <> '' AND EXISTS (
  SELECT FROM "ProductVariants" AS v WHERE v."Id" = e."ProductVariantId")

-- name: stored_models
SELECT "ModelVersions" ->> 'image' AS image, "ModelVersions" ->> 'text' AS text, count(*) AS rows
FROM "ProductEmbeddings"
WHERE "SourceHash" <> '' AND "ProductVariantId" IS NOT NULL
GROUP BY 1, 2

-- name: stored_models_in_shop
-- The same for the products that the shop still has.
SELECT "ModelVersions" ->> 'image' AS image, "ModelVersions" ->> 'text' AS text, count(*) AS rows
FROM "ProductEmbeddings" AS e JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId"
WHERE "SourceHash" <> ''
GROUP BY 1, 2

-- name: out_of_date
-- The next page of products whose combined vector was made with another fusion scheme.
SELECT "ProductVariantId" AS id, "ImageEmbedding"::vector AS image, "TextEmbedding"::vector AS text
FROM "ProductEmbeddings"
WHERE "ModelVersions" ->> 'fusion' IS DISTINCT FROM %(fusion)s
  AND "ModelVersions" IS NOT NULL AND "ProductVariantId" IS NOT NULL AND "SourceHash" <> ''
  AND num_nonnulls("ImageEmbedding", "TextEmbedding") > 0
  AND (%(after)s::{id_type} IS NULL OR "ProductVariantId" > %(after)s::{id_type})
  AND (%(only)s::{id_type}[] IS NULL OR "ProductVariantId" = ANY(%(only)s::{id_type}[]))
ORDER BY "ProductVariantId"
LIMIT %(limit)s
FOR UPDATE

-- name: update_combined
UPDATE "ProductEmbeddings" AS e
SET "CombinedEmbedding" = s.combined, "UpdatedAt" = now(),
    "ModelVersions" = e."ModelVersions" || jsonb_build_object('fusion', %(fusion)s::text)
FROM shelfsight_combined AS s
WHERE e."ProductVariantId" = s.id::{id_type} AND e."SourceHash" IS NOT NULL
