-- name: tables
CREATE TABLE channel_channel (id serial PRIMARY KEY, slug varchar(255) NOT NULL UNIQUE);
CREATE TABLE product_category (id serial PRIMARY KEY, name varchar(250) NOT NULL);
CREATE TABLE product_product (id serial PRIMARY KEY, slug varchar(255) NOT NULL DEFAULT 'its-page', name varchar(250) NOT NULL, description jsonb,
  description_plaintext text NOT NULL DEFAULT '', category_id int REFERENCES product_category,
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE product_producttranslation (id serial PRIMARY KEY, language_code varchar(35) NOT NULL,
  product_id int NOT NULL REFERENCES product_product ON DELETE CASCADE, name varchar(250), description jsonb);
CREATE TABLE product_productvariant (id serial PRIMARY KEY, sku varchar(255), name varchar(255) NOT NULL,
  product_id int NOT NULL REFERENCES product_product ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE product_productmedia (id serial PRIMARY KEY, sort_order int, image varchar(100),
  product_id int REFERENCES product_product ON DELETE CASCADE, type varchar(32) NOT NULL DEFAULT 'IMAGE',
  external_url varchar(2048), to_remove bool NOT NULL DEFAULT false);
CREATE TABLE product_variantmedia (id serial PRIMARY KEY, media_id int NOT NULL,
  variant_id int NOT NULL REFERENCES product_productvariant ON DELETE CASCADE);
CREATE TABLE product_productchannellisting (id serial PRIMARY KEY, is_published bool NOT NULL,
  product_id int NOT NULL REFERENCES product_product ON DELETE CASCADE, channel_id int NOT NULL);
CREATE TABLE product_productvariantchannellisting (id serial PRIMARY KEY, price_amount numeric(20, 3),
  variant_id int NOT NULL REFERENCES product_productvariant ON DELETE CASCADE, channel_id int NOT NULL)

-- name: rows
INSERT INTO channel_channel (slug) VALUES ('poland'), ('web');
INSERT INTO product_category (name) VALUES ('Mugs'), ('Other');
INSERT INTO product_product (name, description, category_id)
SELECT name, '{"blocks": [{"type": "paragraph", "data": {"text": "A <b>fine</b> thing"}}]}', 1 + least(n - 1, 1)
FROM unnest(ARRAY['Red mug', 'Blue cap', 'Green bag', 'Secret sock']) WITH ORDINALITY AS p (name, n);
INSERT INTO product_productvariant (sku, name, product_id)
VALUES ('MUG', '', 1), ('CAP', '', 2), ('BAG-S', 'Small', 3), ('BAG-L', 'Large', 3), ('SOCK', '', 4);
INSERT INTO product_productmedia (sort_order, image, product_id)
VALUES (0, 'mug.png', 1), (1, 'cap.png', 1), (0, 'cap.png', 2), (0, 'bag.png', 3), (0, 'sock.png', 4);
INSERT INTO product_productmedia (sort_order, product_id, type, external_url)
VALUES (NULL, 2, 'VIDEO', 'http://shop.test/film');
INSERT INTO product_variantmedia (variant_id, media_id) VALUES (4, 4);
INSERT INTO product_productchannellisting (product_id, channel_id, is_published)
SELECT id, 2, id <> 4 FROM product_product;
INSERT INTO product_productvariantchannellisting (variant_id, channel_id, price_amount)
SELECT id, c, 10.0 * c - 7.5 FROM product_productvariant, generate_series(1, 2) AS c

-- name: edit
UPDATE product_product SET name = 'Scarlet mug', updated_at = now() WHERE id = 1

-- name: edit_picture
UPDATE product_productmedia SET image = 'bag.png' WHERE product_id = 2 AND type = 'IMAGE'

-- name: unpublish
UPDATE product_productchannellisting SET is_published = false WHERE product_id = 2

-- name: delete
DELETE FROM product_product WHERE id = 3

-- name: alter
ALTER TABLE product_product ALTER COLUMN name TYPE text;
ALTER TABLE product_productmedia ALTER COLUMN image TYPE varchar(500);
ALTER TABLE product_productvariant ALTER COLUMN name TYPE text
