-- name: tables
CREATE TABLE product_category (id serial PRIMARY KEY, complete_name varchar);
CREATE TABLE product_template (id serial PRIMARY KEY, name jsonb NOT NULL, description_sale jsonb, description_ecommerce jsonb,
  categ_id int, list_price numeric, company_id int, active bool DEFAULT true, sale_ok bool DEFAULT true, is_published bool,
  create_date timestamp DEFAULT timezone('UTC', now()), write_date timestamp DEFAULT timezone('UTC', now()));
CREATE TABLE product_product (id serial PRIMARY KEY, product_tmpl_id int NOT NULL REFERENCES product_template ON DELETE CASCADE,
  default_code varchar, barcode varchar, active bool DEFAULT true, create_date timestamp DEFAULT timezone('UTC', now()),
  write_date timestamp DEFAULT timezone('UTC', now()));
CREATE TABLE product_attribute (id serial PRIMARY KEY, name jsonb NOT NULL);
CREATE TABLE product_attribute_value (id serial PRIMARY KEY, name jsonb NOT NULL, attribute_id int);
CREATE TABLE product_template_attribute_value (id serial PRIMARY KEY, product_attribute_value_id int, price_extra numeric);
CREATE TABLE product_variant_combination (product_product_id int NOT NULL REFERENCES product_product ON DELETE CASCADE,
  product_template_attribute_value_id int NOT NULL, PRIMARY KEY (product_product_id, product_template_attribute_value_id));
CREATE TABLE product_image (id serial PRIMARY KEY, sequence int, product_tmpl_id int, product_variant_id int);
CREATE TABLE ir_attachment (id serial PRIMARY KEY, res_model varchar, res_field varchar, res_id int, db_datas bytea,
  store_fname varchar, checksum varchar(40))

-- name: rows
INSERT INTO product_category (complete_name) VALUES ('Mugs'), ('Other');
INSERT INTO product_template (name, description_ecommerce, categ_id, list_price, is_published)
SELECT jsonb_build_object('en_US', name, 'sv_SE', 'SV ' || name), '{"en_US": "<p>A fine thing</p>"}', 1 + least(n - 1, 1),
  CASE n WHEN 3 THEN 10 ELSE 12.50 END, n <> 4
FROM unnest(ARRAY['Red mug', 'Blue cap', 'Green bag', 'Secret sock']) WITH ORDINALITY AS p (name, n);
INSERT INTO product_product (product_tmpl_id, default_code) VALUES (1, 'MUG'), (2, 'CAP'), (3, 'BAG-S'), (3, 'BAG-L'), (4, 'SOCK');
INSERT INTO product_attribute (name) VALUES ('{"en_US": "Size"}');
INSERT INTO product_attribute_value (name, attribute_id) VALUES ('{"en_US": "Small"}', 1), ('{"en_US": "Large"}', 1);
INSERT INTO product_template_attribute_value (product_attribute_value_id, price_extra) VALUES (1, 2.5), (2, 2.5);
INSERT INTO product_variant_combination VALUES (3, 1), (4, 2);
INSERT INTO product_image (sequence, product_tmpl_id) VALUES (10, 1);
INSERT INTO ir_attachment (res_model, res_field, res_id, store_fname, checksum)
SELECT 'product.template', field, n, name, md5(name)
FROM unnest(ARRAY['mug.png', 'cap.png', 'bag.png', 'sock.png']) WITH ORDINALITY AS f (name, n), unnest(ARRAY['image_1920', 'image_512']) AS field;
INSERT INTO ir_attachment (res_model, res_field, res_id, store_fname) VALUES ('product.image', 'image_1920', 1, 'cap.png'),
  ('product.product', 'image_variant_1920', 4, 'bag.png');
INSERT INTO ir_attachment (res_model, res_field, res_id, db_datas) VALUES ('product.image', 'image_1920', 1, 'x')

-- name: edit
UPDATE product_template SET name = name || '{"en_US": "Scarlet mug"}', write_date = timezone('UTC', now()) WHERE id = 1

-- name: edit_picture
UPDATE ir_attachment SET store_fname = 'bag.png', checksum = 'x' WHERE res_model = 'product.template' AND res_id = 2

-- name: unpublish
UPDATE product_template SET is_published = false WHERE id = 2

-- name: delete
DELETE FROM product_template WHERE id = 3

-- name: alter
ALTER TABLE ir_attachment ALTER COLUMN store_fname TYPE text;
ALTER TABLE product_product ALTER COLUMN default_code TYPE text;
ALTER TABLE product_template ALTER COLUMN list_price TYPE double precision
