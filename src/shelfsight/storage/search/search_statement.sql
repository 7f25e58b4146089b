-- name: indexes
-- About how many rows there are (-1: never counted), and which of our indexes can be used.
SELECT reltuples::bigint, ARRAY(
  SELECT c.relname::text FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
  WHERE i.indrelid = t.oid AND i.indisvalid AND c.relname LIKE 'shelfsight\_%%')
FROM pg_class AS t WHERE t.oid = to_regclass('"ProductEmbeddings"')

-- name: by_index
-- The graph is asked with a vector that is there once the settings hold, until this transaction
-- ends: in strict order, and on until the limit is reached or too many rows were looked at.
e.{column}::halfvec({width}) <=> (
  SELECT %(query)s::halfvec({width})
  WHERE set_config('hnsw.ef_search', %(ef_search)s, true) IS NOT NULL
    AND set_config('hnsw.iterative_scan', 'strict_order', true) IS NOT NULL)

-- name: one_by_one
-- No index fits this expression: one of the shop's own might give too few.
(e.{column}::vector <=> %(query)s) + 0

-- name: count_chosen
SELECT count(*) FROM (
  SELECT FROM "ProductEmbeddings" AS e
  JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId" {join}
  WHERE {chosen} LIMIT %(most)s) AS part

-- name: search
-- The columns are those of `SearchRow`, in this order. Vectors are read only of what the parts give.
-- The table stays what it is until this transaction ends.
SELECT f.is_near, f.id::text AS id, f.product_id::text AS product_id,
  coalesce(f.title::text, '') AS title,
  left(coalesce(f.description::text, ''), 2000) AS description, f.sku::text AS sku, f.price,
  f.image_url::text AS image_url, {image_score} AS image_score, {text_score} AS text_score,
  {word_score} AS word_score, coalesce(f.is_code, false) AS is_code,
  (SELECT to_regclass('"ProductEmbeddings"')::oid::bigint) AS table_oid
FROM ({parts}) AS f {rest}

-- name: columns
v."Id" AS id, {product_id} AS product_id, {title} AS title, {description} AS description,
  {sku} AS sku, {price} AS price, e."ImageUrl" AS image_url, e."ImageEmbedding" AS image,
  e."TextEmbedding" AS text, e."ProductText" AS words, {is_code} AS is_code

-- name: price
nullif({price}::numeric, 'NaN')

-- name: price_in_words
CASE WHEN {price}::text ~ '^\s*[0-9]{{1,15}}(\.[0-9]{{1,15}})?\s*$' THEN {price}::text::numeric END

-- name: near
(SELECT true AS is_near, {columns}
FROM "ProductEmbeddings" AS e
JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId" {join}
WHERE e.{column} IS NOT NULL AND {chosen}
ORDER BY {distance}
LIMIT {limit})

-- name: named
(SELECT false AS is_near, {columns}
FROM "ProductEmbeddings" AS e
JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId" {join}
WHERE to_tsvector('simple', coalesce(e."ProductText", '')) @@ plainto_tsquery('simple', %(words)s)
  AND {chosen}
LIMIT %(named)s)

-- name: coded
(SELECT false AS is_near, {columns}
FROM "ProductVariants" AS v
JOIN "ProductEmbeddings" AS e ON e."ProductVariantId" = v."Id" {join}
WHERE {is_code} AND {chosen}
LIMIT %(named)s)

-- name: no_score
NULL::float8

-- name: image_score
1 - (f.image::vector <=> %(image)s)

-- name: centred_score
-- Whole where nothing is left but rounding, as of the only picture of a catalogue.
CASE WHEN vector_norm(r.rest) > 1e-6 THEN 1 - (r.rest <=> %(image)s)
  ELSE 1 - (f.image::vector <=> %(whole)s) END

-- name: rest
-- Apart, since a stored vector is read anew each time that it is named.
CROSS JOIN LATERAL (SELECT f.image::vector - %(mean)s AS rest OFFSET 0) AS r

-- name: text_score
1 - (f.text::vector <=> %(text)s)

-- name: word_score
(SELECT avg((lexeme = ANY(tsvector_to_array(to_tsvector('simple', coalesce(f.words, '')))))
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
