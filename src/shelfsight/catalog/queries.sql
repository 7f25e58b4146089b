-- name: source
-- A window of products in order of their ids, their pictures, and the hash of what their vectors
-- depend on: title and description before the colon, picture addresses behind it.
WITH span AS MATERIALIZED (
  SELECT "Id", {product_id} AS product_id, {owner} AS owner,
         {title} AS title, {description} AS description
  FROM "ProductVariants"
  WHERE (%(after)s::{id_type} IS NULL OR "Id" > %(after)s::{id_type}) AND {chosen}
  ORDER BY "Id"
  LIMIT %(window)s
), bounds AS (
  SELECT count(*) AS size, (SELECT "Id" FROM span ORDER BY "Id" DESC LIMIT 1)::text AS last
  FROM span
), pictures AS (
  SELECT i."ProductVariantId" AS id,
         (array_agg(btrim(i."ImageUrl") ORDER BY {position}, i."Id"))[1:%(images)s] AS urls
  FROM "ProductImages" AS i JOIN span ON span."Id" = i."ProductVariantId"
  WHERE btrim(i."ImageUrl") <> ''
  GROUP BY i."ProductVariantId"
), source AS (
  SELECT span."Id" AS id, product_id, owner, title, description, coalesce(urls, '{{}}') AS urls,
         left(encode(sha256(convert_to(title || E'\x1f' || description, 'UTF8')), 'hex'), 32)
         || ':' ||
         left(encode(sha256(convert_to(coalesce(array_to_string(urls, E'\x1f'), ''), 'UTF8')), 'hex'), 32) AS hash
  FROM span LEFT JOIN pictures ON pictures.id = span."Id"
), due AS (
  SELECT source.*
  FROM source
  LEFT JOIN "ProductEmbeddings" AS e ON e."ProductVariantId" = source.id
  WHERE {due}
)

-- name: due_changed
-- New or changed since it was embedded, unless that very content failed and has to wait; or
-- embedded in part, and what failed may be tried again.
CASE WHEN e."SourceHash" IS NOT DISTINCT FROM source.hash
  THEN EXISTS (SELECT FROM "EmbeddingFailures" AS f WHERE f."ProductVariantId" = source.id
               AND f."SourceHash" = source.hash AND {again})
  ELSE NOT EXISTS (SELECT FROM "EmbeddingFailures" AS f WHERE f."ProductVariantId" = source.id
                   AND f."SourceHash" = source.hash AND NOT {again})
END

-- name: again_later
coalesce(f."NextAttemptAt" <= now(), false)

-- name: again_now
(f."Kind" <> 'no_content')

-- name: due_missing_image
(e."ImageEmbedding" IS NULL AND cardinality(source.urls) > 0)

-- name: due_missing_text
(e."TextEmbedding" IS NULL AND btrim(title || description, E' \t\r\n') <> '')

-- name: due_missing_combined
(e."CombinedEmbedding" IS NULL
 AND (cardinality(source.urls) > 0 OR btrim(title || description, E' \t\r\n') <> ''))

-- name: window
{source}
SELECT bounds.size, bounds.last, due.id::text, due.product_id::text, due.owner::text, due.title,
       left(due.description, {text_limit}), due.urls, due.hash
FROM bounds LEFT JOIN due ON true
ORDER BY due.id

-- name: count
{source}
SELECT bounds.size, bounds.last, count(due.id),
       count(due.id) FILTER (WHERE cardinality(due.urls) > 0),
       count(due.id) FILTER (WHERE btrim(due.title || due.description, E' \t\r\n') <> ''),
       count(due.id) FILTER (WHERE cardinality(due.urls) = 0
                             AND btrim(due.title || due.description, E' \t\r\n') = '')
FROM bounds LEFT JOIN due ON true
GROUP BY bounds.size, bounds.last

-- name: import_products
-- One row a product; its id follows from owner and key, so that a second import finds it.
INSERT INTO "Products" AS p ("Id", "UserId", "Title", "Category")
SELECT DISTINCT ON (product_id) product_id, owner, title, category
FROM jsonb_to_recordset(%(rows)s) AS x(product_id uuid, owner text, title text, category text)
ON CONFLICT ("Id") DO UPDATE
SET "Category" = EXCLUDED."Category", "UpdatedAt" = now()
WHERE p."Category" IS DISTINCT FROM EXCLUDED."Category"

-- name: import_variants
-- Found again by SKU and owner; gives each variant's id, and whether it is new or has changed.
WITH incoming AS (
  SELECT * FROM jsonb_to_recordset(%(rows)s) AS x(
    variant_id uuid, product_id uuid, owner text, sku text, barcode text, title text,
    description text, price numeric, options jsonb)
), known AS (
  SELECT DISTINCT ON (incoming.sku) incoming.*, v."Id" AS known_id
  FROM incoming LEFT JOIN "ProductVariants" AS v
    ON v."Sku" = incoming.sku AND v."UserId" IS NOT DISTINCT FROM incoming.owner
  ORDER BY incoming.sku, v."CreatedAt"
), inserted AS (
  INSERT INTO "ProductVariants"
    ("Id", "ProductId", "UserId", "Sku", "Barcode", "Title", "Description", "Price", "Options")
  SELECT variant_id, product_id, owner, sku, barcode, title, description, price, options
  FROM known WHERE known_id IS NULL
), updated AS (
  UPDATE "ProductVariants" AS v
  SET "ProductId" = known.product_id, "Barcode" = known.barcode, "Title" = known.title,
      "Description" = known.description, "Price" = known.price, "Options" = known.options,
      "UpdatedAt" = now()
  FROM known
  WHERE v."Id" = known.known_id
    AND (v."ProductId", v."Barcode", v."Title", v."Description", v."Price", v."Options")
        IS DISTINCT FROM (known.product_id, known.barcode, known.title, known.description,
                          known.price, known.options)
  RETURNING v."Id"
)
SELECT known.sku, coalesce(known_id, variant_id), known_id IS NULL,
       known_id IN (SELECT "Id" FROM updated)
FROM known

-- name: import_images
-- A variant's pictures are replaced where their addresses differ; gives the variants concerned.
WITH incoming AS (
  SELECT variant_id, urls
  FROM jsonb_to_recordset(%(rows)s) AS x(variant_id uuid, urls text[])
), different AS (
  SELECT variant_id, urls FROM incoming
  WHERE urls IS DISTINCT FROM coalesce(
    (SELECT array_agg("ImageUrl" ORDER BY "Position", "Id") FROM "ProductImages"
     WHERE "ProductVariantId" = variant_id), '{}')
), gone AS (
  DELETE FROM "ProductImages" USING different WHERE "ProductVariantId" = different.variant_id
), inserted AS (
  INSERT INTO "ProductImages" ("ProductVariantId", "ImageUrl", "Position")
  SELECT variant_id, url, position - 1
  FROM different, unnest(urls) WITH ORDINALITY AS u(url, position)
)
SELECT variant_id FROM different
