-- name: indexes
-- Which of our indexes can be used, and about how many rows there are (-1: never counted).
-- They are used in strict order, and on through the graph until the limit is reached or too many
-- rows were looked at.
SELECT set_config('hnsw.ef_search', %(ef_search)s, true),
  set_config('hnsw.iterative_scan', 'strict_order', true), reltuples::bigint, ARRAY(
  SELECT c.relname::text FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
  WHERE i.indrelid = t.oid AND i.indisvalid AND c.relname LIKE 'shelfsight\_%%')
FROM pg_class AS t WHERE t.oid = to_regclass('"ProductEmbeddings"')

-- name: by_index
e.{column}::halfvec({width}) <=> %(query)s::halfvec({width})

-- name: one_by_one
-- No index fits this expression: one of the shop's own might give too few.
(e.{column}::vector <=> %(query)s) + 0

-- name: count_chosen
SELECT count(*) FROM (
  SELECT FROM "ProductEmbeddings" AS e
  JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId" {join}
  WHERE {chosen} LIMIT %(most)s) AS part

-- name: near
SELECT e."ProductVariantId"
FROM "ProductEmbeddings" AS e
JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId" {join}
WHERE e.{column} IS NOT NULL AND {chosen}
ORDER BY {distance}
LIMIT %(limit)s

-- name: named
SELECT e."ProductVariantId"
FROM "ProductEmbeddings" AS e
JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId" {join}
WHERE to_tsvector('simple', coalesce(e."ProductText", '')) @@ plainto_tsquery('simple', %(words)s)
  AND {chosen}
LIMIT %(limit)s

-- name: coded
SELECT e."ProductVariantId"
FROM "ProductVariants" AS v
JOIN "ProductEmbeddings" AS e ON e."ProductVariantId" = v."Id" {join}
WHERE {is_code} AND {chosen}
LIMIT %(limit)s

-- name: score
SELECT v."Id"::text, {product_id}::text, coalesce({title}::text, ''),
  left(coalesce({description}::text, ''), 2000), {sku}::text, {price}::numeric,
  e."ImageUrl", {image_score}, {text_score}, {word_score}, coalesce({is_code}, false)
FROM "ProductEmbeddings" AS e
JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId" {join}
WHERE e."ProductVariantId" = ANY(%(ids)s) AND {chosen}

-- name: no_score
NULL::float8

-- name: image_score
1 - (e."ImageEmbedding"::vector <=> %(image)s)

-- name: centred_score
1 - ((e."ImageEmbedding"::vector - %(mean)s) <=> %(image)s)

-- name: text_score
1 - (e."TextEmbedding"::vector <=> %(text)s)

-- name: word_score
(SELECT avg((lexeme = ANY(tsvector_to_array(to_tsvector('simple', coalesce(e."ProductText", '')))))
            ::int)
 FROM unnest(tsvector_to_array(to_tsvector('simple', %(words)s))) AS lexeme)::float8

-- name: any
SELECT FROM "ProductEmbeddings" AS e
JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId" {join}
WHERE {chosen} LIMIT 1

-- name: vectors
SELECT e."ImageEmbedding"::vector, e."TextEmbedding"::vector, e."CombinedEmbedding"::vector
FROM "ProductEmbeddings" AS e
JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId" {join}
WHERE v."Id"::text = %(id)s AND {chosen}
LIMIT 1

-- name: catalogue_mean
SELECT avg(image) FROM (
  SELECT e."ImageEmbedding"::vector AS image
  FROM "ProductEmbeddings" AS e
  JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId" {join}
  WHERE e."ImageEmbedding" IS NOT NULL AND {chosen}
  LIMIT %(limit)s) AS part

-- name: scans_mean
SELECT "Mean", "Count" FROM "ScanMeans" WHERE "UserId" = %(owner)s AND "Model" = %(model)s

-- name: learn
-- The running mean; past %(remembered)s scans the oldest are forgotten, exponentially.
INSERT INTO "ScanMeans" AS m ("UserId", "Model", "Mean", "Count")
VALUES (%(owner)s, %(model)s, %(image)s, 1)
ON CONFLICT ("UserId", "Model") DO UPDATE
SET "Mean" = m."Mean" + (EXCLUDED."Mean" - m."Mean")
      * array_fill((1.0 / (m."Count" + 1))::real, ARRAY[vector_dims(m."Mean")])::vector,
    "Count" = least(m."Count" + 1, %(remembered)s), "UpdatedAt" = now()
RETURNING "Mean", "Count"
