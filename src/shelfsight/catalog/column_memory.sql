-- name: recall
SELECT "Table" AS table, "Column" AS column, "Type" AS type, "Position" AS position,
  "IsRead" AS is_read
FROM shelfsight."CatalogueColumns" ORDER BY "Table", "Position"

-- name: forget
DELETE FROM shelfsight."CatalogueColumns"

-- name: remember
INSERT INTO shelfsight."CatalogueColumns" ("Table", "Column", "Type", "Position", "IsRead")
VALUES (%(table)s, %(column)s, %(type)s, %(position)s, %(is_read)s)
ON CONFLICT ("Table", "Column") DO NOTHING

-- name: tables_like
-- The tables and views, outside the schemas of Postgres and of shelfsight, that have all these
-- columns; with the schema in which the table is missed.
SELECT n.nspname AS schema, t.relname AS name, (current_schemas(false))[1] AS wanted_schema
FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace
WHERE t.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^(pg_|information_schema$|shelfsight)'
  AND NOT EXISTS (
    SELECT FROM unnest(%(columns)s::text[]) AS wanted WHERE NOT EXISTS (
      SELECT FROM pg_attribute
      WHERE attrelid = t.oid AND attname = wanted AND NOT attisdropped AND attnum > 0))
  AND t.relname <> ALL(%(known)s::text[])
