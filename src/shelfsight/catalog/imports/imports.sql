-- name: stored_variants
-- The variants that may be those of the lines, oldest first. A line without an owner is found by
-- its SKU alone. `given_price` is the line's price as the column would store it. Where the table has
-- no column for links, a line's link counts as stored.
SELECT v."Id" AS id, x.sku, v."UserId" AS owner_id, v."ProductId" AS product_id, v."Title" AS title,
       v."Description" AS description, v."Price" AS price,
       (jsonb_populate_record(v, jsonb_build_object('Price', x.price)))."Price" AS given_price,
       v."Barcode" AS barcode, v."Options" AS options, {link} AS link,
       ARRAY(SELECT i."ImageUrl" FROM "ProductImages" AS i WHERE i."ProductVariantId" = v."Id"
             ORDER BY i."Position", i."Id") AS images,
       {is_living} AS is_living, {is_marked} AS is_marked
FROM jsonb_to_recordset(%(rows)s) AS x(sku text, owner text, price text, link text)
JOIN "ProductVariants" AS v ON v."Sku" = x.sku AND (x.owner IS NULL OR v."UserId" = x.owner)
ORDER BY v."CreatedAt", v."Id"

-- name: lock_variants
FOR NO KEY UPDATE OF v

-- name: product_categories
SELECT "Id", "Category" FROM "Products" WHERE "Id" = ANY(%(ids)s)

-- name: create_products
INSERT INTO "Products" ("Id", "UserId", "Title", "Category")
SELECT id, owner, title, category
FROM jsonb_to_recordset(%(rows)s) AS x(id uuid, owner text, title text, category text)
ON CONFLICT ("Id") DO NOTHING

-- name: set_categories
UPDATE "Products" AS p SET "Category" = x.category, "UpdatedAt" = now()
FROM jsonb_to_recordset(%(rows)s) AS x(id uuid, category text)
WHERE p."Id" = x.id

-- name: insert_variants
-- Stores new variants and returns their ids. The id of a variant is derived from its owner and SKU.
-- If a variant whose SKU was changed since has this id, the new one gets another.
WITH incoming AS (
  SELECT x.*, CASE WHEN EXISTS (SELECT FROM "ProductVariants" AS v
                                WHERE v."Id" = x.id AND v."Sku" IS DISTINCT FROM x.sku)
                   THEN gen_random_uuid() ELSE x.id END AS new_id
  FROM jsonb_to_recordset(%(rows)s) AS x(
    id uuid, product_id uuid, owner text, sku text, barcode text, title text, description text,
    price numeric, options jsonb)
), inserted AS (
  INSERT INTO "ProductVariants"
    ("Id", "ProductId", "UserId", "Sku", "Barcode", "Title", "Description", "Price", "Options")
  SELECT new_id, product_id, owner, sku, barcode, title, description, price, options FROM incoming
)
SELECT id, new_id FROM incoming

-- name: update_variants
-- `patch` has the new values by column; a column that it lacks stays. Of the options, those in
-- `options` are set and those in `removed_options` are removed.
UPDATE "ProductVariants" AS v
SET ("ProductId", "Barcode", "Title", "Description", "Price") = (
      SELECT new."ProductId", new."Barcode", new."Title", new."Description", new."Price"
      FROM jsonb_populate_record(v, x.patch) AS new),
    "Options" = CASE WHEN x.options IS NULL THEN v."Options" ELSE
      (CASE jsonb_typeof(v."Options") WHEN 'object' THEN v."Options" ELSE '{}' END || x.options)
      - x.removed_options END,
    "UpdatedAt" = now()
FROM jsonb_to_recordset(%(rows)s) AS x(
  id uuid, patch jsonb, options jsonb, removed_options text[])
WHERE v."Id" = x.id

-- name: set_links
UPDATE "ProductVariants" AS v SET "Link" = x.link, "UpdatedAt" = now()
FROM jsonb_to_recordset(%(rows)s) AS x(id uuid, link text)
WHERE v."Id" = x.id

-- name: replace_images
-- Gives each variant exactly these pictures, in this order. A row whose address stays is kept, with
-- all its other columns.
WITH incoming AS (
  SELECT x.variant_id, u.url, u.place - 1 AS position
  FROM jsonb_to_recordset(%(rows)s) AS x(variant_id uuid, urls text[]),
       unnest(x.urls) WITH ORDINALITY AS u(url, place)
), stored AS (
  SELECT i."Id" AS id, incoming.position, i."ProductVariantId" AS variant_id, i."ImageUrl" AS url,
         row_number() OVER (PARTITION BY i."ProductVariantId", i."ImageUrl"
                            ORDER BY i."Position", i."Id") AS copy
  FROM "ProductImages" AS i LEFT JOIN incoming
    ON incoming.variant_id = i."ProductVariantId" AND incoming.url = i."ImageUrl"
  WHERE i."ProductVariantId" = ANY(%(variants)s)
), deleted AS (
  DELETE FROM "ProductImages" AS i USING stored
  WHERE i."Id" = stored.id AND (stored.position IS NULL OR stored.copy > 1)
), moved AS (
  UPDATE "ProductImages" AS i SET "Position" = stored.position FROM stored
  WHERE i."Id" = stored.id AND stored.copy = 1 AND i."Position" IS DISTINCT FROM stored.position
    AND stored.position IS NOT NULL
)
INSERT INTO "ProductImages" ("ProductVariantId", "ImageUrl", "Position")
SELECT variant_id, url, position FROM incoming
WHERE NOT EXISTS (SELECT FROM stored
                  WHERE stored.variant_id = incoming.variant_id AND stored.url = incoming.url)

-- name: restore_variants
UPDATE "ProductVariants" AS v SET {column} = {unmark}, "UpdatedAt" = now()
WHERE v."Id" = ANY(%(ids)s)

-- name: count_living
SELECT count(*) FROM "ProductVariants" AS v
WHERE {is_living} AND (%(owners)s::text[] IS NULL OR v."UserId" = ANY(%(owners)s))

-- name: missing_variants
-- The variants that are neither archived nor in the file.
WITH file AS (SELECT * FROM unnest(%(skus)s::text[], %(sku_owners)s::text[]) AS f(sku, owner))
SELECT v."Id" FROM "ProductVariants" AS v
WHERE {is_living} AND (%(owners)s::text[] IS NULL OR v."UserId" = ANY(%(owners)s))
  AND NOT EXISTS (SELECT FROM file WHERE file.sku = v."Sku"
                  AND (file.owner IS NULL OR file.owner = v."UserId"))

-- name: archive_variants
UPDATE "ProductVariants" AS v SET {column} = {mark}, "UpdatedAt" = now()
WHERE v."Id" = ANY(%(ids)s) AND NOT {is_marked}
