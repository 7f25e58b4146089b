-- name: counts
SELECT
  (SELECT count(*) FROM "ProductVariants" AS v {join} WHERE {chosen}),
  count(*), count(e."ImageEmbedding"), count(e."TextEmbedding"), count(e."CombinedEmbedding")
FROM "ProductEmbeddings" AS e
JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId" {join}
WHERE {chosen}

-- name: failed
SELECT f."Kind", count(DISTINCT f."ProductVariantId"), left(min(f."Message"), 300)
FROM "EmbeddingFailures" AS f
JOIN "ProductVariants" AS v ON v."Id" = f."ProductVariantId" {join}
WHERE {chosen}
GROUP BY f."Kind"
ORDER BY count(*) DESC, f."Kind"

-- name: sample
-- By a hash of the id: spread over the catalogue, and the same ones each time.
SELECT {columns}
FROM (
  SELECT e."ProductVariantId" AS id
  FROM "ProductEmbeddings" AS e
  JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId" {join}
  WHERE e."ImageEmbedding" IS NOT NULL AND {chosen}
  ORDER BY hashtext(e."ProductVariantId"::text), e."ProductVariantId"
  LIMIT %(limit)s) AS few
JOIN "ProductEmbeddings" AS e ON e."ProductVariantId" = few.id
JOIN "ProductVariants" AS v ON v."Id" = few.id

-- name: some
SELECT {columns}
FROM "ProductEmbeddings" AS e
JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId" {join}
WHERE e."ProductVariantId" = ANY(%(ids)s::{id_type}[]) AND e."ImageEmbedding" IS NOT NULL AND {chosen}

-- name: columns
v."Id"::text, left({title}::text, 200), e."ImageUrl"::text, e."ImageEmbedding"::vector

-- name: picture
SELECT e."ImageUrl"::text
FROM "ProductEmbeddings" AS e
JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId" {join}
WHERE e."ProductVariantId" = ANY(%(ids)s::{id_type}[]) AND {chosen}
