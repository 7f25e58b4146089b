-- name: function
-- Puts products that have changed into the queue, for whoever writes to the shop's tables; runs
-- with the rights of the queue's owner. It must never fail such a write, nor make it wait: rows that
-- another transaction holds are passed over, for a new one. Only where a transaction sees one state
-- throughout are the waiting rows left alone, since touching them might break it. A notification
-- would forbid a two-phase commit, and fail where the queue of notifications is full.
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $body$
DECLARE
  changed {id_type}[];
  one {id_type};
BEGIN
  IF to_regclass({queue_name}) IS NULL THEN
    RETURN NULL;
  ELSIF TG_TABLE_NAME = 'ProductImages' AND TG_OP = 'UPDATE' THEN
    changed := ARRAY[OLD."ProductVariantId", NEW."ProductVariantId"];
  ELSIF TG_TABLE_NAME = 'ProductImages' THEN
    changed := ARRAY(SELECT DISTINCT "ProductVariantId" FROM touched);
  ELSIF TG_OP = 'UPDATE' THEN
    changed := ARRAY[NEW."Id"];
  ELSE
    changed := ARRAY(SELECT "Id" FROM touched);
  END IF;
  IF cardinality(changed) = 0 THEN
    RETURN NULL;
  END IF;
  FOREACH one IN ARRAY changed LOOP
    IF current_setting('transaction_isolation') = 'read committed' THEN
      UPDATE {queue} SET "Number" = DEFAULT, "ChangedAt" = clock_timestamp()
      WHERE ctid = (
        SELECT q.ctid FROM {queue} AS q
        WHERE q."ProductVariantId" = one AND q."Worker" IS NULL
        LIMIT 1 FOR UPDATE SKIP LOCKED);
      CONTINUE WHEN FOUND;
    END IF;
    INSERT INTO {queue} ("ProductVariantId") SELECT one WHERE one IS NOT NULL;
  END LOOP;
  IF current_setting('max_prepared_transactions') = '0' AND pg_notification_queue_usage() < 0.5 THEN
    PERFORM pg_notify({channel}, '');
  END IF;
  RETURN NULL;
END
$body$

-- name: keep_to_triggers
REVOKE ALL ON FUNCTION {function}() FROM PUBLIC

-- name: of_statement
CREATE TRIGGER {name} AFTER {event} ON {table} REFERENCING {rows} TABLE AS touched
FOR EACH STATEMENT EXECUTE FUNCTION {function}()

-- name: of_row
-- Costs nothing where other columns are written.
CREATE TRIGGER {name} AFTER UPDATE OF {columns} ON {table}
FOR EACH ROW WHEN ({differs}) EXECUTE FUNCTION {function}()

-- name: do_not_wait_long
-- What asks after us for the table waits as long as we do.
SET LOCAL lock_timeout = '2s'

-- name: kind
SELECT relkind FROM pg_class WHERE oid = to_regclass(quote_ident(%(table)s))

-- name: there
-- Which there are, and whether they are enabled.
SELECT tgname, tgenabled IN ('O', 'A') FROM pg_trigger
WHERE NOT tgisinternal AND tgname = ANY(%(names)s)
  AND tgrelid IN (to_regclass('"ProductVariants"'), to_regclass('"ProductImages"'))

-- name: schema
SELECT n.nspname FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace
WHERE t.oid = to_regclass('"EmbeddingQueue"')

-- name: see_nothing
-- So that the types of other schemas are named with them.
SET LOCAL search_path = ''

-- name: id_type
SELECT format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = to_regclass(%(queue)s) AND attname = 'ProductVariantId'

-- name: drop_function
DROP FUNCTION IF EXISTS {function}()
