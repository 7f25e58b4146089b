-- name: read
SELECT "Preset" AS preset, "Version" AS version, "Options" AS options, "Changes" AS changes
FROM shelfsight."Catalog"

-- name: write
INSERT INTO shelfsight."Catalog" ("Preset", "Version", "Options", "Changes")
VALUES (%(preset)s, %(version)s, %(options)s, %(changes)s)
ON CONFLICT ("Id") DO UPDATE SET "Preset" = EXCLUDED."Preset", "Version" = EXCLUDED."Version",
  "Options" = EXCLUDED."Options", "Changes" = EXCLUDED."Changes", "CreatedAt" = now()

-- name: forget
DELETE FROM shelfsight."Catalog"

-- name: other_ids
-- The columns of our tables that hold ids of another type than the one that is read now.
SELECT t.relname, attname FROM pg_attribute JOIN pg_class AS t ON t.oid = attrelid
WHERE t.relnamespace = 'shelfsight'::regnamespace
  AND (t.relname, attname) IN (('EmbeddingFailures', 'ProductVariantId'),
    ('EmbeddingQueue', 'ProductVariantId'), ('BackfillLeases', 'After'), ('BackfillLeases', 'Last'))
  AND format_type(atttypid, atttypmod) <> %(id_type)s
ORDER BY t.relname, attname

-- name: foreign_keys
-- The foreign keys of our tables to tables of the shop. No table can be referred to through a view.
SELECT conrelid::regclass::text, conname FROM pg_constraint
JOIN pg_class AS t ON t.oid = conrelid JOIN pg_class AS other ON other.oid = confrelid
WHERE contype = 'f' AND t.relnamespace = 'shelfsight'::regnamespace
  AND other.relnamespace <> t.relnamespace

-- name: drop_foreign_key
ALTER TABLE {table} DROP CONSTRAINT {name}

-- name: empty
DELETE FROM shelfsight.{table}

-- name: close_runs
UPDATE shelfsight."BackfillRuns" SET "ClosedAt" = now(), "Outcome" = 'replaced'
WHERE "ClosedAt" IS NULL

-- name: alter_type
ALTER TABLE shelfsight.{table} ALTER COLUMN {column} TYPE {id_type} USING NULL

-- name: other_vectors
-- A set of vectors that is staged, or was switched away from.
SELECT n.nspname FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace
WHERE t.relname = 'ProductEmbeddings' AND n.nspname IN ('shelfsight_next', 'shelfsight_previous')
LIMIT 1
