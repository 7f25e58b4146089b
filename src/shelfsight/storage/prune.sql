-- name: see_all
-- Rows that are hidden from this role must not be taken for gone: Postgres refuses to hide any.
SET LOCAL row_security = off

-- name: window
-- The next ids of a table, and how many of its rows belong to products that are gone or archived.
WITH span AS MATERIALIZED (
  SELECT "ProductVariantId" AS id FROM {table}
  WHERE "ProductVariantId" IS NOT NULL
    AND (%(after)s::{id_type} IS NULL OR "ProductVariantId" > %(after)s::{id_type})
  ORDER BY "ProductVariantId"
  LIMIT %(window)s
), gone AS (
  SELECT DISTINCT span.id FROM span
  WHERE NOT EXISTS (SELECT FROM "ProductVariants" AS v WHERE v."Id" = span.id AND {living})
), pruned AS ({prune})
SELECT (SELECT count(*) FROM span) AS size,
       (SELECT id::text FROM span ORDER BY span.id DESC LIMIT 1) AS last,
       (SELECT count(*) FROM pruned) AS pruned

-- name: delete
DELETE FROM {table} AS t USING gone WHERE t."ProductVariantId" = gone.id RETURNING 1

-- name: count
SELECT FROM {table} AS t JOIN gone ON t."ProductVariantId" = gone.id

-- name: scan_means
{prune} FROM "ScanMeans" AS m WHERE m."UserId" <> '' AND {unknown}

-- name: is_unknown
NOT EXISTS (SELECT FROM {table} AS t WHERE t."UserId"::text = m."UserId")

-- name: old_runs
{prune} FROM "BackfillRuns" WHERE "ClosedAt" < now() - %(keep)s::interval
