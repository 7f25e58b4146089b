-- name: tables
CREATE TABLE channel (id serial PRIMARY KEY, code varchar NOT NULL, "defaultLanguageCode" varchar,
  "defaultCurrencyCode" varchar);
CREATE TABLE asset (id serial PRIMARY KEY, type varchar NOT NULL, preview varchar NOT NULL);
CREATE TABLE product (id serial PRIMARY KEY, "createdAt" timestamp(6) NOT NULL DEFAULT timezone('UTC', now()),
  "updatedAt" timestamp(6) NOT NULL DEFAULT timezone('UTC', now()), "deletedAt" timestamp(6),
  enabled boolean NOT NULL DEFAULT true, "featuredAssetId" int);
CREATE TABLE product_translation (id serial PRIMARY KEY, "updatedAt" timestamp(6) NOT NULL DEFAULT timezone('UTC', now()),
  "languageCode" varchar NOT NULL, name varchar NOT NULL, slug varchar NOT NULL DEFAULT 'its-page', description text NOT NULL,
  "baseId" int REFERENCES product ON DELETE CASCADE);
CREATE TABLE product_variant (id serial PRIMARY KEY, "createdAt" timestamp(6) NOT NULL DEFAULT timezone('UTC', now()),
  "updatedAt" timestamp(6) NOT NULL DEFAULT timezone('UTC', now()), "deletedAt" timestamp(6),
  enabled boolean NOT NULL DEFAULT true, sku varchar NOT NULL, "productId" int REFERENCES product ON DELETE CASCADE);
CREATE TABLE product_variant_translation (id serial PRIMARY KEY, "languageCode" varchar NOT NULL,
  "updatedAt" timestamp(6) NOT NULL DEFAULT timezone('UTC', now()), name varchar NOT NULL,
  "baseId" int REFERENCES product_variant ON DELETE CASCADE);
CREATE TABLE product_variant_price (id serial PRIMARY KEY, "currencyCode" varchar NOT NULL, "channelId" int,
  price int NOT NULL, "variantId" int REFERENCES product_variant ON DELETE CASCADE);
CREATE TABLE product_asset (id serial PRIMARY KEY, "assetId" int NOT NULL, position int NOT NULL,
  "productId" int NOT NULL REFERENCES product ON DELETE CASCADE);
CREATE TABLE product_variant_asset (id serial PRIMARY KEY, "assetId" int NOT NULL, position int NOT NULL,
  "productVariantId" int NOT NULL REFERENCES product_variant ON DELETE CASCADE);
CREATE TABLE product_variant_channels_channel ("channelId" int NOT NULL,
  "productVariantId" int NOT NULL REFERENCES product_variant ON DELETE CASCADE, PRIMARY KEY ("productVariantId", "channelId"));
CREATE TABLE collection (id serial PRIMARY KEY, "isRoot" bool NOT NULL DEFAULT false, position int NOT NULL);
CREATE TABLE collection_translation (id serial PRIMARY KEY, "languageCode" varchar NOT NULL, name varchar NOT NULL, "baseId" int);
CREATE TABLE collection_product_variants_product_variant ("collectionId" int NOT NULL,
  "productVariantId" int NOT NULL REFERENCES product_variant ON DELETE CASCADE, PRIMARY KEY ("collectionId", "productVariantId"))

-- name: rows
INSERT INTO channel (code, "defaultLanguageCode", "defaultCurrencyCode") VALUES ('__default_channel__', 'en', 'USD'), ('b2b', 'de', 'EUR');
INSERT INTO asset (type, preview) VALUES ('IMAGE', 'media\mug.png'), ('IMAGE', 'media\cap.png'), ('IMAGE', 'media/bag.png');
INSERT INTO product ("featuredAssetId", enabled) VALUES (1, true), (2, true), (3, true), (1, false);
INSERT INTO product_translation ("languageCode", name, description, "baseId")
SELECT l, CASE l WHEN 'en' THEN name ELSE 'de ' || name END, '<p>A fine thing</p>', n
FROM unnest(ARRAY['Red mug', 'Blue cap', 'Green bag', 'Secret sock']) WITH ORDINALITY AS p (name, n), unnest(ARRAY['de', 'en']) AS l;
INSERT INTO product_variant (sku, "productId") VALUES ('MUG', 1), ('CAP', 2), ('BAG-S', 3), ('BAG-L', 3), ('SOCK', 4);
INSERT INTO product_variant_translation ("languageCode", name, "baseId") VALUES ('en', 'Red mug', 1),
  ('de', 'Rote Tasse', 1), ('en', 'Green bag - Small', 3), ('en', 'Green bag - Large', 4);
INSERT INTO product_variant_price ("currencyCode", "channelId", price, "variantId")
SELECT c, h, 1250 + 100 * (h - 1), id FROM product_variant, (VALUES ('USD', 1), ('EUR', 2), ('USD', 2)) AS x (c, h);
INSERT INTO product_asset ("assetId", position, "productId") VALUES (2, 0, 1), (1, 1, 1), (2, 0, 2), (3, 0, 3), (1, 0, 4);
INSERT INTO product_variant_asset ("assetId", position, "productVariantId") VALUES (3, 0, 4);
INSERT INTO product_variant_channels_channel ("channelId", "productVariantId") SELECT 1, id FROM product_variant;
INSERT INTO collection (position, "isRoot") VALUES (0, true), (1, false);
INSERT INTO collection_translation ("languageCode", name, "baseId") VALUES ('en', 'All', 1), ('en', 'Mugs', 2);
INSERT INTO collection_product_variants_product_variant VALUES (1, 1), (2, 1), (1, 2)

-- name: edit
UPDATE product_variant_translation SET name = 'Scarlet mug', "updatedAt" = timezone('UTC', now())
WHERE "baseId" = 1 AND "languageCode" = 'en'

-- name: edit_picture
UPDATE product_asset SET "assetId" = 3 WHERE "productId" = 2

-- name: unpublish
UPDATE product SET enabled = false WHERE id = 2

-- name: delete
UPDATE product SET "deletedAt" = timezone('UTC', now()) WHERE id = 3

-- name: alter
ALTER TABLE product_variant_translation ALTER COLUMN name TYPE text;
ALTER TABLE asset ALTER COLUMN preview TYPE text;
ALTER TABLE product_translation ALTER COLUMN name TYPE text
