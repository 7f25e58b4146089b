-- name: lock
-- Two backfills that start at the same time must not both create the staged tables.
SELECT pg_advisory_xact_lock(%(key)s)

-- name: vector_tables
-- The tables of vectors: the one in use, and those in the given schemas, with their OIDs.
SELECT n.nspname AS schema, t.oid::bigint AS oid,
  t.oid = to_regclass('"ProductEmbeddings"') AS is_in_use
FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace
WHERE t.oid = to_regclass('"ProductEmbeddings"')
  OR (t.relname = 'ProductEmbeddings' AND n.nspname = ANY(%(schemas)s))

-- name: count_by_model
SELECT 'image' AS kind, "ModelVersions" ->> 'image' AS model, count(*) AS count
FROM "ProductEmbeddings" WHERE "ImageEmbedding" IS NOT NULL AND "SourceHash" <> '' GROUP BY 2
UNION ALL
SELECT 'text', "ModelVersions" ->> 'text', count(*) FROM "ProductEmbeddings"
WHERE "TextEmbedding" IS NOT NULL AND "SourceHash" <> '' GROUP BY 2
ORDER BY 1, 3 DESC

-- name: count_lost
-- The number of products that failed in the staged set, and have a vector in use that the staged
-- set does not have.
SELECT count(DISTINCT f."ProductVariantId")
FROM shelfsight."EmbeddingFailures" AS f
JOIN "ProductVariants" AS v ON v."Id" = f."ProductVariantId"
JOIN "ProductEmbeddings" AS e
  ON e."ProductVariantId" = f."ProductVariantId" AND e."SourceHash" IS NOT NULL
LEFT JOIN {staged}."ProductEmbeddings" AS s
  ON s."ProductVariantId" = f."ProductVariantId" AND s."SourceHash" IS NOT NULL
WHERE f."VectorSet" = %(staged)s AND f."Kind" NOT IN ('no_content', 'empty_text')
  AND ((e."ImageEmbedding" IS NOT NULL AND s."ImageEmbedding" IS NULL)
       OR (e."TextEmbedding" IS NOT NULL AND s."TextEmbedding" IS NULL))

-- name: switched_at
-- The time of the switch, from the schema's comment; null if somebody has changed the comment.
SELECT substring(obj_description(oid, 'pg_namespace')
  FROM '[0-9-]+ [0-9:]+[+-][0-9:]+$')
FROM pg_namespace WHERE nspname = %(schema)s

-- name: has_carried
-- Whether the switch carried the shop's rows and columns over. Those of older releases did not.
SELECT FROM pg_namespace
WHERE nspname = %(schema)s AND obj_description(oid, 'pg_namespace') LIKE %(carried)s

-- name: comment_on_schema
-- Records the time of the switch, for `switched_at` and for people who list the schemas.
COMMENT ON SCHEMA {schema} IS {text}

-- name: table_in_use
SELECT t.relkind = 'r' AS is_table, pg_has_role(t.relowner, 'USAGE') AS is_owner,
  pg_get_userbyid(t.relowner) AS owner, n.nspname AS schema,
  has_schema_privilege(n.oid, 'CREATE') AS may_create, current_user AS role,
  current_database() AS database,
  has_database_privilege(current_database(), 'CREATE') AS may_create_schema
FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace
WHERE t.oid = to_regclass(quote_ident(%(table)s))

-- name: referring_tables
-- The tables with a foreign key to this table. They rule out a switch: the rows of the new table
-- have other ids.
SELECT conrelid::regclass::text FROM pg_constraint
WHERE contype = 'f' AND confrelid = to_regclass(quote_ident(%(table)s)) AND conrelid <> confrelid

-- name: create_schema
CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {owner}

-- name: create_table
CREATE TABLE {new} (LIKE {old} INCLUDING ALL EXCLUDING INDEXES EXCLUDING STATISTICS)

-- name: structure
-- Returns statements that make a new table work like the table in use: its constraints (foreign keys
-- are added at the switch), unique indexes, triggers, extended statistics and owner. The index with which a deleted product's rows
-- are found is needed at once; those that only searches need are built at the switch.
WITH old AS (
  SELECT t.*, format('%%I.%%I', n.nspname, t.relname) AS name,
    format('%%I.%%I', %(schema)s::text, t.relname) AS new
  FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace
  WHERE t.oid = to_regclass(quote_ident(%(table)s))
)
SELECT ddl FROM (
  SELECT 1, format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', new, conname,
    pg_get_constraintdef(k.oid))
  FROM old JOIN pg_constraint AS k ON k.conrelid = old.oid
  WHERE contype IN ('p', 'u', 'x')
  UNION ALL
  SELECT 2, replace(pg_get_indexdef(indexrelid), ' ON ' || name || ' ', ' ON ' || new || ' ')
  FROM old JOIN pg_index AS i ON i.indrelid = old.oid
  JOIN pg_class AS x ON x.oid = indexrelid
  WHERE (indisunique OR x.relname = 'ProductEmbeddings_variant_lookup') AND indisvalid
    AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND conrelid = old.oid)
  UNION ALL
  SELECT 3, replace(pg_get_triggerdef(g.oid), ' ON ' || name || ' ', ' ON ' || new || ' ')
  FROM old JOIN pg_trigger AS g ON g.tgrelid = old.oid
  WHERE NOT tgisinternal
  UNION ALL
  SELECT 4, regexp_replace(replace(pg_get_statisticsobjdef(x.oid),
      format('CREATE STATISTICS %%I.%%I ', n.nspname, stxname),
      format('CREATE STATISTICS %%I.%%I ', %(schema)s::text, stxname)),
    ' FROM \S+$', ' FROM ' || new)
  FROM old JOIN pg_statistic_ext AS x ON stxrelid = old.oid
  JOIN pg_namespace AS n ON n.oid = stxnamespace
  UNION ALL
  SELECT 5, format('ALTER TABLE %%s OWNER TO %%I', new, pg_get_userbyid(relowner)) FROM old
) AS s (part, ddl)
ORDER BY part, ddl

-- name: search_indexes
-- The indexes of the table in use that `structure` leaves out and that the new table lacks.
SELECT x.relname, replace(pg_get_indexdef(x.oid),
  format(' ON %%I.%%I ', n.nspname, t.relname), format(' ON %%I.%%I ', %(schema)s::text, t.relname))
FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace
JOIN pg_index AS i ON i.indrelid = t.oid JOIN pg_class AS x ON x.oid = i.indexrelid
WHERE t.oid = to_regclass(quote_ident(%(table)s)) AND i.indisvalid AND NOT i.indisunique
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = x.oid)
  AND to_regclass(format('%%I.%%I', %(schema)s::text, x.relname)) IS NULL
ORDER BY x.oid

-- name: access
-- Returns statements that give the incoming table the grants and the comment of the table in use.
-- First they revoke all grants that the incoming table has, so that a privilege that was
-- revoked meanwhile does not come back.
WITH old AS (
  SELECT t.*, n.nspname, format('%%I.%%I', %(schema)s::text, t.relname) AS new
  FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace
  WHERE t.oid = to_regclass(quote_ident(%(table)s))
), granted AS (
  SELECT new, relowner, '' AS on_column, acl.* FROM old, aclexplode(relacl) AS acl
  UNION ALL
  SELECT new, relowner, format(' (%%I)', attname), acl.*
  FROM old JOIN pg_attribute ON attrelid = old.oid, aclexplode(attacl) AS acl
), earlier AS (
  SELECT new, t.relowner, acl.grantee
  FROM old JOIN pg_class AS t ON t.oid = to_regclass(new), aclexplode(t.relacl) AS acl
  UNION
  SELECT new, t.relowner, acl.grantee
  FROM old JOIN pg_class AS t ON t.oid = to_regclass(new)
  JOIN pg_attribute ON attrelid = t.oid, aclexplode(attacl) AS acl
)
SELECT ddl FROM (
  SELECT 0, format('REVOKE ALL ON %%s FROM %%s CASCADE', new,
    CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END)
  FROM earlier WHERE grantee <> relowner
  UNION ALL
  SELECT 1, format('GRANT %%s%%s ON %%s TO %%s%%s', privilege_type, on_column, new,
    CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
    CASE WHEN is_grantable THEN ' WITH GRANT OPTION' END)
  FROM granted WHERE grantee <> relowner
  UNION ALL
  SELECT 2, format('ALTER TABLE %%s %%s ROW LEVEL SECURITY, %%s ROW LEVEL SECURITY', new,
    CASE WHEN relrowsecurity THEN 'ENABLE' ELSE 'DISABLE' END,
    CASE WHEN relforcerowsecurity THEN 'FORCE' ELSE 'NO FORCE' END)
  FROM old
  UNION ALL
  SELECT 3, format('COMMENT ON TABLE %%s IS %%L', new, obj_description(old.oid, 'pg_class'))
  FROM old
) AS s (part, ddl)
ORDER BY part, ddl

-- name: differences
-- The columns, constraints, unique indexes and triggers that only one of the two tables has.
WITH both_tables AS (
  SELECT oid FROM unnest(ARRAY[
    to_regclass(quote_ident(%(table)s)),
    to_regclass(format('%%I.%%I', %(schema)s::text, %(table)s::text))]) AS oid
)
SELECT DISTINCT name FROM (
  SELECT attname, 'column', format_type(atttypid, atttypmod) || attidentity::text || attgenerated::text,
    attnotnull
  FROM both_tables JOIN pg_attribute ON attrelid = oid
  WHERE attnum > 0 AND NOT attisdropped
  UNION ALL
  SELECT conname, 'constraint', contype::text, false
  FROM both_tables JOIN pg_constraint ON conrelid = both_tables.oid
  WHERE contype IN ('c', 'p', 'u', 'x')
  UNION ALL
  SELECT x.relname, 'index', '', false
  FROM both_tables JOIN pg_index ON indrelid = both_tables.oid
  JOIN pg_class AS x ON x.oid = indexrelid
  WHERE indisunique AND indisvalid
  UNION ALL
  SELECT tgname, 'trigger', '', false
  FROM both_tables JOIN pg_trigger ON tgrelid = both_tables.oid
  WHERE NOT tgisinternal
) AS c (name, what, kind, is_never_null)
GROUP BY name, what, kind, is_never_null
HAVING count(*) <> 2
ORDER BY name

-- name: dependents
-- What keeps reading this table after it was moved to another schema.
SELECT CASE v.relkind WHEN 'm' THEN 'materialized view ' ELSE 'view ' END || v.oid::regclass
FROM pg_depend AS d JOIN pg_rewrite AS r ON r.oid = d.objid JOIN pg_class AS v ON v.oid = r.ev_class
WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
  AND d.refobjid = to_regclass(%(table)s) AND v.oid <> d.refobjid
UNION
SELECT 'policy of ' || polrelid::regclass
FROM pg_depend AS d JOIN pg_policy AS p ON p.oid = d.objid
WHERE d.classid = 'pg_policy'::regclass AND d.refclassid = 'pg_class'::regclass
  AND d.refobjid = to_regclass(%(table)s) AND polrelid <> d.refobjid
UNION
SELECT 'function ' || d.objid::regprocedure
FROM pg_depend AS d
WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_class'::regclass
  AND d.refobjid = to_regclass(%(table)s)
UNION
SELECT 'publication ' || quote_ident(p.pubname)
FROM pg_publication_rel AS r JOIN pg_publication AS p ON p.oid = r.prpubid
WHERE r.prrelid = to_regclass(%(table)s)
ORDER BY 1

-- name: lock_timeout
SELECT set_config('lock_timeout', %(timeout)s, true)

-- name: lock_tables
LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE

-- name: lock_against_writes
LOCK TABLE {tables} IN EXCLUSIVE MODE

-- name: oldest_lock_holder
-- The server process that holds a lock on one of these tables and has the oldest transaction.
SELECT a.pid, a.application_name AS name,
  date_trunc('second', now() - a.xact_start)::text AS age
FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.relation = ANY(ARRAY[
    to_regclass('"ProductEmbeddings"'), to_regclass('shelfsight."EmbeddingFailures"'),
    to_regclass('"ProductVariants"')]::oid[])
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND a.pid <> pg_backend_pid() AND l.granted
ORDER BY a.xact_start
LIMIT 1

-- name: statistics
-- The extended statistics (those of several columns) of a table. They do not move with their table.
SELECT format('%%I.%%I', n.nspname, s.stxname)
FROM pg_statistic_ext AS s JOIN pg_namespace AS n ON n.oid = s.stxnamespace
WHERE s.stxrelid = to_regclass(format('%%I.%%I', %(schema)s::text, %(table)s::text))

-- name: move_statistics
ALTER STATISTICS {statistics} SET SCHEMA {schema}

-- name: owned_sequences
-- The sequences that columns of this table own. Defaults of the other set's table use them too.
SELECT s.oid::regclass::text, quote_ident(a.attname)
FROM pg_depend AS d JOIN pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
  AND d.deptype = 'a' AND d.refobjid = to_regclass(quote_ident(%(table)s))

-- name: move_failures
UPDATE shelfsight."EmbeddingFailures" SET "VectorSet" = %(target)s WHERE "VectorSet" = %(source)s

-- name: drop_failures
DELETE FROM shelfsight."EmbeddingFailures" WHERE "VectorSet" = %(set)s

-- name: disown_sequence
ALTER SEQUENCE {sequence} OWNED BY NONE

-- name: own_sequence
ALTER SEQUENCE {sequence} OWNED BY {table}.{column}

-- name: move_table
ALTER TABLE {table} SET SCHEMA {schema}

-- name: drop_table
DROP TABLE IF EXISTS {table}

-- name: drop_schema
DROP SCHEMA IF EXISTS {schema}

-- name: staged_runs
-- The open runs over the staged set. Older releases stored "beside" instead of "staged".
SELECT "Id" FROM shelfsight."BackfillRuns"
WHERE "ClosedAt" IS NULL AND ("Asked" @> '{"staged": true}' OR "Asked" @> '{"beside": true}')

-- name: local_settings
-- These settings hold for this transaction only, so that a pooler passes none of them on to other
-- clients.
SELECT set_config(name, value, true)
FROM jsonb_each_text(%(settings)s) AS s (name, value)

-- name: analyze
ANALYZE "ProductEmbeddings"
