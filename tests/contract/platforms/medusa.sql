-- name: tables
CREATE TABLE product_category (id text PRIMARY KEY, name text NOT NULL, mpath text NOT NULL,
  rank numeric NOT NULL DEFAULT 0, deleted_at timestamptz);
CREATE TABLE product (id text PRIMARY KEY, handle text NOT NULL DEFAULT 'its-page', title text NOT NULL, subtitle text, description text,
  status text NOT NULL, thumbnail text, created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(), deleted_at timestamptz);
CREATE TABLE product_variant (id text PRIMARY KEY, title text NOT NULL, sku text, barcode text,
  ean text, upc text, product_id text REFERENCES product ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz);
CREATE TABLE image (id text PRIMARY KEY, url text NOT NULL, rank integer NOT NULL DEFAULT 0,
  product_id text NOT NULL REFERENCES product ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE product_variant_product_image (id text PRIMARY KEY, variant_id text NOT NULL,
  image_id text NOT NULL REFERENCES image ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE product_category_product (product_id text NOT NULL, product_category_id text NOT NULL,
  PRIMARY KEY (product_id, product_category_id));
CREATE TABLE product_option (id text PRIMARY KEY, title text NOT NULL, deleted_at timestamptz);
CREATE TABLE product_option_value (id text PRIMARY KEY, value text NOT NULL, option_id text,
  deleted_at timestamptz);
CREATE TABLE product_variant_option (variant_id text NOT NULL, option_value_id text NOT NULL,
  PRIMARY KEY (variant_id, option_value_id));
CREATE TABLE price (id text PRIMARY KEY, price_set_id text NOT NULL, currency_code text NOT NULL,
  amount numeric NOT NULL, rules_count integer DEFAULT 0, price_list_id text, min_quantity numeric,
  deleted_at timestamptz);
CREATE TABLE product_variant_price_set (variant_id text NOT NULL, price_set_id text NOT NULL,
  deleted_at timestamptz, PRIMARY KEY (variant_id, price_set_id));
CREATE TABLE product_sales_channel (product_id text NOT NULL, sales_channel_id text NOT NULL,
  deleted_at timestamptz, PRIMARY KEY (product_id, sales_channel_id))

-- name: rows
INSERT INTO product (id, title, status, deleted_at) VALUES
  ('prod_mug', 'Red mug', 'published', NULL), ('prod_cap', 'Blue cap', 'published', NULL),
  ('prod_bag', 'Green bag', 'published', NULL), ('prod_sock', 'Secret sock', 'draft', NULL),
  ('prod_old', 'Old sock', 'published', now());
INSERT INTO product_variant (id, title, sku, product_id) VALUES
  ('variant_mug', 'Default variant', 'MUG', 'prod_mug'), ('variant_cap', 'Default', 'CAP', 'prod_cap'),
  ('variant_bag_s', 'Small', 'BAG-S', 'prod_bag'), ('variant_bag_l', 'Large', 'BAG-L', 'prod_bag'),
  ('variant_sock', 'Default', 'SOCK', 'prod_sock'), ('variant_old', 'Default', 'OLD', 'prod_old');
INSERT INTO image (id, url, rank, product_id)
SELECT 'img_' || name || n, name || '.png', n, 'prod_' || name
FROM unnest(ARRAY['mug', 'cap', 'bag']) AS name, generate_series(0, 0) AS n
UNION ALL SELECT 'img_a', 'cap.png', 1, 'prod_mug';
INSERT INTO product_variant_product_image (id, variant_id, image_id)
VALUES ('x', 'variant_bag_l', 'img_bag0');
INSERT INTO product_category VALUES ('pcat_1', 'Mugs', 'x');
INSERT INTO product_category_product VALUES ('prod_mug', 'pcat_1');
INSERT INTO product_option VALUES ('opt', 'Size');
INSERT INTO product_option_value VALUES ('s', 'Small', 'opt'), ('l', 'Large', 'opt');
INSERT INTO product_variant_option VALUES ('variant_bag_s', 's'), ('variant_bag_l', 'l');
INSERT INTO product_variant_price_set SELECT id, 'pset_' || id FROM product_variant;
INSERT INTO price (id, price_set_id, currency_code, amount, price_list_id)
SELECT c || id || l, 'pset_' || id, c, 12.50 - length(l), nullif(l, '')
FROM product_variant, unnest(ARRAY['eur', 'usd']) AS c, unnest(ARRAY['', 'sale']) AS l
WHERE c = 'eur' OR l = '';
INSERT INTO product_sales_channel VALUES ('prod_mug', 'web'), ('prod_mug', 'pos'), ('prod_cap', 'web')

-- name: edit
UPDATE product SET title = 'Scarlet mug', updated_at = now() WHERE id = 'prod_mug'

-- name: edit_picture
UPDATE image SET url = 'bag.png' WHERE id = 'img_cap0'

-- name: unpublish
UPDATE product SET status = 'draft' WHERE id = 'prod_cap'

-- name: delete
DELETE FROM product WHERE id = 'prod_bag'

-- name: alter
ALTER TABLE product ALTER COLUMN title TYPE varchar(500);
ALTER TABLE image ALTER COLUMN url TYPE varchar;
ALTER TABLE product_variant ALTER COLUMN title TYPE varchar
