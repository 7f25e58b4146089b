-- name: tables
CREATE TABLE "Products" ("Id" uuid PRIMARY KEY, "Category" text);
CREATE TABLE "ProductVariants" ("Id" uuid PRIMARY KEY, "ProductId" uuid, "Sku" text, "Title" text,
  "Description" text, "Price" numeric, "Options" jsonb, "DeletedAt" timestamptz,
  "UpdatedAt" timestamptz NOT NULL DEFAULT now());
CREATE TABLE "ProductImages" ("Id" uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  "ProductVariantId" uuid NOT NULL REFERENCES "ProductVariants" ON DELETE CASCADE,
  "ImageUrl" text NOT NULL, "Position" integer NOT NULL DEFAULT 0)

-- name: rows
INSERT INTO "Products" VALUES (lpad('1', 32, '0')::uuid, 'Mugs');
INSERT INTO "ProductVariants" ("Id", "ProductId", "Sku", "Title", "Price", "Options", "DeletedAt")
SELECT lpad(n::text, 32, '0')::uuid, lpad(p::text, 32, '0')::uuid, sku, title, 12.50, options::jsonb, gone
FROM (VALUES (1, 1, 'MUG', 'Red mug', NULL, NULL::timestamptz), (2, 2, 'CAP', 'Blue cap', NULL, NULL),
  (3, 3, 'BAG-S', 'Green bag - Small', '{"Size": "Small"}', NULL),
  (4, 3, 'BAG-L', 'Green bag - Large', '{"Size": "Large"}', NULL),
  (5, 5, 'SOCK', 'Secret sock', NULL, now())) AS v (n, p, sku, title, options, gone);
INSERT INTO "ProductImages" ("ProductVariantId", "ImageUrl")
SELECT "Id", lower(left("Sku", 3)) || '.png' FROM "ProductVariants"

-- name: edit
UPDATE "ProductVariants" SET "Title" = 'Scarlet mug', "UpdatedAt" = now() WHERE "Sku" = 'MUG'

-- name: edit_picture
UPDATE "ProductImages" SET "ImageUrl" = 'bag.png' WHERE "ImageUrl" = 'cap.png'

-- name: unpublish
UPDATE "ProductVariants" SET "DeletedAt" = now() WHERE "Sku" = 'CAP'

-- name: delete
DELETE FROM "ProductVariants" WHERE "Sku" LIKE 'BAG%'

-- name: alter
ALTER TABLE "ProductVariants" ALTER COLUMN "Title" TYPE varchar(500);
ALTER TABLE "ProductImages" ALTER COLUMN "ImageUrl" TYPE varchar
