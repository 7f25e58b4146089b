-- name: source
-- A window of products in order of their ids, their pictures, and the hash of what their vectors
-- depend on: title and description before the colon, picture addresses behind it.
WITH span AS MATERIALIZED (
  SELECT "Id", {product_id} AS product_id, {owner} AS owner,
         {title} AS title, {description} AS description
  FROM "ProductVariants"
  WHERE "Id" IS NOT NULL AND (%(after)s::{id_type} IS NULL OR "Id" > %(after)s::{id_type})
    AND (%(last)s::{id_type} IS NULL OR "Id" <= %(last)s::{id_type})
    AND {selected}
  ORDER BY "Id"
  LIMIT %(window)s
), bounds AS (
  SELECT count(*) AS size, (SELECT "Id" FROM span ORDER BY "Id" LIMIT 1) AS first,
         (SELECT "Id" FROM span ORDER BY "Id" DESC LIMIT 1) AS last
  FROM span
), pictures AS (
  SELECT i."ProductVariantId" AS id,
         (array_agg(btrim(i."ImageUrl") ORDER BY {position}, i."Id"))[1:%(images)s] AS urls
  FROM "ProductImages" AS i JOIN span ON span."Id" = i."ProductVariantId"
  WHERE btrim(i."ImageUrl") <> '' AND i."ProductVariantId" {within}
  GROUP BY i."ProductVariantId"
), source AS MATERIALIZED (
  SELECT span."Id" AS id, product_id, owner, title, description, coalesce(urls, '{{}}') AS urls,
         left(encode(sha256(convert_to(length(title) || ' ' || title || description, 'UTF8')), 'hex'), 32)
         || ':' ||
         left(encode(sha256(convert_to(coalesce(array_to_json(urls)::text, ''), 'UTF8')), 'hex'), 32) AS hash
  FROM span LEFT JOIN pictures ON pictures.id = span."Id"
), failed AS (
  SELECT id, bool_or(of_all) AS tried, bool_or(of_image) AS image, bool_or(of_text) AS text,
         bool_or(of_image AND image_again) AS image_again,
         bool_or(of_text AND text_again) AS text_again
  FROM (
    SELECT source.id, f."SourceHash" = source.hash AS of_all,
           {image_failed} AS of_image, {text_failed} AS of_text,
           {image_again} AS image_again, {text_again} AS text_again
    FROM source JOIN "EmbeddingFailures" AS f ON f."ProductVariantId" = source.id
    WHERE f."ProductVariantId" {within}) AS f
  GROUP BY id
), due AS (
  SELECT source.*, e."ProductVariantId" IS NULL AS is_new,
         need.image AS image_need, need.text AS text_need,
         CASE WHEN need.image = 'check' THEN {files} END AS files
  FROM source
  LEFT JOIN "ProductEmbeddings" AS e
    ON e."ProductVariantId" = source.id AND e."ProductVariantId" {within}
  LEFT JOIN failed ON failed.id = source.id
  CROSS JOIN LATERAL (SELECT {image_need} AS image, {text_need} AS text) AS need
  WHERE {due}
)

-- name: within
-- Says what the joins imply, so that Postgres reads a range of each index, not the whole tables.
BETWEEN (SELECT first FROM bounds) AND (SELECT last FROM bounds)

-- name: may_check
-- A stored image can be checked if there are pictures to ask for.
(cardinality(source.urls) > 0 AND {is_wanted} IS TRUE)

-- name: files
-- The files that the stored image was made of, by address. Rows written by older versions know the
-- hash of the first file only.
coalesce(e."ImageFiles", (
  SELECT jsonb_object_agg(url, jsonb_build_object('hash',
    CASE WHEN url = e."ImageUrl"::text THEN coalesce(e."ImageHash"::text, '') ELSE '' END))
  FROM unnest(source.urls) AS url))

-- name: due_check
-- The stored image is current, so its pictures are asked for again.
(cardinality(source.urls) > 0 AND {is_current})

-- name: due_changed
-- New or changed since it was last tried; or something of that very content failed then, and may
-- be tried again.
(e."SourceHash" IS DISTINCT FROM source.hash AND failed.tried IS NOT TRUE)
OR failed.image_again OR failed.text_again

-- name: again_later
coalesce(f."NextAttemptAt" <= now(), false)

-- name: again_now
(f."Kind" <> 'no_content')

-- name: has_failed
-- A host may be given with its port or without.
"Id" IN (
  SELECT f."ProductVariantId" FROM "EmbeddingFailures" AS f
  WHERE f."Kind" <> 'no_content'
    AND (cardinality(%(kinds)s::text[]) = 0 OR f."Kind" = ANY(%(kinds)s::text[]))
    AND (cardinality(%(hosts)s::text[]) = 0
         OR %(hosts)s::text[] && ARRAY[f."Host", regexp_replace(f."Host", ':\d+$', '')]))

-- name: due_missing_image
(e."ImageEmbedding" IS NULL AND cardinality(source.urls) > 0)

-- name: due_missing_text
(e."TextEmbedding" IS NULL AND btrim(title || description, E' \t\r\n') <> '')

-- name: due_missing_combined
(e."CombinedEmbedding" IS NULL
 AND (cardinality(source.urls) > 0 OR btrim(title || description, E' \t\r\n') <> ''))

-- name: window
-- Pictures within a long description are left out, so that the words after them are not cut off.
{source}
SELECT bounds.size, bounds.last::text AS last, due.id::text AS id,
       due.product_id::text AS product_id, due.owner::text AS owner,
       left(due.title, {text_limit}) AS title,
       CASE WHEN length(due.description) <= {text_limit} THEN due.description
            ELSE left(regexp_replace(due.description, 'data:image/[^"''<>)\s]*', '', 'g'),
                      {text_limit}) END AS description,
       due.urls, due.hash, due.is_new, due.image_need, due.text_need, due.files
FROM bounds LEFT JOIN due ON true
ORDER BY due.id

-- name: count
{source}
SELECT bounds.size, bounds.last::text AS last, count(due.id) AS products,
       count(due.id) FILTER (WHERE cardinality(due.urls) > 0) AS with_picture,
       count(due.id) FILTER (WHERE btrim(due.title || due.description, E' \t\r\n') <> '')
         AS with_text,
       count(due.id) FILTER (WHERE cardinality(due.urls) = 0
                             AND btrim(due.title || due.description, E' \t\r\n') = '')
         AS with_neither,
       count(due.id) FILTER (WHERE due.image_need = 'check') AS with_image
FROM bounds LEFT JOIN due ON true
GROUP BY bounds.size, bounds.last

-- name: partition
-- How many products are due, the last ids of the ranges that end in this window, and all ids if
-- there are few.
{source}
SELECT bounds.size, bounds.last::text AS last, (SELECT count(*) FROM due) AS products, ARRAY(
  SELECT id::text
  FROM (SELECT id, %(before)s + row_number() OVER (ORDER BY id) AS number FROM due) AS numbered
  WHERE (number %% %(range)s = 0 AND number <= coalesce(%(limit)s, number)) OR number = %(limit)s
  ORDER BY number) AS range_ends,
  ARRAY(SELECT id::text FROM due WHERE (SELECT count(*) FROM due) <= %(few)s ORDER BY id) AS ids
FROM bounds
