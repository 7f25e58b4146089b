-- name: may_read
-- Whether there is the table, and this role may read it.
SELECT EXISTS (
  SELECT FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace
  WHERE n.nspname = 'shelfsight' AND t.relname = 'ConfirmedPhotos'
    AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(t.oid, 'SELECT'))

-- name: has_product
SELECT EXISTS (
  SELECT FROM "ProductVariants" AS v {join} WHERE v."Id"::text = %(product)s AND {condition})

-- name: count
-- How many photos were confirmed with this model, counted up to a limit, and whether there is an
-- index for them.
SELECT count(*), to_regclass('shelfsight."ConfirmedPhotos_hnsw"') IS NOT NULL
FROM (
  SELECT FROM shelfsight."ConfirmedPhotos" WHERE "ImageModel" = ANY(%(models)s)
  LIMIT %(count_limit)s) AS counted

-- name: drop_scan
-- Takes back the photos of a scan; without a product, those of all its products.
DELETE FROM shelfsight."ConfirmedPhotos"
WHERE "ScanId" = %(scan_id)s
  AND (%(product)s::text IS NULL OR "ProductVariantId"::text = %(product)s)

-- name: drop_alike
-- The same photo counts once, however often it is confirmed.
DELETE FROM shelfsight."ConfirmedPhotos"
WHERE "ProductVariantId" = %(product)s::{id_type} AND "ImageModel" = %(model)s
  AND "UserId" IS NOT DISTINCT FROM %(owner)s AND ("Vector" <=> %(vector)s) < %(alike)s

-- name: add
INSERT INTO shelfsight."ConfirmedPhotos" ("ProductVariantId", "UserId", "ScanId", "Number",
  "ImageModel", "Vector", "Resembles")
SELECT v."Id", %(owner)s, %(scan_id)s, %(number)s, %(model)s, %(vector)s, %(resembles)s
FROM "ProductVariants" AS v WHERE v."Id" = %(product)s::{id_type}
ON CONFLICT ("ProductVariantId", "ScanId", "Number") DO NOTHING

-- name: drop_oldest
DELETE FROM shelfsight."ConfirmedPhotos" WHERE "Id" IN (
  SELECT "Id" FROM shelfsight."ConfirmedPhotos"
  WHERE "ProductVariantId" = %(product)s::{id_type} AND "ImageModel" = %(model)s
    AND "UserId" IS NOT DISTINCT FROM %(owner)s
  ORDER BY "CreatedAt" DESC, "Id" DESC OFFSET %(most)s)

-- name: list
SELECT c."Id" AS id, c."ProductVariantId"::text AS product, {sku}::text AS sku,
  coalesce({title}::text, '') AS title, c."UserId" AS owner, c."ScanId" AS scan_id,
  c."ImageModel" AS model, c."Resembles" AS resembles, c."CreatedAt" AS created_at
FROM shelfsight."ConfirmedPhotos" AS c
LEFT JOIN "ProductVariants" AS v ON v."Id" = c."ProductVariantId"
WHERE {chosen}
ORDER BY c."CreatedAt" DESC, c."Id" DESC
LIMIT %(limit)s

-- name: remove
DELETE FROM shelfsight."ConfirmedPhotos" AS c WHERE {chosen}

-- name: would_remove
SELECT FROM shelfsight."ConfirmedPhotos" AS c WHERE {chosen}

-- name: chosen
(%(ids)s::bigint[] IS NULL OR c."Id" = ANY(%(ids)s::bigint[]))
  AND (%(product)s::text IS NULL OR c."ProductVariantId"::text = %(product)s)
  AND (%(owner)s::text IS NULL OR c."UserId" = %(owner)s)
