-- name: about
-- Spree 5 (to 5.4)
-- Only active products are read. The master stands for a product that has no other variants.
-- Addresses of pictures are the keys of Active Storage after the option `files`. If it is empty, they
-- are the paths of the Disk service, whose folder is then IMAGE_ROOT.

-- name: recognise
VALUES ('spree_products', 'status'), ('spree_product_translations', 'spree_product_id'),
  ('spree_variants', 'is_master'), ('spree_prices', 'currency'), ('spree_assets', 'viewable_id'),
  ('spree_option_value_variants', 'option_value_id'), ('spree_products_taxons', 'taxon_id'),
  ('active_storage_attachments', 'record_id'), ('active_storage_blobs', 'key')

-- name: options
VALUES ('currency', 'text', coalesce(
    (SELECT default_currency FROM spree_stores ORDER BY id LIMIT 1), 'USD'), 'the currency of prices'),
  ('locale', 'text', coalesce((SELECT default_locale FROM spree_stores ORDER BY id LIMIT 1), 'en'),
    'the language of titles and descriptions'),
  ('files', 'text', '', 'what the addresses of pictures begin with'),
  ('zone', 'text', 'UTC', 'the time zone of the times in the database')

-- name: Products
SELECT p.id AS "Id", p.name AS "Title",
  (SELECT t.name FROM spree_products_taxons AS l JOIN spree_taxons AS t ON t.id = l.taxon_id
   WHERE l.product_id = p.id ORDER BY t.depth DESC, l.position, l.id LIMIT 1) AS "Category",
  p.created_at AT TIME ZONE {zone} AS "CreatedAt", p.updated_at AT TIME ZONE {zone} AS "UpdatedAt"
FROM spree_products AS p

-- name: ProductVariants
SELECT v.id AS "Id", v.product_id AS "ProductId", nullif(v.sku, '') AS "Sku", v.barcode AS "Barcode",
  concat_ws(' - ', coalesce(nullif(t.name, ''), p.name), (
    SELECT string_agg(o.presentation, ' / ' ORDER BY k.position, k.id)
    FROM spree_option_value_variants AS l JOIN spree_option_values AS o ON o.id = l.option_value_id
    JOIN spree_option_types AS k ON k.id = o.option_type_id
    WHERE l.variant_id = v.id)) AS "Title",
  coalesce(nullif(t.description, ''), p.description) AS "Description",
  (SELECT min(a.amount) FROM spree_prices AS a
   WHERE a.variant_id = v.id AND a.currency = {currency} AND a.deleted_at IS NULL
     AND (to_jsonb(a) ->> 'price_list_id') IS NULL) AS "Price",
  (SELECT jsonb_object_agg(k.presentation, o.presentation)
   FROM spree_option_value_variants AS l JOIN spree_option_values AS o ON o.id = l.option_value_id
   JOIN spree_option_types AS k ON k.id = o.option_type_id
   WHERE l.variant_id = v.id AND k.presentation IS NOT NULL) AS "Options",
  (SELECT x.name FROM spree_products_taxons AS l JOIN spree_taxons AS x ON x.id = l.taxon_id
   WHERE l.product_id = v.product_id ORDER BY x.depth DESC, l.position, l.id LIMIT 1) AS "Category",
  to_jsonb(p) ->> 'slug' AS "Link", v.created_at AT TIME ZONE {zone} AS "CreatedAt",
  greatest(v.updated_at, p.updated_at) AT TIME ZONE {zone} AS "UpdatedAt"
FROM spree_variants AS v JOIN spree_products AS p ON p.id = v.product_id
LEFT JOIN LATERAL (
  SELECT x.name, x.description FROM spree_product_translations AS x
  WHERE x.spree_product_id = p.id AND x.locale = {locale} AND x.deleted_at IS NULL LIMIT 1) AS t
  ON true
WHERE v.deleted_at IS NULL AND p.deleted_at IS NULL AND p.status = 'active'
  AND (NOT v.is_master OR NOT EXISTS (
    SELECT FROM spree_variants AS other
    WHERE other.product_id = v.product_id AND NOT other.is_master AND other.deleted_at IS NULL))

-- name: ProductImages
-- The variant's own pictures come first, then those of the product, which are the master's.
SELECT v.id || ' ' || a.id AS "Id", v.id AS "ProductVariantId",
  CASE WHEN {files} = '' THEN concat_ws('/', substr(b.key, 1, 2), substr(b.key, 3, 2), b.key)
       ELSE {files} || b.key END AS "ImageUrl",
  coalesce(a.position, 10000) + CASE WHEN owner.id = v.id THEN 0 ELSE 100000 END AS "Position"
FROM spree_variants AS v
JOIN spree_variants AS owner
  ON owner.product_id = v.product_id AND (owner.id = v.id OR owner.is_master)
JOIN spree_assets AS a ON a.viewable_id = owner.id
JOIN active_storage_attachments AS f ON f.record_id = a.id
JOIN active_storage_blobs AS b ON b.id = f.blob_id
WHERE v.deleted_at IS NULL AND a.viewable_type = 'Spree::Variant' AND a.type = 'Spree::Image'
  AND f.record_type = 'Spree::Asset' AND f.name = 'attachment'

-- name: changes
VALUES
  ('spree_products', 'name description status deleted_at',
   'SELECT v.id FROM spree_variants AS v WHERE v.product_id = changed.id'),
  ('spree_product_translations', 'name description locale deleted_at spree_product_id',
   'SELECT v.id FROM spree_variants AS v WHERE v.product_id = changed.spree_product_id'),
  ('spree_variants', 'deleted_at product_id is_master',
   'SELECT v.id FROM spree_variants AS v WHERE v.product_id = changed.product_id
    UNION SELECT changed.id'),
  ('spree_assets', 'viewable_id viewable_type type position',
   'SELECT v.id FROM spree_variants AS owner JOIN spree_variants AS v
      ON v.product_id = owner.product_id WHERE owner.id = changed.viewable_id'),
  ('active_storage_attachments', 'record_id record_type blob_id',
   'SELECT v.id FROM spree_assets AS a JOIN spree_variants AS owner ON owner.id = a.viewable_id
    JOIN spree_variants AS v ON v.product_id = owner.product_id
    WHERE changed.record_type = ''Spree::Asset'' AND a.id = changed.record_id'),
  ('spree_option_value_variants', 'variant_id option_value_id', 'SELECT changed.variant_id'),
  ('spree_products_taxons', 'product_id taxon_id',
   'SELECT v.id FROM spree_variants AS v WHERE v.product_id = changed.product_id')
