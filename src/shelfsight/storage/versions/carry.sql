-- The statements below make the rows of the shop and its columns in a target table equal to those in
-- a source table. `same_row` compares the key of two rows of the shop. In a second pass the source is
-- the table of what has changed.

-- name: is_ours
{alias}."ProductVariantId" IS NOT NULL AND {alias}."SourceHash" IS NOT NULL

-- name: is_ours_if_unique
-- The shop allows one row a product: each such row may hold vectors.
{alias}."ProductVariantId" IS NOT NULL

-- name: create_changed
-- The rows that were written by transactions that the snapshot of the first pass did not see.
CREATE TEMPORARY TABLE shelfsight_changed ON COMMIT DROP AS
SELECT s.* FROM {source} AS s WHERE age(s.xmin) <= age({boundary}::text::xid)

-- name: analyze_changed
ANALYZE shelfsight_changed

-- name: boundary
SELECT (pg_snapshot_xmin(pg_current_snapshot()))::xid::text

-- name: delete_gone
DELETE FROM {target} AS t
WHERE NOT ({t_ours}) AND NOT EXISTS (
  SELECT FROM {source} AS s WHERE NOT ({s_ours}) AND {same_row})

-- name: delete_released
-- Rows that were shelfsight's, until the shop took their "SourceHash" away.
DELETE FROM {target} AS t USING {source} AS s
WHERE {t_ours} AND NOT ({s_ours}) AND {same_row}

-- name: delete_changed
-- The operator compares the stored bytes, so it also works for types without an equality.
DELETE FROM {target} AS t USING {source} AS s
WHERE NOT ({t_ours}) AND NOT ({s_ours}) AND {same_row}
  AND ROW({s_columns})::record *<> ROW({t_columns})::record

-- name: clear_unique
-- Two rows may have exchanged values that are unique. Postgres checks each row as it is updated.
UPDATE {target} AS t SET {cleared}
FROM {source} AS s
WHERE {t_ours} AND {s_ours} AND s."ProductVariantId" = t."ProductVariantId"
  AND {is_carried} AND ROW({s_unique})::record *<> ROW({t_unique})::record

-- name: update_ours
UPDATE {target} AS t SET {assignments}
FROM {source} AS s
WHERE {t_ours} AND {s_ours} AND s."ProductVariantId" = t."ProductVariantId"
  AND {is_carried} AND ROW({s_carried})::record *<> ROW({t_carried})::record

-- name: insert_held
-- Rows of products that have no vectors in the target, but values of the shop.
INSERT INTO {target} ({columns}) OVERRIDING SYSTEM VALUE
SELECT {emptied_columns} FROM {source} AS s
WHERE {s_ours} AND (s."SourceHash" IS NULL OR {holds_values}) AND NOT EXISTS (
  SELECT FROM {target} AS t WHERE {t_ours} AND t."ProductVariantId" = s."ProductVariantId")

-- name: insert_theirs
INSERT INTO {target} ({columns}) OVERRIDING SYSTEM VALUE
SELECT {s_columns} FROM {source} AS s
WHERE NOT ({s_ours}) AND NOT EXISTS (
  SELECT FROM {target} AS t WHERE {same_row})

-- name: only_copies
-- Whether the target has rows or values of the shop that the source lacks.
SELECT FROM {target} AS t WHERE (NOT ({t_ours}) AND NOT EXISTS (
    SELECT FROM {source} AS s WHERE NOT ({s_ours}) AND {same_row}))
  OR ({t_ours} AND {t_holds_values} AND NOT EXISTS (
    SELECT FROM {source} AS s
    WHERE {s_ours} AND s."ProductVariantId" = t."ProductVariantId"
      AND ROW({s_shops})::record *= ROW({t_shops})::record))
LIMIT 1

-- name: key
-- The columns of a key of the table: its primary key, or another unique index without NULL.
SELECT ARRAY(SELECT a.attname::text FROM unnest(i.indkey[0:i.indnkeyatts - 1]) AS k (attnum)
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum) AS names
FROM pg_index AS i
WHERE i.indrelid = to_regclass(%(table)s) AND i.indisunique AND i.indisvalid AND i.indimmediate
  AND i.indpred IS NULL AND i.indexprs IS NULL AND NOT EXISTS (
    SELECT FROM unnest(i.indkey[0:i.indnkeyatts - 1]) AS k (attnum)
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    WHERE NOT a.attnotnull)
ORDER BY i.indisprimary DESC, i.indexrelid LIMIT 1

-- name: unique_columns
-- The columns of unique indexes that may be null.
SELECT DISTINCT a.attname::text FROM pg_index AS i
JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
WHERE i.indrelid = to_regclass(%(table)s) AND i.indisunique AND NOT a.attnotnull

-- name: is_variant_unique
-- Whether the table has a unique index over "ProductVariantId" of all rows.
SELECT FROM pg_index AS i
JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
WHERE i.indrelid = to_regclass(%(table)s) AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
  AND i.indnkeyatts = 1 AND a.attname = 'ProductVariantId'

-- name: suspended
-- Pairs of statements: the first keeps the shop's triggers and policies and the identity
-- columns of a table from taking part in a copy, the second undoes that.
SELECT off, on_again FROM (
  SELECT format('ALTER TABLE %%s DISABLE TRIGGER %%I', t.oid::regclass, tgname),
    format('ALTER TABLE %%s ENABLE %%s TRIGGER %%I', t.oid::regclass,
      CASE tgenabled WHEN 'A' THEN 'ALWAYS' WHEN 'R' THEN 'REPLICA' ELSE '' END, tgname)
  FROM pg_class AS t JOIN pg_trigger ON tgrelid = t.oid
  WHERE t.oid = to_regclass(%(table)s) AND NOT tgisinternal AND tgenabled <> 'D'
  UNION ALL
  SELECT format('ALTER TABLE %%s NO FORCE ROW LEVEL SECURITY', oid::regclass),
    format('ALTER TABLE %%s FORCE ROW LEVEL SECURITY', oid::regclass)
  FROM pg_class WHERE oid = to_regclass(%(table)s) AND relforcerowsecurity
  UNION ALL
  SELECT format('ALTER TABLE %%s ALTER %%I SET GENERATED BY DEFAULT', attrelid::regclass, attname),
    format('ALTER TABLE %%s ALTER %%I SET GENERATED ALWAYS', attrelid::regclass, attname)
  FROM pg_attribute
  WHERE attrelid = to_regclass(%(table)s) AND attidentity = 'a' AND NOT attisdropped
) AS s (off, on_again)

-- name: no_deferred_checks
SET CONSTRAINTS ALL IMMEDIATE

-- name: all_rows
-- A row that a policy hides from this role would be lost. With this setting Postgres raises an error
-- instead.
SET LOCAL row_security = off

-- name: count_down
-- While a set is staged, its identity columns count down from -1. So a number is never that of
-- another row of the shop.
SELECT format('ALTER TABLE %%s ALTER %%I SET INCREMENT BY -1 SET MINVALUE %%s SET MAXVALUE -1'
  ' SET START WITH -1 RESTART WITH -1', attrelid::regclass, attname,
  CASE atttypid WHEN 'int2'::regtype THEN -32768 WHEN 'int4'::regtype THEN -2147483648
    ELSE -9223372036854775808 END)
FROM pg_attribute
WHERE attrelid = to_regclass(%(table)s) AND attidentity <> '' AND NOT attisdropped

-- name: renumber
-- Rows that only the target has get their numbers from the sequence of the source.
SELECT format('UPDATE %%s SET %%I = nextval(%%L) WHERE %%I < 0', %(target)s::text, attname,
  pg_get_serial_sequence(%(source)s, attname), attname)
FROM pg_attribute
WHERE attrelid = to_regclass(%(source)s) AND attidentity <> '' AND NOT attisdropped

-- name: count_on
-- The identity columns of the target go on where those of the source are.
SELECT format('ALTER TABLE %%s ALTER %%I SET INCREMENT BY %%s SET MINVALUE %%s SET MAXVALUE %%s'
  ' SET START WITH %%s SET CACHE %%s SET %%s CYCLE RESTART WITH %%s', %(target)s::text, attname,
  seqincrement, seqmin, seqmax, seqstart, seqcache, CASE WHEN seqcycle THEN '' ELSE 'NO' END,
  seqstart)
FROM pg_attribute
JOIN pg_sequence ON seqrelid = to_regclass(pg_get_serial_sequence(%(source)s, attname))
WHERE attrelid = to_regclass(%(source)s) AND attidentity <> '' AND NOT attisdropped

-- name: last_numbers
SELECT format('SELECT setval(%%L, last_value, is_called) FROM %%s',
  pg_get_serial_sequence(%(target)s, attname), pg_get_serial_sequence(%(source)s, attname))
FROM pg_attribute
WHERE attrelid = to_regclass(%(source)s) AND attidentity <> '' AND NOT attisdropped
