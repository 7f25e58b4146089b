-- name: function
-- Adds changed and deleted products to the queue. It runs with the privileges of the queue's owner,
-- whoever writes to the shop's tables. It must never make a write of the shop fail or wait.
-- Therefore:
-- * If the id is missing or of another type by now, nothing is queued: a watch also looks through
--   the whole catalogue.
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
  is_of_images boolean := starts_with(TG_NAME, 'shelfsight_images');
  ids {id_type}[];
  variant {id_type};
BEGIN
  IF to_regclass('shelfsight."EmbeddingQueue"') IS NULL THEN
    RETURN NULL;
  END IF;
  BEGIN
    IF TG_OP = 'UPDATE' AND is_of_images THEN
      ids := ARRAY[OLD."ProductVariantId", NEW."ProductVariantId"];
    ELSIF TG_OP = 'UPDATE' THEN
      ids := ARRAY[NEW."Id"];
      IF OLD."Id" <> NEW."Id" THEN
        ids := ids || ARRAY[OLD."Id"];
      END IF;
    ELSIF is_of_images THEN
      ids := ARRAY(SELECT DISTINCT "ProductVariantId" FROM touched);
    ELSE
      ids := ARRAY(SELECT "Id" FROM touched);
    END IF;
  EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
  END;
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

-- name: comparison
-- Whether an update has changed what vectors are made of. If a column is missing by now, every update
-- counts as a change. It gives no rights, so that every role may run it: those that write do.
CREATE OR REPLACE FUNCTION {comparison}(before record, after record) RETURNS boolean
LANGUAGE plpgsql
AS $body$
BEGIN
  RETURN {differs};
EXCEPTION WHEN OTHERS THEN
  RETURN true;
END
$body$

-- name: grant_execute
-- Default privileges may have taken this right from roles that write to the shop's tables.
GRANT EXECUTE ON FUNCTION {comparison}(record, record) TO PUBLIC

-- name: revoke_execute
-- Only the triggers call this function.
REVOKE ALL ON FUNCTION {function}() FROM PUBLIC

-- name: differs
before.{column}::text IS DISTINCT FROM after.{column}::text

-- name: statement_trigger
CREATE OR REPLACE TRIGGER {name} AFTER {event} ON {table} REFERENCING {rows} TABLE AS touched
FOR EACH STATEMENT EXECUTE FUNCTION {function}()

-- name: row_trigger
-- The trigger names no column: Postgres would not let the shop drop it, or change its type.
CREATE OR REPLACE TRIGGER {name} AFTER UPDATE ON {table}
FOR EACH ROW WHEN ({comparison}(OLD, NEW)) EXECUTE FUNCTION {function}()

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

-- name: older
-- The triggers of older releases, which name columns of the shop.
SELECT tgname FROM pg_trigger
WHERE NOT tgisinternal AND tgname = ANY(%(names)s) AND tgattr::text <> ''
  AND tgrelid IN (to_regclass('"ProductVariants"'), to_regclass('"ProductImages"'))

-- name: outdated
-- The shop's tables whose triggers call the function of an older release, which is not in our
-- schema, and this function.
SELECT DISTINCT tgrelid::regclass::text, n.nspname, proname
FROM pg_trigger JOIN pg_proc AS p ON p.oid = tgfoid JOIN pg_namespace AS n ON n.oid = pronamespace
WHERE NOT tgisinternal AND tgname = ANY(%(names)s) AND n.nspname <> 'shelfsight'
  AND tgrelid IN (to_regclass('"ProductVariants"'), to_regclass('"ProductImages"'))

-- name: tied
-- The shop's tables, if a trigger or a foreign key ties one of them to a table of ours.
SELECT t.oid::regclass::text FROM pg_class AS t
WHERE t.oid IN (to_regclass('"ProductVariants"'), to_regclass('"ProductImages"'))
  AND t.relkind IN ('r', 'p') AND (
    EXISTS (
      SELECT FROM pg_trigger WHERE NOT tgisinternal AND tgname = ANY(%(names)s)
        AND tgrelid IN (to_regclass('"ProductVariants"'), to_regclass('"ProductImages"')))
    OR EXISTS (
      SELECT FROM pg_constraint WHERE contype = 'f' AND confrelid = to_regclass('"ProductVariants"')
        AND conname LIKE '%%\_ProductVariantId\_fkey'))
ORDER BY 1

-- name: lock_tables
LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE

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

-- name: drop_functions
DROP FUNCTION IF EXISTS {function}(), {variants_differ}(record, record), {images_differ}(record, record)

-- name: drop_functions_with_triggers
DROP FUNCTION IF EXISTS {function}(), {variants_differ}(record, record), {images_differ}(record, record)
CASCADE
