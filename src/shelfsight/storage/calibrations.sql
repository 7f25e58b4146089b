-- name: may_read
-- Whether there is the table, and this role may read it.
SELECT coalesce(has_table_privilege(to_regclass('shelfsight."Calibrations"'), 'SELECT'), false)

-- name: try_lock
-- Whether nobody else holds the lock of these models. It is held until the transaction ends.
SELECT pg_try_advisory_xact_lock(%(key)s, hashtext(%(image_model)s || ' ' || %(text_model)s))

-- name: no_time_limit
-- The transaction that holds the lock does nothing for minutes.
SELECT set_config(name, '0', true) FROM pg_settings
WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')

-- name: load
-- That of these very models, or else one under a name that older releases stored.
SELECT "Calibration" FROM shelfsight."Calibrations"
WHERE "ImageModel" = ANY(%(image_models)s) AND "TextModel" = ANY(%(text_models)s)
ORDER BY array_position(%(image_models)s::text[], "ImageModel"::text),
  array_position(%(text_models)s::text[], "TextModel"::text)
LIMIT 1

-- name: save
INSERT INTO shelfsight."Calibrations" ("ImageModel", "TextModel", "Calibration")
VALUES (%(image_model)s, %(text_model)s, %(calibration)s)
ON CONFLICT ("ImageModel", "TextModel")
DO UPDATE SET "Calibration" = EXCLUDED."Calibration", "CreatedAt" = now()

-- name: delete
DELETE FROM shelfsight."Calibrations"
WHERE "ImageModel" = %(image_model)s AND "TextModel" = %(text_model)s
