-- name: about
-- One table
-- Each row is a product, with the address of its picture in a column.

-- name: options
VALUES ('table', 'table', NULL, 'the table of products'),
  ('id', 'column', 'id', 'its column with the id'),
  ('title', 'column', NULL, 'its column with the title'),
  ('image', 'column', NULL, 'its column with the address of the picture'),
  ('description', 'column', '', 'its column with the description'),
  ('category', 'column', '', 'its column with the category'),
  ('sku', 'column', '', 'its column with the article number'),
  ('barcode', 'column', '', 'its column with the barcode'),
  ('price', 'column', '', 'its column with the price'),
  ('owner', 'column', '', 'its column with the owner'),
  ('product', 'column', '', 'its column with the id that the variants of a product share'),
  ('link', 'column', '', 'its column with the address or handle of its page in the shop'),
  ('updated', 'column', '', 'its column with the time of the last change'),
  ('zone', 'text', 'UTC', 'the time zone of times without one')

-- name: ProductVariants
SELECT t.{id} AS "Id", {product}::text AS "ProductId", {owner}::text AS "UserId",
  {sku}::text AS "Sku", {barcode}::text AS "Barcode", t.{title}::text AS "Title",
  {description}::text AS "Description", {category}::text AS "Category",
  {price}::numeric AS "Price", {link}::text AS "Link",
  CASE WHEN pg_typeof({updated}) = 'timestamp'::regtype
       THEN {updated}::timestamp AT TIME ZONE {zone} ELSE {updated}::timestamptz END AS "UpdatedAt"
FROM {table} AS t

-- name: ProductImages
SELECT t.{id} AS "Id", t.{id} AS "ProductVariantId", t.{image}::text AS "ImageUrl"
FROM {table} AS t
WHERE t.{image} IS NOT NULL

-- name: changes
VALUES ('{table}', '', 'SELECT changed.{id}')
