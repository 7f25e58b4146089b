-- name: about
-- Saleor 3
-- Products that are not published in the channel are not read. Addresses of pictures begin with the
-- option `media`; if it is empty they are relative, and IMAGE_BASE_URL or IMAGE_ROOT completes them.

-- name: recognise
VALUES ('channel_channel', 'slug'), ('product_product', 'description_plaintext'),
  ('product_productvariant', 'product_id'), ('product_productmedia', 'to_remove'),
  ('product_variantmedia', 'media_id'), ('product_producttranslation', 'language_code'),
  ('product_productchannellisting', 'is_published'),
  ('product_productvariantchannellisting', 'price_amount')

-- name: options
VALUES ('channel', 'text', coalesce(
    (SELECT c.slug FROM channel_channel AS c
     JOIN product_productchannellisting AS l ON l.channel_id = c.id AND l.is_published
     GROUP BY c.slug ORDER BY count(*) DESC, c.slug LIMIT 1), 'default-channel'),
    'the channel whose products and prices are read'),
  ('language', 'text', '', 'a language other than that of the shop, such as sv'),
  ('media', 'text', '', 'what the addresses of pictures begin with')

-- name: Products
SELECT p.id AS "Id", p.name AS "Title", c.name AS "Category",
  p.created_at AS "CreatedAt", p.updated_at AS "UpdatedAt"
FROM product_product AS p LEFT JOIN product_category AS c ON c.id = p.category_id

-- name: ProductVariants
-- A description is a list of EditorJS blocks, whose texts are taken.
SELECT v.id AS "Id", v.product_id AS "ProductId", v.sku AS "Sku",
  concat_ws(' - ', coalesce(nullif(t.name, ''), p.name), nullif(nullif(v.name, ''), p.name)) AS "Title",
  coalesce(
    (SELECT string_agg(word #>> '{}', ' ')
     FROM jsonb_path_query(t.description, '$.blocks[*].data.** ? (@.type() == "string")') AS word),
    nullif(p.description_plaintext, ''),
    (SELECT string_agg(word #>> '{}', ' ')
     FROM jsonb_path_query(p.description, '$.blocks[*].data.** ? (@.type() == "string")') AS word)
  ) AS "Description",
  (SELECT l.price_amount FROM product_productvariantchannellisting AS l
   JOIN channel_channel AS c ON c.id = l.channel_id
   WHERE l.variant_id = v.id AND c.slug = {channel}) AS "Price",
  (SELECT c.name FROM product_category AS c WHERE c.id = p.category_id) AS "Category",
  to_jsonb(p) ->> 'slug' AS "Link", v.created_at AS "CreatedAt", greatest(v.updated_at, p.updated_at) AS "UpdatedAt"
FROM product_productvariant AS v JOIN product_product AS p ON p.id = v.product_id
LEFT JOIN product_producttranslation AS t
  ON t.product_id = p.id AND t.language_code = {language}
WHERE EXISTS (
  SELECT FROM product_productchannellisting AS l JOIN channel_channel AS c ON c.id = l.channel_id
  WHERE l.product_id = p.id AND l.is_published AND c.slug = {channel})

-- name: ProductImages
-- The variant's own pictures come first.
SELECT v.id || ' ' || m.id AS "Id", v.id AS "ProductVariantId",
  CASE WHEN coalesce(m.image, '') = '' THEN m.external_url ELSE {media} || m.image END AS "ImageUrl",
  coalesce(m.sort_order, 10000) + CASE WHEN EXISTS (
      SELECT FROM product_variantmedia AS l WHERE l.variant_id = v.id AND l.media_id = m.id)
    THEN 0 ELSE 100000 END AS "Position"
FROM product_productvariant AS v JOIN product_productmedia AS m ON m.product_id = v.product_id
WHERE m.type = 'IMAGE' AND NOT m.to_remove

-- name: changes
VALUES
  ('product_product', 'name description description_plaintext category_id',
   'SELECT v.id FROM product_productvariant AS v WHERE v.product_id = changed.id'),
  ('product_productvariant', 'name product_id', 'SELECT changed.id'),
  ('product_producttranslation', 'name description language_code product_id',
   'SELECT v.id FROM product_productvariant AS v WHERE v.product_id = changed.product_id'),
  ('product_productmedia', 'image external_url sort_order type to_remove product_id',
   'SELECT v.id FROM product_productvariant AS v WHERE v.product_id = changed.product_id'),
  ('product_variantmedia', 'variant_id media_id', 'SELECT changed.variant_id'),
  ('product_productchannellisting', 'is_published product_id channel_id',
   'SELECT v.id FROM product_productvariant AS v WHERE v.product_id = changed.product_id')
