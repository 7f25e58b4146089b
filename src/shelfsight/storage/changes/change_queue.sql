-- name: lock
-- One take after the other: two at once could come by two rows of one product.
SELECT pg_advisory_xact_lock(%(key)s)

-- name: take
-- A product that is in hand is left out, however many rows it has. What a transaction of the shop
-- is just changing is skipped.
WITH chosen AS (
  SELECT q."Number" FROM "EmbeddingQueue" AS q
  WHERE (q."ExpiresAt" IS NULL OR q."ExpiresAt" <= now())
    AND NOT EXISTS (
      SELECT FROM "EmbeddingQueue" AS held
      WHERE held."ProductVariantId" = q."ProductVariantId" AND held."ExpiresAt" > now())
  ORDER BY q."Number" {order}
  LIMIT %(limit)s
  FOR UPDATE OF q SKIP LOCKED
)
UPDATE "EmbeddingQueue" AS q
SET "Worker" = %(token)s, "ExpiresAt" = now() + %(lease)s::interval
FROM chosen WHERE q."Number" = chosen."Number"
RETURNING q."Number", q."ProductVariantId"::text

-- name: settle
DELETE FROM "EmbeddingQueue" WHERE "Number" = ANY(%(rows)s) AND "Worker" = %(token)s

-- name: add
-- What is older than every change has a negative number, by "sign".
INSERT INTO "EmbeddingQueue" ("Number", "ProductVariantId")
SELECT %(sign)s * nextval(pg_get_serial_sequence('"EmbeddingQueue"', 'Number')), id
FROM unnest(%(ids)s::{id_type}[]) AS id
WHERE NOT EXISTS (
  SELECT FROM "EmbeddingQueue" AS q WHERE q."ProductVariantId" = id AND q."Worker" IS NULL)

-- name: add_retries
INSERT INTO "EmbeddingQueue" ("Number", "ProductVariantId")
SELECT -nextval(pg_get_serial_sequence('"EmbeddingQueue"', 'Number')), id
FROM (
  SELECT DISTINCT f."ProductVariantId" AS id FROM "EmbeddingFailures" AS f
  WHERE f."NextAttemptAt" <= now() AND NOT EXISTS (
    SELECT FROM "EmbeddingQueue" AS q WHERE q."ProductVariantId" = f."ProductVariantId")
  LIMIT %(limit)s
) AS failed

-- name: is_full
SELECT count(*) >= %(enough)s
FROM (SELECT FROM "EmbeddingQueue" WHERE "Worker" IS NULL LIMIT %(enough)s) AS waiting

-- name: release
UPDATE "EmbeddingQueue" SET "Worker" = NULL, "ExpiresAt" = NULL
WHERE starts_with("Worker", %(name)s) OR "Worker" = ANY(%(gone)s)

-- name: holders
SELECT DISTINCT "Worker" FROM "EmbeddingQueue" WHERE "Worker" IS NOT NULL

-- name: is_run_at_work
-- An end that lies further off than a lease is that of another clock.
SELECT EXISTS (SELECT FROM "BackfillLeases" WHERE "DoneAt" IS NULL
  AND "ExpiresAt" BETWEEN now() AND now() + interval '2 minutes')
