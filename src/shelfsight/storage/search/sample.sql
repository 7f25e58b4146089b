-- name: counts
SELECT
  (SELECT count(*) FROM "ProductVariants" AS v {join} WHERE {condition}) AS products,
  count(*) AS embedded, count(e."ImageEmbedding") AS image, count(e."TextEmbedding") AS text,
  count(e."CombinedEmbedding") AS combined
FROM "ProductEmbeddings" AS e
JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId" {join}
WHERE e."SourceHash" <> '' AND {condition}

-- name: failed
SELECT f."Kind" AS kind, count(DISTINCT f."ProductVariantId") AS products,
  left(min(f."Message"), 300) AS example
FROM shelfsight."EmbeddingFailures" AS f
JOIN "ProductVariants" AS v ON v."Id" = f."ProductVariantId" {join}
WHERE f."VectorSet" = 'in_use' AND {condition}
GROUP BY f."Kind"
ORDER BY count(*) DESC, f."Kind"

-- name: sample
-- The order is that of a hash of the id. So the sample is spread over the whole catalogue, and it
-- is the same each time.
SELECT {columns}
FROM (
  SELECT e."ProductVariantId" AS id
  FROM "ProductEmbeddings" AS e
  JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId" {join}
  WHERE e."ImageEmbedding" IS NOT NULL AND e."SourceHash" <> '' AND {condition}
  ORDER BY hashtext(e."ProductVariantId"::text), e."ProductVariantId"
  LIMIT %(limit)s) AS sampled
JOIN "ProductEmbeddings" AS e
  ON e."ProductVariantId" = sampled.id AND e."SourceHash" IS NOT NULL
JOIN "ProductVariants" AS v ON v."Id" = sampled.id

-- name: by_ids
SELECT {columns}
FROM "ProductEmbeddings" AS e
JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId" {join}
WHERE e."ProductVariantId" = ANY(%(ids)s::{id_type}[]) AND e."ImageEmbedding" IS NOT NULL
  AND e."SourceHash" <> '' AND {condition}

-- name: variants
SELECT v."Id"::text AS id, v."ProductId"::text AS product_id, {sku}::text AS sku,
  {price} AS price, {options} AS options
FROM "ProductVariants" AS v {join}
WHERE v."ProductId" = ANY(%(products)s::{product_id_type}[]) AND {condition}
ORDER BY v."ProductId", {sku}, v."Id"
LIMIT %(limit)s

-- name: columns
v."Id"::text AS id, left({title}::text, 200) AS title, e."ImageUrl"::text AS image_url,
  e."ImageEmbedding"::vector AS vector

-- name: image_url
SELECT e."ImageUrl"::text AS image_url
FROM "ProductEmbeddings" AS e
JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId" {join}
WHERE e."ProductVariantId" = ANY(%(ids)s::{id_type}[]) AND e."SourceHash" <> '' AND {condition}
