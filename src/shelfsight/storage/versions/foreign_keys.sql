-- name: read
-- The foreign keys of the shop on the table in use, as statements over its name: drop it, add it
-- without a check of the rows, delete rows of shelfsight that it would refuse, comment on it, and
-- check the rows. The last one is null if the shop has not had them checked.
WITH keys AS (
  SELECT k.*, quote_ident(conname) AS name, conrelid::regclass AS on_table,
    pg_get_constraintdef(k.oid) AS definition, obj_description(k.oid, 'pg_constraint') AS words,
    (SELECT string_agg(format('t.%%I = r.%%I', o.attname, r.attname), ' AND ' ORDER BY n.place)
     FROM unnest(conkey, confkey) WITH ORDINALITY AS n (own, referred, place)
     JOIN pg_attribute AS o ON o.attrelid = conrelid AND o.attnum = n.own
     JOIN pg_attribute AS r ON r.attrelid = confrelid AND r.attnum = n.referred) AS is_referred,
    (SELECT string_agg(format('t.%%I IS NOT NULL', o.attname), ' AND ')
     FROM unnest(conkey) AS own
     JOIN pg_attribute AS o ON o.attrelid = conrelid AND o.attnum = own) AS refers
  FROM pg_constraint AS k WHERE contype = 'f' AND conrelid = to_regclass(%(table)s)
)
SELECT name,
  format('ALTER TABLE %%s ADD CONSTRAINT %%s %%s%%s', on_table, name, definition,
    CASE WHEN convalidated THEN ' NOT VALID' ELSE '' END) AS add,
  format('DELETE FROM %%s AS t WHERE t."SourceHash" IS NOT NULL AND %%s'
    ' AND NOT EXISTS (SELECT FROM %%s AS r WHERE %%s)', on_table, refers, confrelid::regclass,
    is_referred) AS clean,
  'COMMENT ON CONSTRAINT ' || name || ' ON ' || on_table || ' IS ' || quote_literal(words) AS comment,
  CASE WHEN convalidated
    THEN format('ALTER TABLE %%s VALIDATE CONSTRAINT %%s', on_table, name) END AS validate
FROM keys ORDER BY name

-- name: drop
ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}
