-- name: tables
CREATE TABLE spree_stores (id bigserial PRIMARY KEY, default_currency varchar, default_locale varchar);
CREATE TABLE spree_products (id bigserial PRIMARY KEY, slug varchar DEFAULT 'its-page', name varchar NOT NULL DEFAULT '', description text,
  deleted_at timestamp, status varchar NOT NULL DEFAULT 'draft', created_at timestamp(6) NOT NULL DEFAULT timezone('UTC', now()),
  updated_at timestamp(6) NOT NULL DEFAULT timezone('UTC', now()));
CREATE TABLE spree_product_translations (id bigserial PRIMARY KEY, name varchar, description text, locale varchar NOT NULL,
  spree_product_id bigint NOT NULL, deleted_at timestamp);
CREATE TABLE spree_variants (id bigserial PRIMARY KEY, sku varchar NOT NULL DEFAULT '', barcode varchar, deleted_at timestamp,
  is_master bool DEFAULT false, product_id bigint, created_at timestamp NOT NULL DEFAULT timezone('UTC', now()),
  updated_at timestamp NOT NULL DEFAULT timezone('UTC', now()));
CREATE TABLE spree_assets (id bigserial PRIMARY KEY, viewable_type varchar, viewable_id bigint, position int, type varchar(75));
CREATE TABLE active_storage_blobs (id bigserial PRIMARY KEY, key varchar NOT NULL UNIQUE);
CREATE TABLE active_storage_attachments (id bigserial PRIMARY KEY, name varchar NOT NULL, record_type varchar NOT NULL,
  record_id bigint NOT NULL, blob_id bigint NOT NULL);
CREATE TABLE spree_prices (id bigserial PRIMARY KEY, variant_id bigint NOT NULL, amount numeric(10, 2), currency varchar,
  deleted_at timestamp, price_list_id bigint);
CREATE TABLE spree_taxons (id bigserial PRIMARY KEY, name varchar NOT NULL, depth int);
CREATE TABLE spree_products_taxons (id bigserial PRIMARY KEY, product_id bigint, taxon_id bigint, position int);
CREATE TABLE spree_option_types (id bigserial PRIMARY KEY, presentation varchar, position int NOT NULL DEFAULT 0);
CREATE TABLE spree_option_values (id bigserial PRIMARY KEY, presentation varchar, option_type_id bigint);
CREATE TABLE spree_option_value_variants (id bigserial PRIMARY KEY, variant_id bigint, option_value_id bigint)

-- name: rows
INSERT INTO spree_stores (default_currency, default_locale) VALUES ('EUR', 'en');
INSERT INTO spree_products (name, status, deleted_at) VALUES ('Red mug', 'active', NULL), ('Bonnet bleu', 'active', NULL),
  ('Green bag', 'active', NULL), ('Secret sock', 'archived', NULL), ('Old sock', 'active', now());
INSERT INTO spree_product_translations (name, locale, spree_product_id) VALUES ('Blue cap', 'en', 2), ('Rote Tasse', 'de', 1);
INSERT INTO spree_variants (sku, is_master, product_id) SELECT 'M' || id, true, id FROM spree_products;
INSERT INTO spree_variants (sku, product_id) VALUES ('BAG-S', 3), ('BAG-L', 3);
INSERT INTO spree_option_types (presentation) VALUES ('Size');
INSERT INTO spree_option_values (presentation, option_type_id) VALUES ('Small', 1), ('Large', 1);
INSERT INTO spree_option_value_variants (variant_id, option_value_id) VALUES (6, 1), (7, 2);
INSERT INTO spree_prices (variant_id, amount, currency, price_list_id) SELECT v.id, p.amount, p.currency, p.list
FROM spree_variants AS v, (VALUES (12.50, 'EUR', NULL), (14, 'USD', NULL), (9, 'EUR', 1)) AS p (amount, currency, list);
INSERT INTO spree_taxons (name, depth) VALUES ('All', 0), ('Mugs', 1);
INSERT INTO spree_products_taxons (product_id, taxon_id, position) VALUES (1, 1, 1), (1, 2, 1);
INSERT INTO active_storage_blobs (key) VALUES ('mug.png'), ('cap.png'), ('bag.png');
INSERT INTO spree_assets (viewable_type, viewable_id, position, type) VALUES ('Spree::Variant', 1, 1, 'Spree::Image'),
  ('Spree::Variant', 2, 1, 'Spree::Image'), ('Spree::Variant', 3, 1, 'Spree::Image'), ('Spree::Variant', 7, 2, 'Spree::Image');
INSERT INTO active_storage_attachments (name, record_type, record_id, blob_id)
SELECT 'attachment', 'Spree::Asset', id, least(id, 3) FROM spree_assets

-- name: edit
UPDATE spree_products SET name = 'Scarlet mug', updated_at = timezone('UTC', now()) WHERE id = 1

-- name: edit_picture
UPDATE active_storage_attachments SET blob_id = 3 WHERE record_id = 2

-- name: unpublish
UPDATE spree_products SET status = 'draft' WHERE id = 2

-- name: delete
UPDATE spree_variants SET deleted_at = now() WHERE product_id = 3

-- name: alter
ALTER TABLE spree_products ALTER COLUMN name TYPE text;
ALTER TABLE active_storage_blobs ALTER COLUMN key TYPE text;
ALTER TABLE spree_variants ALTER COLUMN sku TYPE text
