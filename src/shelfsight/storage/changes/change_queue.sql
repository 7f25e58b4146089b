-- name: lock
-- Only one worker claims at a time. Two workers that claim at once could each get a row of the same
-- product.
SELECT pg_advisory_xact_lock(%(key)s)

-- name: claim
-- Leaves out every row of a product of which a worker has claimed a row, and the rows that a
-- transaction of the shop is changing at the moment.
WITH claimable AS (
  SELECT q."Number" FROM shelfsight."EmbeddingQueue" AS q
  WHERE (q."ExpiresAt" IS NULL OR q."ExpiresAt" <= now())
    AND NOT EXISTS (
      SELECT FROM shelfsight."EmbeddingQueue" AS claimed
      WHERE claimed."ProductVariantId" = q."ProductVariantId" AND claimed."ExpiresAt" > now())
  ORDER BY q."Number" {order}
  LIMIT %(limit)s
  FOR UPDATE OF q SKIP LOCKED
)
UPDATE shelfsight."EmbeddingQueue" AS q
SET "Worker" = %(token)s, "ExpiresAt" = now() + %(lease)s::interval
FROM claimable WHERE q."Number" = claimable."Number"
RETURNING q."Number", q."ProductVariantId"::text

-- name: delete_claimed
DELETE FROM shelfsight."EmbeddingQueue" WHERE "Number" = ANY(%(rows)s) AND "Worker" = %(token)s

-- name: lock_claimed
SELECT FROM shelfsight."EmbeddingQueue" WHERE "Number" = ANY(%(rows)s) AND "Worker" = %(token)s
FOR UPDATE

-- name: add
-- A negative "sign" makes the number negative, which counts as older than every change.
INSERT INTO shelfsight."EmbeddingQueue" ("Number", "ProductVariantId")
SELECT %(sign)s * nextval(pg_get_serial_sequence('shelfsight."EmbeddingQueue"', 'Number')), id
FROM unnest(%(ids)s::{id_type}[]) AS id
WHERE NOT EXISTS (
  SELECT FROM shelfsight."EmbeddingQueue" AS q WHERE q."ProductVariantId" = id AND q."Worker" IS NULL)

-- name: add_retries
INSERT INTO shelfsight."EmbeddingQueue" ("Number", "ProductVariantId")
SELECT -nextval(pg_get_serial_sequence('shelfsight."EmbeddingQueue"', 'Number')), id
FROM (
  SELECT DISTINCT f."ProductVariantId" AS id FROM shelfsight."EmbeddingFailures" AS f
  WHERE f."VectorSet" = 'in_use' AND f."NextAttemptAt" <= now() AND NOT EXISTS (
    SELECT FROM shelfsight."EmbeddingQueue" AS q WHERE q."ProductVariantId" = f."ProductVariantId")
  LIMIT %(limit)s
) AS failed

-- name: is_full
SELECT count(*) >= %(enough)s
FROM (SELECT FROM shelfsight."EmbeddingQueue" WHERE "Worker" IS NULL LIMIT %(enough)s) AS waiting

-- name: release
UPDATE shelfsight."EmbeddingQueue" SET "Worker" = NULL, "ExpiresAt" = NULL
WHERE starts_with("Worker", %(name)s) OR "Worker" = ANY(%(ended)s)

-- name: claim_tokens
SELECT DISTINCT "Worker" FROM shelfsight."EmbeddingQueue" WHERE "Worker" IS NOT NULL

-- name: is_run_at_work
-- A lease that ends more than two minutes from now was set by a machine whose clock differs.
SELECT EXISTS (SELECT FROM shelfsight."BackfillLeases" WHERE "DoneAt" IS NULL
  AND "ExpiresAt" BETWEEN now() AND now() + interval '2 minutes')
