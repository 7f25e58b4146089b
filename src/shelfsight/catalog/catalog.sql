-- name: source
-- A window of products in the order of their ids (keyset pagination), with their pictures and a
-- hash of the content that their vectors depend on. In the hash, the part before the colon is of
-- the text as it is stored, the part after it is of the picture addresses. `due` compares these
-- products with the stored rows, and has only the products that are due.
WITH span AS MATERIALIZED (
  SELECT "Id", {product_id} AS product_id, {chosen_image} AS chosen_image,
         {title} AS title, {description} AS description,
         {own_category} AS category, {options} AS options, {own_brand} AS brand
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
         (array_agg(btrim(i."ImageUrl") ORDER BY {is_other} {position}, i."Id"))[1:%(images)s] AS urls
  FROM "ProductImages" AS i JOIN span ON span."Id" = i."ProductVariantId"
  WHERE btrim(i."ImageUrl") <> '' AND i."ProductVariantId" {within}
  GROUP BY i."ProductVariantId"
), content AS (
  SELECT span."Id" AS id, product_id, title, description, {category} AS category, options,
         {brand} AS brand, urls, coalesce(array_to_json(urls)::text, '') AS addresses
  FROM span LEFT JOIN pictures ON pictures.id = span."Id" {product_join}
), source AS MATERIALIZED (
  SELECT id, product_id, title, description, category, options, brand,
         coalesce(urls, '{{}}') AS urls,
         btrim(title || description || category || options || brand, E' \t\r\n') <> '' AS has_text,
         left(encode(sha256(convert_to(
           length(title) || ' ' || title || description || {further_text}, 'UTF8')), 'hex'), 32)
         || ':' || CASE WHEN strpos(addresses, '?') = 0
           THEN left(encode(sha256(convert_to(addresses, 'UTF8')), 'hex'), 32)
           ELSE {image_hash} END AS hash
  FROM content
), failed AS (
  SELECT id, bool_or(is_whole) AS tried, bool_or(is_image) AS image, bool_or(is_text) AS text,
         bool_or(is_image AND image_again) AS image_again,
         bool_or(is_text AND text_again) AS text_again
  FROM (
    SELECT source.id, f."SourceHash" = source.hash AS is_whole,
           {image_failed} AS is_image, {text_failed} AS is_text,
           {image_again} AS image_again, {text_again} AS text_again
    FROM source JOIN shelfsight."EmbeddingFailures" AS f ON f."ProductVariantId" = source.id
    WHERE f."VectorSet" = %(vector_set)s AND f."ProductVariantId" {within}) AS f
  GROUP BY id
), due AS (
  SELECT source.*, e."ProductVariantId" IS NULL AS is_new,
         {stored_image} AS stored_image, {stored_text} AS stored_text,
         e."ImageEmbedding" IS NOT NULL AND cardinality(source.urls) = 0 AS loses_image,
         e."TextEmbedding" IS NOT NULL AND NOT source.has_text AS loses_text,
         e."CombinedEmbedding" IS NOT NULL AND cardinality(source.urls) = 0
           AND NOT source.has_text AS loses_combined,
         need.image AS image_need, need.text AS text_need,
         CASE WHEN need.image = 'check' THEN {files} END AS files
  FROM source
  LEFT JOIN "ProductEmbeddings" AS e
    ON e."ProductVariantId" = source.id AND e."ProductVariantId" {within}
    AND e."SourceHash" IS NOT NULL
  LEFT JOIN failed ON failed.id = source.id
  CROSS JOIN LATERAL (SELECT {image_need} AS image, {text_need} AS text) AS need
  WHERE {due}
)

-- name: is_other
-- The picture that the variant names as its own comes before the others.
i."Id"::text IS DISTINCT FROM span.chosen_image,

-- name: further_text
-- A part of the text besides title and description. Products without it have the hash that they had
-- before there were such parts.
CASE WHEN {part} = '' THEN '' ELSE E'\n' || {name} || ' ' || length({part}) || ' ' || {part} END

-- name: language
-- The language in which texts in several languages are embedded; the default is not in the hash.
CASE WHEN title || description || category || options || brand ~ '[{{\[]'
     THEN E'\nlanguage ' || {language} ELSE '' END

-- name: image_hash
-- The parameters of an address that may change without another picture are not hashed. Earlier
-- releases hashed whole addresses: such a hash counts as long as the row has it.
(SELECT CASE WHEN EXISTS (
     SELECT FROM "ProductEmbeddings" AS e
     WHERE e."ProductVariantId" = content.id AND e."SourceHash" IS NOT NULL
       AND split_part(e."SourceHash", ':', 2) = whole.hash)
   THEN whole.hash ELSE left(encode(sha256(convert_to(lasting.addresses, 'UTF8')), 'hex'), 32) END
 FROM (SELECT left(encode(sha256(convert_to(content.addresses, 'UTF8')), 'hex'), 32) AS hash) AS whole
 CROSS JOIN (SELECT array_to_json(ARRAY(
     SELECT path || CASE WHEN shorter = query THEN query
                         ELSE regexp_replace(shorter, %(last_separator)s, '') END
     FROM unnest(content.urls) WITH ORDINALITY AS one (url, number)
     CROSS JOIN LATERAL split_part(url, '?', 1) AS path
     CROSS JOIN LATERAL substr(url, length(path) + 1) AS query
     CROSS JOIN LATERAL regexp_replace(query, %(parameters)s, '', 'gi') AS shorter
     ORDER BY number))::text AS addresses) AS lasting)

-- name: stored_text_fields
-- What the stored texts were made of. Rows that do not say were made of title and description, or
-- have nothing else.
SELECT coalesce(fields, '') AS fields
FROM (
  SELECT "ModelVersions" ->> 'text_fields' AS fields FROM "ProductEmbeddings"
  WHERE "TextEmbedding" IS NOT NULL AND "SourceHash" <> '' AND "ProductVariantId" IS NOT NULL
) AS stored
GROUP BY fields
ORDER BY stored.fields IS NULL, count(*) DESC
LIMIT 1

-- name: product_join
LEFT JOIN "Products" AS product ON product."Id"{cast} = span.product_id{cast}
-- name: stored
CASE WHEN e.{vector} IS NULL THEN 'none' WHEN {is_current} THEN 'current' ELSE 'stale' END

-- name: within
-- The joins imply this condition already. Because it is written out, Postgres can read a range of
-- each index instead of whole tables.
BETWEEN (SELECT first FROM bounds) AND (SELECT last FROM bounds)

-- name: among
-- The chosen ids may be far apart, so a range would read nearly all that lies between them.
= ANY(%(variant)s::{id_type}[])

-- name: may_check
-- Without picture addresses there is nothing that a stored image could be checked against.
(cardinality(source.urls) > 0 AND {is_wanted} IS TRUE)

-- name: files
-- The picture files that the stored image was made from, by address. In rows that older versions
-- wrote, only the hash of the first file is known.
coalesce(e."ImageFiles", (
  SELECT jsonb_object_agg(url, jsonb_build_object('hash',
    CASE WHEN url = e."ImageUrl"::text THEN coalesce(e."ImageHash"::text, '') ELSE '' END))
  FROM unnest(source.urls) AS url))

-- name: due_check
-- The stored image is current. With `refetch` its pictures are requested again, so the product is
-- due.
(cardinality(source.urls) > 0 AND {is_current})

-- name: due_changed
-- The product is new, or what is stored was made from other content; or its present content has
-- failed and may be tried again now; or it has content without a vector, and no failure of this
-- content explains why.
CASE WHEN e."ProductVariantId" IS NULL THEN failed.tried IS NOT TRUE
     ELSE e."SourceHash" IS DISTINCT FROM source.hash END
OR failed.image_again OR failed.text_again
OR (cardinality(source.urls) > 0 AND failed.image IS NOT TRUE AND {image_is_made} IS NOT TRUE)
OR (source.has_text AND failed.text IS NOT TRUE AND {text_is_made} IS NOT TRUE)

-- name: again_when_due
-- A failure is tried again when its next attempt is due, and when it was caused by settings and has
-- not been tried yet with those in use. A failure without a next attempt waits for changed content.
(coalesce(f."NextAttemptAt" <= now(), false)
 OR cardinality(f."Settings") > 0 AND %(settings)s::text[] IS NOT NULL AND NOT EXISTS (
   SELECT FROM unnest(f."Settings") AS tried
   WHERE string_to_array(tried, ' ') <@ %(settings)s::text[]))

-- name: again_now
-- Every failure is tried again, except where there is nothing to embed.
(f."Kind" NOT IN ('no_content', 'empty_text'))

-- name: has_failed
-- The product has a recorded failure. If kinds or hosts are given, the failure has one of these
-- kinds and is at one of these hosts. A host may be given without its port.
"Id" IN (
  SELECT f."ProductVariantId" FROM shelfsight."EmbeddingFailures" AS f
  WHERE f."VectorSet" = %(vector_set)s AND f."Kind" NOT IN ('no_content', 'empty_text')
    AND (cardinality(%(kinds)s::text[]) = 0 OR f."Kind" = ANY(%(kinds)s::text[]))
    AND (cardinality(%(hosts)s::text[]) = 0
         OR %(hosts)s::text[] && ARRAY[f."Host", regexp_replace(f."Host", ':\d+$', '')]))

-- name: due_missing_image
(e."ImageEmbedding" IS NULL AND cardinality(source.urls) > 0)

-- name: due_missing_text
(e."TextEmbedding" IS NULL AND source.has_text)

-- name: due_missing_combined
(e."CombinedEmbedding" IS NULL AND (cardinality(source.urls) > 0 OR source.has_text))

-- name: window
-- The products of a window that are due. If a description is too long, pictures inside it (data
-- URLs) are removed, so that the words after them are not cut off.
{source}
SELECT bounds.size, bounds.last::text AS last, due.id::text AS id,
       due.product_id::text AS product_id, {owner_of_due} AS owner,
       left(due.title, {text_limit}) AS title,
       CASE WHEN length(due.description) <= {text_limit} THEN due.description
            ELSE left(regexp_replace(due.description, 'data:image/[^"''<>)\s]*', '', 'g'),
                      {text_limit}) END AS description,
       left(due.category, {text_limit}) AS category, left(due.options, {text_limit}) AS options,
       left(due.brand, {text_limit}) AS brand, due.has_text,
       ARRAY(SELECT left(url, {address_limit}) FROM unnest(due.urls) WITH ORDINALITY AS one (url, number)
             ORDER BY number) AS urls, due.hash, due.is_new, due.image_need, due.text_need,
       due.stored_image, due.stored_text, due.files
FROM bounds LEFT JOIN due ON true
ORDER BY due.id

-- name: owner_of_due
-- Only due products are asked for their owners: a view may have to gather several.
(SELECT v."UserId"::text FROM "ProductVariants" AS v WHERE v."Id" = due.id)

-- name: count
-- The number of products of a window that are due, by the content that they have.
{source}
SELECT bounds.size, bounds.last::text AS last, count(due.id) AS products,
       count(due.id) FILTER (WHERE cardinality(due.urls) > 0) AS with_picture,
       count(due.id) FILTER (WHERE due.has_text) AS with_text,
       count(due.id) FILTER (WHERE cardinality(due.urls) = 0 AND NOT due.has_text) AS with_neither,
       count(due.id) FILTER (WHERE due.image_need = 'check') AS with_image,
       count(due.id) FILTER (WHERE due.loses_image) AS lost_image,
       count(due.id) FILTER (WHERE due.loses_text) AS lost_text,
       count(due.id) FILTER (WHERE due.loses_combined) AS lost_combined
FROM bounds LEFT JOIN due ON true
GROUP BY bounds.size, bounds.last

-- name: partition
-- The number of products of a window that are due, the last id of each range that ends in the
-- window, and the ids of all due products if they are few. `before` is the number of products that
-- were due in earlier windows.
{source}
SELECT bounds.size, bounds.last::text AS last, (SELECT count(*) FROM due) AS products, ARRAY(
  SELECT id::text
  FROM (SELECT id, %(before)s + row_number() OVER (ORDER BY id) AS number FROM due) AS numbered
  WHERE (number %% %(range)s = 0 AND number <= coalesce(%(limit)s, number)) OR number = %(limit)s
  ORDER BY number) AS range_ends,
  ARRAY(SELECT due.id::text FROM due WHERE (SELECT count(*) FROM due) <= %(few)s ORDER BY due.id) AS ids,
  (SELECT count(*) FROM due WHERE loses_image) AS lost_image,
  (SELECT count(*) FROM due WHERE loses_text) AS lost_text,
  (SELECT count(*) FROM due WHERE loses_combined) AS lost_combined
FROM bounds

-- name: window_end
-- The last of the next `size` ids; no row if fewer are left.
SELECT v."Id"::text AS last FROM "ProductVariants" AS v
WHERE v."Id" IS NOT NULL AND (%(after)s::{id_type} IS NULL OR v."Id" > %(after)s::{id_type})
  AND (%(last)s::{id_type} IS NULL OR v."Id" <= %(last)s::{id_type})
ORDER BY v."Id"
OFFSET %(size)s - 1
LIMIT 1

-- name: limit_time
-- Lowers the time limit of the statements that follow in this transaction. 0 means no limit.
SELECT set_config('statement_timeout', least(nullif(setting::bigint, 0), %(milliseconds)s)::text, true)
FROM pg_settings WHERE name = 'statement_timeout'
