-- name: never_null
-- The NOT NULL columns, whether each has a default, and whether it belongs to the primary key.
SELECT attname AS name, atthasdef OR attidentity <> '' AS has_default,
  EXISTS (SELECT FROM pg_index AS i
          WHERE i.indrelid = attrelid AND i.indisprimary AND attnum = ANY(i.indkey)) AS in_key
FROM pg_attribute
WHERE attrelid = to_regclass('"ProductEmbeddings"')
  AND attnum > 0 AND NOT attisdropped AND attnotnull

-- name: has_doubles
SELECT FROM "ProductEmbeddings"
WHERE "SourceHash" IS NOT NULL AND {variant} IS NOT NULL
GROUP BY {variant} HAVING count(*) > 1 LIMIT 1

-- name: variant_indexes
-- For the table of each set of vectors: whether "ProductVariantId" is unique, for the rows of
-- shelfsight or for all; whether an index covers it for all rows; and the unique index over all rows
-- that older releases created. Its name is the one that Postgres chooses.
SELECT n.nspname AS schema,
  coalesce(bool_or(is_unique AND name IS DISTINCT FROM older), false) AS is_unique,
  coalesce(bool_or(is_full AND name IS DISTINCT FROM older), false) AS has_lookup,
  min(older) AS older
FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace
LEFT JOIN (
  SELECT i.indrelid, x.relname AS name, i.indpred IS NULL AS is_full,
    i.indisunique AND i.indimmediate AND i.indnkeyatts = 1
      AND (i.indpred IS NULL OR pg_get_expr(i.indpred, i.indrelid) = '("SourceHash" IS NOT NULL)')
      AS is_unique,
    CASE WHEN i.indisunique AND i.indpred IS NULL AND i.indnatts = 1 AND NOT i.indisreplident
           AND x.relname = 'ProductEmbeddings_ProductVariantId_idx'
           AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = x.oid)
      THEN x.relname END AS older
  FROM pg_index AS i JOIN pg_class AS x ON x.oid = i.indexrelid
  JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
  WHERE i.indisvalid AND a.attname = 'ProductVariantId'
) AS i ON i.indrelid = t.oid
WHERE t.oid = to_regclass('"ProductEmbeddings"')
  OR (t.relname = 'ProductEmbeddings' AND n.nspname = ANY(%(schemas)s))
GROUP BY n.nspname

-- name: create_unique
CREATE UNIQUE INDEX "ProductEmbeddings_variant_unique" ON {table} ("ProductVariantId")
WHERE "SourceHash" IS NOT NULL

-- name: create_lookup
-- Deleting a product of the shop looks its rows up, and the index above has not all of them.
CREATE INDEX "ProductEmbeddings_variant_lookup" ON {table} ("ProductVariantId")

-- name: drop_index
DROP INDEX {index}
