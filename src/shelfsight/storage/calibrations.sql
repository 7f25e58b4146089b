-- name: may_read
-- Whether there is the table, and this role may read it.
SELECT coalesce(has_table_privilege(to_regclass('shelfsight."Calibrations"'), 'SELECT'), false)

-- name: load
SELECT "Calibration" FROM shelfsight."Calibrations"
WHERE "ImageModel" = %(image_model)s AND "TextModel" = %(text_model)s

-- name: save
INSERT INTO shelfsight."Calibrations" ("ImageModel", "TextModel", "Calibration")
VALUES (%(image_model)s, %(text_model)s, %(calibration)s)
ON CONFLICT ("ImageModel", "TextModel")
DO UPDATE SET "Calibration" = EXCLUDED."Calibration", "CreatedAt" = now()

-- name: delete
DELETE FROM shelfsight."Calibrations"
WHERE "ImageModel" = %(image_model)s AND "TextModel" = %(text_model)s
