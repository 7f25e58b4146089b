-- The statements below return SQL that gives the incoming table what the shop has given the table in
-- use: %(table)s is the table in use, and %(new)s the incoming one, each with its schema.

-- name: properties
-- Run before the tables are moved.
WITH old AS (SELECT * FROM pg_class WHERE oid = to_regclass(%(table)s)),
new AS (SELECT * FROM pg_class WHERE oid = to_regclass(%(new)s)),
columns AS (
  SELECT n.attname, o.attnum, o.attrelid, n.attnum AS new_attnum, n.attrelid AS new_attrelid,
    coalesce(o.attstattarget, -1) AS target, coalesce(n.attstattarget, -1) AS new_target,
    o.attoptions, n.attoptions AS new_options, o.attstorage, n.attstorage AS new_storage,
    pg_get_expr(od.adbin, od.adrelid) AS value, pg_get_expr(nd.adbin, nd.adrelid) AS new_value
  FROM old JOIN pg_attribute AS o ON o.attrelid = old.oid
  JOIN new ON true JOIN pg_attribute AS n ON n.attrelid = new.oid AND n.attname = o.attname
  LEFT JOIN pg_attrdef AS od ON od.adrelid = o.attrelid AND od.adnum = o.attnum
    AND o.attgenerated = ''
  LEFT JOIN pg_attrdef AS nd ON nd.adrelid = n.attrelid AND nd.adnum = n.attnum
    AND n.attgenerated = ''
  WHERE o.attnum > 0 AND NOT o.attisdropped
), commented AS (
  SELECT format('COLUMN %%s.%%I', %(new)s::text, attname) AS what,
    col_description(attrelid, attnum) AS words, col_description(new_attrelid, new_attnum) AS now
  FROM columns
  UNION ALL
  SELECT format('CONSTRAINT %%I ON %%s', o.conname, %(new)s::text),
    obj_description(o.oid, 'pg_constraint'), obj_description(n.oid, 'pg_constraint')
  FROM old JOIN pg_constraint AS o ON o.conrelid = old.oid
  JOIN new ON true JOIN pg_constraint AS n ON n.conrelid = new.oid AND n.conname = o.conname
  WHERE o.contype <> 'n'
  UNION ALL
  SELECT format('TRIGGER %%I ON %%s', o.tgname, %(new)s::text),
    obj_description(o.oid, 'pg_trigger'), obj_description(n.oid, 'pg_trigger')
  FROM old JOIN pg_trigger AS o ON o.tgrelid = old.oid AND NOT o.tgisinternal
  JOIN new ON true JOIN pg_trigger AS n ON n.tgrelid = new.oid AND n.tgname = o.tgname
  UNION ALL
  SELECT format('INDEX %%I.%%I', s.nspname, n.relname),
    obj_description(o.oid, 'pg_class'), obj_description(n.oid, 'pg_class')
  FROM old JOIN pg_index AS oi ON oi.indrelid = old.oid JOIN pg_class AS o ON o.oid = oi.indexrelid
  JOIN new ON true JOIN pg_index AS ni ON ni.indrelid = new.oid
  JOIN pg_class AS n ON n.oid = ni.indexrelid AND n.relname = o.relname
  JOIN pg_namespace AS s ON s.oid = n.relnamespace
), marked AS (
  SELECT x.relname, i.* FROM old JOIN pg_index AS i ON i.indrelid = old.oid
  JOIN pg_class AS x ON x.oid = i.indexrelid
)
SELECT ddl FROM (
  SELECT format('COMMENT ON %%s IS %%L', what, words) FROM commented
  WHERE words IS DISTINCT FROM now
  UNION ALL
  SELECT format('ALTER TABLE %%s ALTER %%I SET STATISTICS %%s', %(new)s::text, attname, target)
  FROM columns WHERE target <> new_target
  UNION ALL
  SELECT format('ALTER TABLE %%s ALTER %%I SET (%%s)', %(new)s::text, attname,
    array_to_string(attoptions, ', '))
  FROM columns WHERE attoptions IS DISTINCT FROM new_options AND attoptions IS NOT NULL
  UNION ALL
  SELECT format('ALTER TABLE %%s ALTER %%I SET STORAGE %%s', %(new)s::text, attname,
    CASE attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN'
      ELSE 'EXTENDED' END)
  FROM columns WHERE attstorage <> new_storage
  UNION ALL
  SELECT format('ALTER TABLE %%s ALTER %%I %%s', %(new)s::text, attname,
    coalesce('SET DEFAULT ' || value, 'DROP DEFAULT'))
  FROM columns WHERE value IS DISTINCT FROM new_value
  UNION ALL
  SELECT format('ALTER TABLE %%s %%s TRIGGER %%I', %(new)s::text, CASE o.tgenabled
    WHEN 'D' THEN 'DISABLE' WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA'
    ELSE 'ENABLE' END, o.tgname)
  FROM old JOIN pg_trigger AS o ON o.tgrelid = old.oid AND NOT o.tgisinternal
  UNION ALL
  SELECT format('ALTER TABLE %%s SET (%%s)', %(new)s::text, array_to_string(old.reloptions, ', '))
  FROM old WHERE reloptions IS NOT NULL
  UNION ALL
  SELECT format('ALTER TABLE %%s SET (%%s)', %(new)s::text,
    (SELECT string_agg('toast.' || option, ', ') FROM unnest(t.reloptions) AS option))
  FROM old JOIN pg_class AS t ON t.oid = old.reltoastrelid WHERE t.reloptions IS NOT NULL
  UNION ALL
  SELECT format('ALTER TABLE %%s REPLICA IDENTITY %%s', %(new)s::text, CASE relreplident
    WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING' WHEN 'd' THEN 'DEFAULT'
    ELSE (SELECT format('USING INDEX %%I', relname) FROM marked WHERE indisreplident) END)
  FROM old
  UNION ALL
  SELECT coalesce(
    (SELECT format('ALTER TABLE %%s CLUSTER ON %%I', %(new)s::text, relname)
     FROM marked WHERE indisclustered
       AND EXISTS (SELECT FROM new JOIN pg_class AS x ON x.relnamespace = new.relnamespace
                   WHERE x.relname = marked.relname)),
    format('ALTER TABLE %%s SET WITHOUT CLUSTER', %(new)s::text))
  UNION ALL
  SELECT format('DROP POLICY %%I ON %%s', polname, %(new)s::text)
  FROM new JOIN pg_policy ON polrelid = new.oid
) AS s (ddl)

-- name: readers
-- Policies, which may read the table itself, and the views that this role owns, with the names of the
-- table in use. Run after the move, when these names mean the incoming table. The setting search_path
-- must be empty. A statement of a view has the view's name with it.
SELECT name, ddl FROM (
  SELECT 1, NULL, format('CREATE POLICY %%I ON %%s AS %%s FOR %%s TO %%s%%s%%s', polname,
    polrelid::regclass, CASE WHEN polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
    CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
      WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
    (SELECT string_agg(CASE role WHEN 0 THEN 'PUBLIC' ELSE role::regrole::text END, ', ')
     FROM unnest(polroles) AS role),
    ' USING (' || pg_get_expr(polqual, polrelid) || ')',
    ' WITH CHECK (' || pg_get_expr(polwithcheck, polrelid) || ')')
  FROM pg_policy WHERE polrelid = %(oid)s
  UNION ALL
  SELECT 2, NULL, format('COMMENT ON POLICY %%I ON %%s IS %%L', polname, polrelid::regclass,
    obj_description(oid, 'pg_policy'))
  FROM pg_policy WHERE polrelid = %(oid)s AND obj_description(oid, 'pg_policy') IS NOT NULL
  UNION
  SELECT 3, v.oid::regclass::text, format('CREATE OR REPLACE VIEW %%s%%s AS %%s', v.oid::regclass,
    ' WITH (' || array_to_string(v.reloptions, ', ') || ')', pg_get_viewdef(v.oid))
  FROM pg_depend AS d JOIN pg_rewrite AS r ON r.oid = d.objid
  JOIN pg_class AS v ON v.oid = r.ev_class
  WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
    AND d.refobjid = %(oid)s AND v.relkind = 'v' AND pg_has_role(v.relowner, 'USAGE')
) AS s (part, name, ddl)
ORDER BY part, ddl

-- name: oid
SELECT to_regclass(%(table)s)::oid

-- name: search_path
SELECT current_setting('search_path')

-- name: set_search_path
SELECT set_config('search_path', %(path)s, true)

-- name: invalid_indexes
SELECT x.relname FROM pg_index AS i JOIN pg_class AS x ON x.oid = i.indexrelid
WHERE i.indrelid = to_regclass(%(table)s) AND NOT i.indisvalid ORDER BY 1
