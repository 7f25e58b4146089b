-- name: type_name
SELECT oid, format_type(oid, NULL) FROM pg_type WHERE oid = ANY(%(oids)s)

-- name: existing
-- What the schema has under this name: the kind of relation, whether a function of ours is behind
-- it, the function's text, and its columns as in `columns`.
SELECT t.relkind AS kind, p.oid IS NOT NULL AS is_ours, p.prosrc AS body,
  (SELECT string_agg(format('%%I %%s', attname, format_type(atttypid, NULL)), ', ' ORDER BY attnum)
   FROM pg_attribute WHERE attrelid = t.oid AND attnum > 0 AND NOT attisdropped) AS columns
FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace
LEFT JOIN pg_proc AS p ON p.pronamespace = n.oid AND p.proname = t.relname AND p.pronargs = 0
WHERE n.nspname = 'shelfsight' AND t.relname = %(table)s

-- name: function
-- Postgres inlines this function like a view. Since its body is a string, it depends on no table,
-- so the platform's own migrations may alter and drop what it reads.
CREATE OR REPLACE FUNCTION shelfsight.{table}() RETURNS TABLE ({columns})
LANGUAGE sql STABLE AS {body}

-- name: view
CREATE VIEW shelfsight.{table} AS SELECT * FROM shelfsight.{table}()

-- name: drop_view
DROP VIEW shelfsight.{table}

-- name: drop_function
DROP FUNCTION shelfsight.{table}()

-- name: count
SELECT count(*) FROM {table}

-- name: has_null_id
SELECT FROM {table} WHERE "Id" IS NULL LIMIT 1

-- name: double_id
SELECT "Id"::text FROM {table} GROUP BY "Id" HAVING count(*) > 1 LIMIT 1

-- name: base_table
SELECT oid::regclass::text FROM pg_class WHERE oid = %(oid)s

-- name: some_ids
SELECT "Id" FROM "ProductVariants" LIMIT 32

-- name: plan
EXPLAIN (FORMAT JSON) SELECT * FROM {table}

-- name: plan_of_ids
EXPLAIN (FORMAT JSON) SELECT * FROM {table} WHERE {column} = ANY(%(ids)s)

-- name: sample
-- Products with the address of their first picture.
SELECT v."Id"::text AS id, {title}::text AS title, (
  SELECT i."ImageUrl"::text FROM "ProductImages" AS i WHERE i."ProductVariantId" = v."Id"
  ORDER BY {is_other}, {position}, i."Id" LIMIT 1) AS image_url
FROM "ProductVariants" AS v WHERE {in_shop} ORDER BY v."Id" LIMIT %(limit)s

-- name: counts
SELECT (SELECT count(*) FROM "ProductVariants" AS v WHERE {in_shop}) AS products,
  (SELECT count(*) FROM "ProductImages" AS i
   JOIN "ProductVariants" AS v ON v."Id" = i."ProductVariantId" WHERE {in_shop}) AS pictures

-- name: shop_tables
-- The tables and views that the search path finds, with their columns and types. Those of
-- shelfsight and of extensions are left out.
SELECT t.oid::regclass::text AS table, attname AS column, format_type(atttypid, NULL) AS type
FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace
JOIN pg_attribute ON attrelid = t.oid AND attnum > 0 AND NOT attisdropped
WHERE t.relkind IN ('r', 'p', 'v', 'm', 'f') AND pg_table_is_visible(t.oid)
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'shelfsight')
  AND n.nspname NOT LIKE 'pg\_temp\_%'
  AND NOT EXISTS (SELECT FROM pg_depend
                  WHERE classid = 'pg_class'::regclass AND objid = t.oid AND deptype = 'e')
ORDER BY t.oid, attnum
