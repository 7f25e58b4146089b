-- name: about
-- Vendure 3
-- What is disabled, deleted, or not in the channel is not read. Addresses of pictures begin with the
-- option `assets`; if it is empty they are relative, and IMAGE_BASE_URL or IMAGE_ROOT completes them.

-- name: recognise
VALUES ('product', 'featuredAssetId'), ('product_translation', 'languageCode'),
  ('product_variant', 'productId'), ('product_variant_translation', 'languageCode'),
  ('product_variant_price', 'currencyCode'), ('product_asset', 'assetId'),
  ('product_variant_asset', 'assetId'), ('asset', 'preview'),
  ('product_variant_channels_channel', 'channelId'),
  ('collection_product_variants_product_variant', 'collectionId')

-- name: options
VALUES ('channel', 'text', '__default_channel__', 'the channel whose products and prices are read'),
  ('language', 'text', coalesce((SELECT "defaultLanguageCode" FROM channel
    WHERE code = '__default_channel__' LIMIT 1), 'en'), 'the language of titles and descriptions'),
  ('currency', 'text', coalesce((SELECT "defaultCurrencyCode" FROM channel
    WHERE code = '__default_channel__' LIMIT 1), 'USD'), 'the currency of prices'),
  ('assets', 'text', '', 'what the addresses of pictures begin with'),
  ('zone', 'text', 'UTC', 'the time zone of the times in the database')

-- name: Products
SELECT p.id AS "Id",
  (SELECT t.name FROM product_translation AS t
   WHERE t."baseId" = p.id AND t."languageCode" = {language} LIMIT 1) AS "Title",
  p."createdAt" AT TIME ZONE {zone} AS "CreatedAt", p."updatedAt" AT TIME ZONE {zone} AS "UpdatedAt"
FROM product AS p

-- name: ProductVariants
-- Prices are kept in the hundredth part of the currency.
SELECT v.id AS "Id", v."productId" AS "ProductId", v.sku AS "Sku",
  coalesce(vt.name, pt.name) AS "Title", pt.description AS "Description",
  (SELECT min(a.price) / 100.0 FROM product_variant_price AS a
   JOIN channel AS c ON c.id = a."channelId"
   WHERE a."variantId" = v.id AND a."currencyCode" = {currency} AND c.code = {channel}) AS "Price",
  (SELECT t.name FROM collection_product_variants_product_variant AS l
   JOIN collection AS c ON c.id = l."collectionId" AND NOT c."isRoot"
   JOIN collection_translation AS t ON t."baseId" = c.id AND t."languageCode" = {language}
   WHERE l."productVariantId" = v.id ORDER BY c.position, c.id LIMIT 1) AS "Category",
  pt.slug AS "Link", v."createdAt" AT TIME ZONE {zone} AS "CreatedAt",
  greatest(v."updatedAt", p."updatedAt", vt."updatedAt", pt."updatedAt") AT TIME ZONE {zone}
    AS "UpdatedAt"
FROM product_variant AS v JOIN product AS p ON p.id = v."productId"
LEFT JOIN LATERAL (
  SELECT t.name, t."updatedAt" FROM product_variant_translation AS t
  WHERE t."baseId" = v.id AND t."languageCode" = {language} LIMIT 1) AS vt ON true
LEFT JOIN LATERAL (
  SELECT t.name, t.description, to_jsonb(t) ->> 'slug' AS slug, t."updatedAt" FROM product_translation AS t
  WHERE t."baseId" = p.id AND t."languageCode" = {language} LIMIT 1) AS pt ON true
WHERE v."deletedAt" IS NULL AND p."deletedAt" IS NULL AND v.enabled AND p.enabled
  AND EXISTS (
    SELECT FROM product_variant_channels_channel AS l JOIN channel AS c ON c.id = l."channelId"
    WHERE l."productVariantId" = v.id AND c.code = {channel})

-- name: ProductImages
-- The variant's own pictures come first, then the product's, of which the featured one is first.
SELECT 'v' || l.id AS "Id", l."productVariantId" AS "ProductVariantId",
  {assets} || replace(a.preview, '\', '/') AS "ImageUrl", l.position AS "Position"
FROM product_variant_asset AS l JOIN asset AS a ON a.id = l."assetId"
WHERE a.type = 'IMAGE'
UNION ALL
SELECT 'p' || v.id || ' ' || l.id, v.id, {assets} || replace(a.preview, '\', '/'),
  CASE WHEN l."assetId" = p."featuredAssetId" THEN 100000 ELSE 100001 + l.position END
FROM product_variant AS v JOIN product AS p ON p.id = v."productId"
JOIN product_asset AS l ON l."productId" = p.id JOIN asset AS a ON a.id = l."assetId"
WHERE a.type = 'IMAGE'

-- name: changes
VALUES
  ('product', 'enabled "deletedAt" "featuredAssetId"',
   'SELECT v.id FROM product_variant AS v WHERE v."productId" = changed.id'),
  ('product_translation', 'name description "languageCode" "baseId"',
   'SELECT v.id FROM product_variant AS v WHERE v."productId" = changed."baseId"'),
  ('product_variant', 'enabled "deletedAt" "productId"', 'SELECT changed.id'),
  ('product_variant_translation', 'name "languageCode" "baseId"', 'SELECT changed."baseId"'),
  ('product_asset', '"assetId" position "productId"',
   'SELECT v.id FROM product_variant AS v WHERE v."productId" = changed."productId"'),
  ('product_variant_asset', '"assetId" position "productVariantId"',
   'SELECT changed."productVariantId"'),
  ('product_variant_channels_channel', '"productVariantId" "channelId"',
   'SELECT changed."productVariantId"'),
  ('collection_product_variants_product_variant', '"collectionId" "productVariantId"',
   'SELECT changed."productVariantId"')
