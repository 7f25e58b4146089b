-- name: indexes
-- The estimated row count (-1: never counted), and shelfsight's valid indexes: the name of each, and
-- the `hnsw.ef_search` that its build has written into its comment, if any. There are no indexes for
-- pgvector before 0.8, whose indexes cannot be scanned iteratively.
SELECT reltuples::bigint, (
  SELECT coalesce(jsonb_object_agg(c.relname, substring(
    obj_description(c.oid, 'pg_class') FROM 'hnsw\.ef_search ([0-9]{1,4})\y')::int), '{}')
  FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
  WHERE i.indrelid = t.oid AND i.indisvalid AND c.relname LIKE 'shelfsight\_%%'
    AND (SELECT string_to_array(substring(extversion from '^[0-9]+[.][0-9]+'), '.')::int[] >= '{0,8}' FROM pg_extension
         WHERE extname = 'vector'))
FROM pg_class AS t WHERE t.oid = to_regclass('"ProductEmbeddings"')

-- name: index_distance
-- The subquery sets pgvector's options for this transaction before it returns the query vector.
-- With them the scan of the HNSW graph goes on until the limit is reached or pgvector's own limit of
-- rows is reached. The order may be relaxed, because all rows found are scored exactly and ranked:
-- in strict order, pgvector drops a row that is nearer than one it has returned already.
e.{column}::halfvec({width}) <=> (
  SELECT %(query)s::halfvec({width})
  WHERE set_config('hnsw.ef_search', %(ef_search)s, true) IS NOT NULL
    AND set_config('hnsw.iterative_scan', 'relaxed_order', true) IS NOT NULL)

-- name: exact_distance
-- The "+ 0" has the effect that no index can be used. An HNSW index that the shop has added might
-- return too few rows. The subquery converts the query once, instead of the vector of each row.
(e.{column} <=> (SELECT %(query)s::{type})) + 0

-- name: count
SELECT count(*) FROM (
  SELECT FROM "ProductEmbeddings" AS e
  JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId" {join}
  WHERE e."SourceHash" <> '' AND {condition} LIMIT %(count_limit)s) AS passing

-- name: search
-- The columns are the fields of `SearchRow`, in the same order. Scores are computed outside the
-- sources, so that vectors are read only for the candidates. The table cannot be switched before
-- this transaction ends.
SELECT f.is_near, f.id::text AS id, f.product_id::text AS product_id,
  coalesce(f.title::text, '') AS title,
  left(coalesce(f.description::text, ''), 2000) AS description, f.sku::text AS sku, f.price,
  left(f.link::text, 2000) AS link, f.image_url::text AS image_url, {image_score} AS image_score, {text_score} AS text_score,
  {word_score} AS word_score, {color_score} AS color_score, {confirmed} AS confirmed,
  coalesce(f.is_code, false) AS is_code,
  (SELECT to_regclass('"ProductEmbeddings"')::oid::bigint) AS table_oid
FROM ({sources}) AS f {centred}

-- name: columns
v."Id" AS id, {product_id} AS product_id, {title} AS title, {description} AS description,
  {sku} AS sku, {price} AS price, {link} AS link, e."ImageUrl" AS image_url, e."ImageEmbedding" AS image,
  e."TextEmbedding" AS text, {color} AS color, e."ProductText" AS words, {is_code} AS is_code

-- name: price
nullif({price}::numeric, 'NaN')

-- name: price_in_text
CASE WHEN {price}::text ~ '^\s*[0-9]{{1,15}}(\.[0-9]{{1,15}})?\s*$' THEN {price}::text::numeric END

-- name: nearest
(SELECT true AS is_near, {columns}
FROM "ProductEmbeddings" AS e
JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId" {join}
WHERE e.{column} IS NOT NULL AND e."SourceHash" <> '' AND {condition}
ORDER BY {distance}
LIMIT {limit})

-- name: with_words
(SELECT false AS is_near, {columns}
FROM "ProductEmbeddings" AS e
JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId" {join}
WHERE to_tsvector('simple', coalesce(e."ProductText", '')) @@ plainto_tsquery('simple', %(words)s)
  AND e."SourceHash" <> '' AND {condition}
LIMIT %(word_matches)s)

-- name: with_code
(SELECT false AS is_near, {columns}
FROM "ProductVariants" AS v
JOIN "ProductEmbeddings" AS e ON e."ProductVariantId" = v."Id" {join}
WHERE {is_code} AND e."SourceHash" <> '' AND {condition}
LIMIT %(word_matches)s)

-- name: with_confirmed
-- The products of the confirmed photos that are nearest.
(SELECT false AS is_near, {columns}
FROM (
  SELECT DISTINCT near.id FROM (
    SELECT c."ProductVariantId" AS id
    FROM shelfsight."ConfirmedPhotos" AS c {restriction}
    ORDER BY {distance}
    LIMIT %(confirmed_matches)s) AS near) AS confirmed
JOIN "ProductVariants" AS v ON v."Id" = confirmed.id
JOIN "ProductEmbeddings" AS e ON e."ProductVariantId" = v."Id" {join}
WHERE e."SourceHash" <> '' AND {condition})

-- name: any_confirmed
WHERE {of_owner}

-- name: filtered_confirmed
JOIN "ProductVariants" AS v ON v."Id" = c."ProductVariantId" {join}
WHERE {of_owner} AND {condition}

-- name: confirmed_index_distance
-- Few photos are wanted, so the scan of their graph looks less far than that of the products, which
-- has ended before.
c."Vector"::halfvec(768) <=> (
  SELECT %(uncentred_image)s::halfvec(768)
  WHERE set_config('hnsw.ef_search', '20', true) IS NOT NULL
    AND set_config('hnsw.iterative_scan', 'relaxed_order', true) IS NOT NULL)

-- name: confirmed_exact_distance
(c."Vector" <=> %(uncentred_image)s) + 0

-- name: of_owner
-- Photos that were confirmed in scans of all owners' products count for each owner.
c."ImageModel" = ANY(%(image_models)s)
  AND (%(confirmed_owner)s::text IS NULL OR c."UserId" IS NULL OR c."UserId" = %(confirmed_owner)s)

-- name: confirmed_scores
-- For each photo that was confirmed to show the product: the cosine of the two photos after the mean
-- of scanned photos was subtracted, written with inner products, which are faster than a difference
-- of vectors; and whether the photo resembles the product.
(SELECT array_agg(ARRAY[
    (%(photo_offset)s::float8 - (c."Vector" <#> %(photo)s))
      / sqrt(greatest(%(mean_square)s::float8 + 1 + 2 * (c."Vector" <#> %(photo_mean)s), 1e-6)),
    c."Resembles"::int])
 FROM shelfsight."ConfirmedPhotos" AS c
 WHERE c."ProductVariantId" = f.id AND {of_owner})

-- name: no_score
NULL::float8

-- name: image_score
1 - (f.image::vector <=> %(image)s)

-- name: centred_score
-- If only rounding error is left after the mean was subtracted, as for the only picture of a
-- catalogue, the vectors are compared without subtracting the mean.
CASE WHEN vector_norm(c.image) > 1e-6 THEN 1 - (c.image <=> %(image)s)
  ELSE 1 - (f.image::vector <=> %(uncentred_image)s) END

-- name: centred
-- OFFSET 0 keeps Postgres from merging the subquery into the statement: a stored vector would then
-- be decompressed again in each place that uses it.
CROSS JOIN LATERAL (SELECT f.image::vector - %(mean)s AS image OFFSET 0) AS c

-- name: color_score
CASE WHEN vector_norm(f.color::vector - %(color_mean)s) > 1e-6
  THEN 1 - ((f.color::vector - %(color_mean)s) <=> %(color)s) END

-- name: text_score
1 - (f.text::vector <=> %(text)s)

-- name: word_score
(SELECT avg((lexeme = ANY(tsvector_to_array(to_tsvector('simple', coalesce(f.words, '')))))
            ::int)
 FROM unnest(tsvector_to_array(to_tsvector('simple', %(words)s))) AS lexeme)::float8

-- name: coverage
-- The columns are the fields of `Coverage`, in the same order.
SELECT
  EXISTS (SELECT FROM "ProductVariants" AS v {join} WHERE {condition}),
  EXISTS (
    SELECT FROM "ProductEmbeddings" AS e
    JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId" {join}
    WHERE num_nonnulls(e."ImageEmbedding", e."TextEmbedding", e."CombinedEmbedding") > 0
      AND e."SourceHash" <> '' AND {condition}),
  EXISTS (
    SELECT FROM "ProductEmbeddings" AS e
    JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId" {join}
    WHERE e."ImageEmbedding" IS NOT NULL AND e."SourceHash" <> '' AND {condition}),
  EXISTS (
    SELECT FROM "ProductEmbeddings" AS e
    JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId" {join}
    WHERE e."TextEmbedding" IS NOT NULL AND e."SourceHash" <> '' AND {condition})

-- name: vectors
SELECT e."ImageEmbedding"::vector, e."TextEmbedding"::vector, e."CombinedEmbedding"::vector
FROM "ProductEmbeddings" AS e
JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId" {join}
WHERE v."Id"::text = %(id)s AND e."SourceHash" <> '' AND {condition}
LIMIT 1

-- name: catalogue_mean
SELECT avg(stored) FROM (
  SELECT e.{column}::vector AS stored
  FROM "ProductEmbeddings" AS e
  JOIN "ProductVariants" AS v ON v."Id" = e."ProductVariantId" {join}
  WHERE e.{column} IS NOT NULL AND e."SourceHash" <> '' AND {condition}
  LIMIT %(limit)s) AS sampled

-- name: scans_mean
SELECT "Mean", "Count" FROM shelfsight."ScanMeans" WHERE "UserId" = %(owner)s AND "Model" = %(model)s

-- name: learn
-- Updates the running mean. After %(window)s scans it is an exponential moving average.
INSERT INTO shelfsight."ScanMeans" AS m ("UserId", "Model", "Mean", "Count")
VALUES (%(owner)s, %(model)s, %(vector)s, 1)
ON CONFLICT ("UserId", "Model") DO UPDATE
SET "Mean" = m."Mean" + (EXCLUDED."Mean" - m."Mean")
      * array_fill((1.0 / (m."Count" + 1))::real, ARRAY[vector_dims(m."Mean")])::vector,
    "Count" = least(m."Count" + 1, %(window)s), "UpdatedAt" = now()
RETURNING "Mean", "Count"
