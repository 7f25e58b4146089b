-- name: function
-- Adds changed products to the queue. It runs with the privileges of the queue's owner, whoever
-- writes to the shop's tables. It must never make a write of the shop fail or wait. Therefore:
-- * If another transaction locks the product's waiting row, the function inserts a new row instead.
-- * If the isolation level is above READ COMMITTED, the function always inserts a row, because an
--   update could cause a serialization failure.
-- * The function sends a notification only where that is safe: a transaction that notifies cannot
--   use two-phase commit, and it fails if the queue of notifications is full.
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $body$
DECLARE
  ids {id_type}[];
  variant {id_type};
BEGIN
  IF to_regclass('shelfsight."EmbeddingQueue"') IS NULL THEN
    RETURN NULL;
  ELSIF TG_TABLE_NAME = 'ProductImages' AND TG_OP = 'UPDATE' THEN
    ids := ARRAY[OLD."ProductVariantId", NEW."ProductVariantId"];
  ELSIF TG_TABLE_NAME = 'ProductImages' THEN
    ids := ARRAY(SELECT DISTINCT "ProductVariantId" FROM touched);
  ELSIF TG_OP = 'UPDATE' THEN
    ids := ARRAY[NEW."Id"];
  ELSE
    ids := ARRAY(SELECT "Id" FROM touched);
  END IF;
  IF cardinality(ids) = 0 THEN
    RETURN NULL;
  END IF;
  {enqueue}
  RETURN NULL;
END
$body$

-- name: enqueue
-- Queues the products in the array `ids`.
FOREACH variant IN ARRAY ids LOOP
    IF current_setting('transaction_isolation') = 'read committed' THEN
      UPDATE shelfsight."EmbeddingQueue" SET "Number" = DEFAULT, "ChangedAt" = clock_timestamp()
      WHERE ctid = (
        SELECT q.ctid FROM shelfsight."EmbeddingQueue" AS q
        WHERE q."ProductVariantId" = variant AND q."Worker" IS NULL
        LIMIT 1 FOR UPDATE SKIP LOCKED);
      CONTINUE WHEN FOUND;
    END IF;
    INSERT INTO shelfsight."EmbeddingQueue" ("ProductVariantId") SELECT variant WHERE variant IS NOT NULL;
  END LOOP;
  IF current_setting('max_prepared_transactions') = '0' AND pg_notification_queue_usage() < 0.5 THEN
    PERFORM pg_notify({channel}, '');
  END IF;

-- name: revoke_execute
-- Only the triggers call this function.
REVOKE ALL ON FUNCTION {function}() FROM PUBLIC

-- name: statement_trigger
CREATE TRIGGER {name} AFTER {event} ON {table} REFERENCING {rows} TABLE AS touched
FOR EACH STATEMENT EXECUTE FUNCTION {function}()

-- name: row_trigger
-- This trigger costs nothing if only other columns are written.
CREATE TRIGGER {name} AFTER UPDATE OF {columns} ON {table}
FOR EACH ROW WHEN ({differs}) EXECUTE FUNCTION {function}()

-- name: lock_timeout
-- While this transaction waits for a table, every later request for the table waits behind it.
SET LOCAL lock_timeout = '2s'

-- name: kind
SELECT relkind FROM pg_class WHERE oid = to_regclass(quote_ident(%(table)s))

-- name: existing
-- The triggers that exist, and whether each is enabled.
SELECT tgname, tgenabled IN ('O', 'A') FROM pg_trigger
WHERE NOT tgisinternal AND tgname = ANY(%(names)s)
  AND tgrelid IN (to_regclass('"ProductVariants"'), to_regclass('"ProductImages"'))

-- name: outdated
-- The shop's tables whose triggers call the function of an older release, which is not in our
-- schema, and this function.
SELECT DISTINCT tgrelid::regclass::text, n.nspname, proname
FROM pg_trigger JOIN pg_proc AS p ON p.oid = tgfoid JOIN pg_namespace AS n ON n.oid = pronamespace
WHERE NOT tgisinternal AND tgname = ANY(%(names)s) AND n.nspname <> 'shelfsight'
  AND tgrelid IN (to_regclass('"ProductVariants"'), to_regclass('"ProductImages"'))

-- name: lock_table
LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE

-- name: rename_function
ALTER FUNCTION {old}() RENAME TO queue_changed

-- name: move_function
ALTER FUNCTION {old}() SET SCHEMA shelfsight

-- name: has_schema
SELECT FROM pg_namespace WHERE nspname = 'shelfsight'

-- name: search_path
SELECT current_setting('search_path')

-- name: set_search_path
-- With an empty search path, the statement `id_type` returns type names that include their schema.
SELECT set_config('search_path', %(path)s, true)

-- name: id_type
SELECT format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = to_regclass('shelfsight."EmbeddingQueue"') AND attname = 'ProductVariantId'

-- name: drop_function
DROP FUNCTION IF EXISTS {function}()

-- name: drop_function_with_triggers
DROP FUNCTION IF EXISTS {function}() CASCADE
