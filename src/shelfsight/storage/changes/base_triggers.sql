-- name: function
-- Adds the variants that a row of a base table belongs to to the queue, as the function of
-- triggers.sql does. Which columns count is compared here and not in the trigger, because Postgres
-- refuses to alter the type of a column that a trigger names. Where the platform has changed its
-- tables, nothing is queued, and the platform's own statement goes on.
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {path}
SET enable_seqscan = off
AS $body$
DECLARE
  ids {id_type}[] := '{{}}';
  variant {id_type};
  changed record;
BEGIN
  IF to_regclass('shelfsight."EmbeddingQueue"') IS NULL THEN
    RETURN NULL;
  END IF;
  BEGIN
    IF TG_OP = 'UPDATE' AND NOT ({differs}) THEN
      RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
      changed := OLD;
      ids := ids || ARRAY(SELECT found.id::{id_type} FROM ({variants}) AS found (id));
    END IF;
    IF TG_OP <> 'DELETE' THEN
      changed := NEW;
      ids := ids || ARRAY(SELECT found.id::{id_type} FROM ({variants}) AS found (id));
    END IF;
    ids := ARRAY(SELECT DISTINCT found.id FROM unnest(ids) AS found (id));
  EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
  END;
  {enqueue}
  RETURN NULL;
END
$body$

-- name: trigger
CREATE TRIGGER shelfsight_changed AFTER INSERT OR UPDATE OR DELETE ON {table}
FOR EACH ROW EXECUTE FUNCTION {function}()

-- name: path
-- The schemas in which the base tables are found, as a list that a function can be given.
SELECT concat_ws(', ', 'pg_catalog',
  (SELECT string_agg(quote_ident(name), ', ' ORDER BY number)
   FROM unnest(current_schemas(false)) WITH ORDINALITY AS s (name, number)
   WHERE name <> 'shelfsight'), 'pg_temp')

-- name: obstacles
-- The tables that can have no trigger, or on which this role may make none, each with the cure.
SELECT oid::regclass::text, CASE WHEN relkind IN ('r', 'p')
  THEN format('run: GRANT TRIGGER ON %%s TO %%I', oid::regclass, current_user)
  ELSE 'name the tables behind it in `changes`' END
FROM pg_class WHERE oid = ANY(%(tables)s::text[]::regclass[])
  AND (relkind NOT IN ('r', 'p') OR NOT has_table_privilege(oid, 'TRIGGER'))

-- name: existing
-- The triggers that exist: the table, the function, and whether the trigger is enabled.
SELECT tgrelid::regclass::text, p.proname, tgenabled IN ('O', 'A')
FROM pg_trigger JOIN pg_proc AS p ON p.oid = tgfoid JOIN pg_namespace AS n ON n.oid = pronamespace
WHERE tgname = 'shelfsight_changed' AND n.nspname = 'shelfsight'

-- name: drop
DROP TRIGGER shelfsight_changed ON {table}

-- name: drop_function
DROP FUNCTION {function}()
