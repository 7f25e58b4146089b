-- name: about
-- Odoo 16 to 18, with eCommerce
-- What is archived or not sold is not read. With the option `files`, such as https://shop.example,
-- pictures are those that the website shows. If it is empty, they are the files of the filestore, whose
-- folder for this database is then IMAGE_ROOT. Pictures that lie in the database are not read.

-- name: recognise
VALUES ('product_template', 'description_ecommerce'), ('product_template', 'is_published'),
  ('product_product', 'product_tmpl_id'), ('product_category', 'complete_name'),
  ('product_variant_combination', 'product_template_attribute_value_id'),
  ('product_template_attribute_value', 'price_extra'), ('product_image', 'product_variant_id'),
  ('ir_attachment', 'store_fname')

-- name: options
VALUES ('language', 'text', 'en_US', 'the language of titles and descriptions'),
  ('published', 'text', CASE WHEN EXISTS (SELECT FROM product_template WHERE is_published)
    THEN 'yes' ELSE 'no' END, 'yes: only what the website publishes'),
  ('files', 'text', '', 'the address of the website'),
  ('zone', 'text', 'UTC', 'the time zone of the times in the database')

-- name: Products
SELECT t.id AS "Id", t.company_id AS "UserId",
  coalesce(t.name ->> {language}, t.name ->> 'en_US') AS "Title", c.complete_name AS "Category",
  t.create_date AT TIME ZONE {zone} AS "CreatedAt", t.write_date AT TIME ZONE {zone} AS "UpdatedAt"
FROM product_template AS t LEFT JOIN product_category AS c ON c.id = t.categ_id

-- name: ProductVariants
SELECT v.id AS "Id", v.product_tmpl_id AS "ProductId", t.company_id AS "UserId",
  v.default_code AS "Sku", v.barcode AS "Barcode",
  concat_ws(' - ', coalesce(t.name ->> {language}, t.name ->> 'en_US'), (
    SELECT string_agg(coalesce(o.name ->> {language}, o.name ->> 'en_US'), ', ' ORDER BY k.id)
    FROM product_variant_combination AS l
    JOIN product_template_attribute_value AS x ON x.id = l.product_template_attribute_value_id
    JOIN product_attribute_value AS o ON o.id = x.product_attribute_value_id
    JOIN product_attribute AS k ON k.id = o.attribute_id
    WHERE l.product_product_id = v.id)) AS "Title",
  coalesce(nullif(t.description_ecommerce ->> {language}, ''),
    nullif(t.description_ecommerce ->> 'en_US', ''), t.description_sale ->> {language},
    t.description_sale ->> 'en_US') AS "Description",
  (t.list_price + coalesce((
    SELECT sum(x.price_extra) FROM product_variant_combination AS l
    JOIN product_template_attribute_value AS x ON x.id = l.product_template_attribute_value_id
    WHERE l.product_product_id = v.id), 0))::numeric AS "Price",
  (SELECT jsonb_object_agg(coalesce(k.name ->> {language}, k.name ->> 'en_US'),
                           coalesce(o.name ->> {language}, o.name ->> 'en_US'))
   FROM product_variant_combination AS l
   JOIN product_template_attribute_value AS x ON x.id = l.product_template_attribute_value_id
   JOIN product_attribute_value AS o ON o.id = x.product_attribute_value_id
   JOIN product_attribute AS k ON k.id = o.attribute_id
   WHERE l.product_product_id = v.id
     AND coalesce(k.name ->> {language}, k.name ->> 'en_US') IS NOT NULL) AS "Options",
  (SELECT c.complete_name FROM product_category AS c WHERE c.id = t.categ_id) AS "Category",
  v.create_date AT TIME ZONE {zone} AS "CreatedAt",
  greatest(v.write_date, t.write_date) AT TIME ZONE {zone} AS "UpdatedAt"
FROM product_product AS v JOIN product_template AS t ON t.id = v.product_tmpl_id
WHERE v.active AND t.active AND t.sale_ok AND ({published} <> 'yes' OR t.is_published)

-- name: ProductImages
-- The variant's own picture takes the place of the product's; then follow the further ones.
SELECT p.file || ' ' || p.variant AS "Id", p.variant AS "ProductVariantId",
  CASE WHEN {files} = '' THEN p.store_fname
       ELSE {files} || p.path || '?unique=' || left(p.checksum, 8) END AS "ImageUrl",
  p.position AS "Position"
FROM (
  SELECT f.id AS file, v.id AS variant, f.store_fname, f.checksum,
    '/web/image/product.product/' || v.id || '/image_1024' AS path, 0 AS position
  FROM product_product AS v JOIN ir_attachment AS f ON f.res_id = v.id
  WHERE f.res_model = 'product.product' AND f.res_field = 'image_variant_1920'
  UNION ALL
  SELECT f.id, v.id, f.store_fname, f.checksum,
    '/web/image/product.template/' || f.res_id || '/image_1024', 1
  FROM product_product AS v JOIN ir_attachment AS f ON f.res_id = v.product_tmpl_id
  WHERE f.res_model = 'product.template' AND f.res_field = 'image_1920' AND NOT EXISTS (
    SELECT FROM ir_attachment AS own WHERE own.res_model = 'product.product' AND own.res_id = v.id
      AND own.res_field = 'image_variant_1920')
  UNION ALL
  SELECT f.id, v.id, f.store_fname, f.checksum,
    '/web/image/product.image/' || i.id || '/image_1024', 2 + coalesce(i.sequence, 10)
  FROM product_product AS v JOIN product_image AS i ON i.product_variant_id = v.id
  JOIN ir_attachment AS f ON f.res_id = i.id
  WHERE f.res_model = 'product.image' AND f.res_field = 'image_1920'
  UNION ALL
  SELECT f.id, v.id, f.store_fname, f.checksum,
    '/web/image/product.image/' || i.id || '/image_1024', 100000 + coalesce(i.sequence, 10)
  FROM product_product AS v JOIN product_image AS i ON i.product_tmpl_id = v.product_tmpl_id
  JOIN ir_attachment AS f ON f.res_id = i.id
  WHERE f.res_model = 'product.image' AND f.res_field = 'image_1920'
    AND i.product_variant_id IS NULL
) AS p
WHERE p.store_fname IS NOT NULL

-- name: changes
VALUES
  ('product_template', 'name description_ecommerce description_sale categ_id active sale_ok is_published',
   'SELECT v.id FROM product_product AS v WHERE v.product_tmpl_id = changed.id'),
  ('product_product', 'active product_tmpl_id', 'SELECT changed.id'),
  ('product_variant_combination', 'product_product_id product_template_attribute_value_id',
   'SELECT changed.product_product_id'),
  ('product_image', 'sequence product_tmpl_id product_variant_id',
   'SELECT v.id FROM product_product AS v WHERE v.id = changed.product_variant_id
    UNION SELECT v.id FROM product_product AS v WHERE v.product_tmpl_id = changed.product_tmpl_id'),
  ('ir_attachment', 'store_fname checksum res_id res_model res_field',
   'SELECT v.id FROM product_product AS v
      WHERE changed.res_model = ''product.product'' AND v.id = changed.res_id
    UNION SELECT v.id FROM product_product AS v
      WHERE changed.res_model = ''product.template'' AND v.product_tmpl_id = changed.res_id
    UNION SELECT v.id FROM product_image AS i JOIN product_product AS v
      ON v.id = i.product_variant_id OR v.product_tmpl_id = i.product_tmpl_id
      WHERE changed.res_model = ''product.image'' AND i.id = changed.res_id')
