-- name: counts
SELECT
  (SELECT count(*) FROM "ProductVariants" AS v {join} WHERE {chosen}) AS products,
  count(*) AS embedded, count(e."ImageEmbedding") AS image, count(e."TextEmbedding") AS text,
  count(e."CombinedEmbedding") AS combined
FROM "ProductEmbeddings" AS e
JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId" {join}
WHERE {chosen}

-- name: failed
SELECT f."Kind" AS kind, count(DISTINCT f."ProductVariantId") AS products,
  left(min(f."Message"), 300) AS example
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
v."Id"::text AS id, left({title}::text, 200) AS title, e."ImageUrl"::text AS image_url,
  e."ImageEmbedding"::vector AS vector

-- name: picture
SELECT e."ImageUrl"::text AS image_url
FROM "ProductEmbeddings" AS e
JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId" {join}
WHERE e."ProductVariantId" = ANY(%(ids)s::{id_type}[]) AND {chosen}
