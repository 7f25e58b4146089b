-- name: import_products
-- Stores each product once. The id of a product is derived from its owner and key, so a second
-- import finds the same row again.
INSERT INTO "Products" AS p ("Id", "UserId", "Title", "Category")
SELECT DISTINCT ON (product_id) product_id, owner, title, category
FROM jsonb_to_recordset(%(rows)s) AS x(product_id uuid, owner text, title text, category text)
ON CONFLICT ("Id") DO UPDATE
SET "Category" = EXCLUDED."Category", "UpdatedAt" = now()
WHERE p."Category" IS DISTINCT FROM EXCLUDED."Category"

-- name: import_variants
-- Stores variants; existing variants are found by SKU and owner. Returns the id of each variant,
-- and whether it is new or has changed.
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
SELECT known.sku, coalesce(known_id, variant_id) AS id, known_id IS NULL AS is_new,
       coalesce(known_id IN (SELECT "Id" FROM updated), false) AS is_changed
FROM known

-- name: import_images
-- Replaces the pictures of each variant whose picture addresses differ, and returns the ids of
-- these variants.
WITH incoming AS (
  SELECT variant_id, urls
  FROM jsonb_to_recordset(%(rows)s) AS x(variant_id uuid, urls text[])
), different AS (
  SELECT variant_id, urls FROM incoming
  WHERE urls IS DISTINCT FROM coalesce(
    (SELECT array_agg("ImageUrl" ORDER BY "Position", "Id") FROM "ProductImages"
     WHERE "ProductVariantId" = variant_id), '{}')
), deleted AS (
  DELETE FROM "ProductImages" USING different WHERE "ProductVariantId" = different.variant_id
), inserted AS (
  INSERT INTO "ProductImages" ("ProductVariantId", "ImageUrl", "Position")
  SELECT variant_id, url, position - 1
  FROM different, unnest(urls) WITH ORDINALITY AS u(url, position)
)
SELECT variant_id FROM different
