-- name: about
-- Medusa 2
-- Drafts, archived and deleted products are not read. The owners of a product ("UserId") are the ids
-- of its sales channels.

-- name: recognise
VALUES ('product', 'status'), ('product', 'thumbnail'), ('product', 'deleted_at'),
  ('product_variant', 'product_id'), ('image', 'rank'),
  ('product_variant_product_image', 'image_id'), ('product_variant_price_set', 'price_set_id'),
  ('price', 'currency_code')

-- name: options
VALUES ('currency', 'text', coalesce(
  (SELECT currency_code FROM price WHERE deleted_at IS NULL
   GROUP BY currency_code ORDER BY count(*) DESC, currency_code LIMIT 1), 'usd'),
  'the currency of prices')

-- name: Products
SELECT p.id AS "Id", p.title AS "Title",
  (SELECT c.name FROM product_category_product AS l
   JOIN product_category AS c ON c.id = l.product_category_id
   WHERE l.product_id = p.id AND c.deleted_at IS NULL
   ORDER BY length(c.mpath) DESC, c.rank, c.id LIMIT 1) AS "Category",
  p.created_at AS "CreatedAt", p.updated_at AS "UpdatedAt"
FROM product AS p
WHERE p.deleted_at IS NULL AND p.status = 'published'

-- name: ProductVariants
SELECT v.id AS "Id", v.product_id AS "ProductId",
  ARRAY(SELECT s.sales_channel_id::text FROM product_sales_channel AS s
        WHERE s.product_id = v.product_id AND s.deleted_at IS NULL
        ORDER BY s.sales_channel_id) AS "UserId",
  v.sku AS "Sku", coalesce(v.barcode, v.ean, v.upc) AS "Barcode",
  CASE WHEN v.title IN ('', 'Default', 'Default variant', 'Default Title') OR v.title = p.title
       THEN p.title ELSE p.title || ' - ' || v.title END AS "Title",
  concat_ws(E'\n', nullif(p.subtitle, ''), p.description) AS "Description",
  (SELECT min(a.amount) FROM product_variant_price_set AS l
   JOIN price AS a ON a.price_set_id = l.price_set_id
   WHERE l.variant_id = v.id AND l.deleted_at IS NULL AND a.deleted_at IS NULL
     AND a.price_list_id IS NULL AND coalesce(a.rules_count, 0) = 0
     AND coalesce(a.min_quantity, 1) <= 1 AND a.currency_code = {currency}) AS "Price",
  (SELECT jsonb_object_agg(o.title, ov.value) FROM product_variant_option AS vo
   JOIN product_option_value AS ov ON ov.id = vo.option_value_id
   JOIN product_option AS o ON o.id = ov.option_id
   WHERE vo.variant_id = v.id AND ov.deleted_at IS NULL AND o.deleted_at IS NULL) AS "Options",
  (SELECT c.name FROM product_category_product AS l
   JOIN product_category AS c ON c.id = l.product_category_id
   WHERE l.product_id = v.product_id AND c.deleted_at IS NULL
   ORDER BY length(c.mpath) DESC, c.rank, c.id LIMIT 1) AS "Category",
  to_jsonb(p) ->> 'handle' AS "Link", v.created_at AS "CreatedAt", greatest(v.updated_at, p.updated_at) AS "UpdatedAt"
FROM product_variant AS v JOIN product AS p ON p.id = v.product_id
WHERE v.deleted_at IS NULL AND p.deleted_at IS NULL AND p.status = 'published'

-- name: ProductImages
-- The variant's own pictures come first, then the other ones of the product, then its thumbnail.
SELECT v.id || ' ' || i.id AS "Id", v.id AS "ProductVariantId", i.url AS "ImageUrl",
  i.rank + CASE WHEN EXISTS (
      SELECT FROM product_variant_product_image AS l
      WHERE l.variant_id = v.id AND l.image_id = i.id AND l.deleted_at IS NULL)
    THEN 0 ELSE 100000 END AS "Position"
FROM product_variant AS v JOIN image AS i ON i.product_id = v.product_id
WHERE v.deleted_at IS NULL AND i.deleted_at IS NULL
UNION ALL
SELECT v.id || ' thumbnail', v.id, p.thumbnail, 200000
FROM product_variant AS v JOIN product AS p ON p.id = v.product_id
WHERE v.deleted_at IS NULL AND p.thumbnail IS NOT NULL

-- name: changes
VALUES
  ('product', 'title subtitle description status thumbnail deleted_at',
   'SELECT v.id FROM product_variant AS v WHERE v.product_id = changed.id'),
  ('product_variant', 'title product_id deleted_at', 'SELECT changed.id'),
  ('image', 'url rank product_id deleted_at',
   'SELECT v.id FROM product_variant AS v WHERE v.product_id = changed.product_id'),
  ('product_variant_product_image', 'variant_id image_id deleted_at', 'SELECT changed.variant_id'),
  ('product_category_product', 'product_id product_category_id',
   'SELECT v.id FROM product_variant AS v WHERE v.product_id = changed.product_id'),
  ('product_variant_option', 'variant_id option_value_id', 'SELECT changed.variant_id')
