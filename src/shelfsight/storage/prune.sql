-- name: disable_row_security
-- A product that row-level security hides must not be taken for deleted. With this setting Postgres
-- raises an error instead of hiding rows.
SET LOCAL row_security = off

-- name: window
-- Takes the next window of a table's ids, and deletes or counts the rows whose product is deleted
-- or archived.
WITH span AS MATERIALIZED (
  SELECT "ProductVariantId" AS id FROM {table}
  WHERE "ProductVariantId" IS NOT NULL AND "SourceHash" IS NOT NULL
    AND (%(after)s::{id_type} IS NULL OR "ProductVariantId" > %(after)s::{id_type})
  ORDER BY "ProductVariantId"
  LIMIT %(window)s
), leftover AS (
  SELECT DISTINCT span.id FROM span
  WHERE NOT EXISTS (SELECT FROM "ProductVariants" AS v WHERE v."Id" = span.id AND {in_shop})
), {prune}
SELECT (SELECT count(*) FROM span) AS size,
       (SELECT id::text FROM span ORDER BY span.id DESC LIMIT 1) AS last,
       (SELECT count(*) FROM pruned) AS pruned

-- name: delete
pruned AS (
  DELETE FROM {table} AS t USING leftover
  WHERE t."ProductVariantId" = leftover.id AND t."SourceHash" IS NOT NULL RETURNING 1)

-- name: delete_or_empty
-- A row in which the shop has stored something is emptied instead of deleted.
deleted AS (
  DELETE FROM {table} AS t USING leftover
  WHERE t."ProductVariantId" = leftover.id AND t."SourceHash" IS NOT NULL AND NOT {holds_values}
  RETURNING 1
), emptied AS (
  UPDATE {table} AS t SET {emptied} FROM leftover
  WHERE t."ProductVariantId" = leftover.id AND t."SourceHash" <> '' AND {holds_values}
  RETURNING 1
), pruned AS (SELECT FROM deleted UNION ALL SELECT FROM emptied)

-- name: count
pruned AS (
  SELECT FROM {table} AS t JOIN leftover
    ON t."ProductVariantId" = leftover.id AND t."SourceHash" IS NOT NULL
  WHERE t."SourceHash" <> '' OR NOT {holds_values})

-- name: scan_means
{prune} FROM shelfsight."ScanMeans" AS m WHERE m."UserId" <> '' AND {unknown}

-- name: is_unknown
NOT EXISTS (SELECT FROM {table} AS t WHERE {belongs})

-- name: confirmed_photos
{prune} FROM shelfsight."ConfirmedPhotos" AS c
WHERE NOT EXISTS (SELECT FROM "ProductVariants" AS v WHERE v."Id" = c."ProductVariantId")

-- name: old_runs
{prune} FROM shelfsight."BackfillRuns" WHERE "ClosedAt" < now() - %(keep)s::interval
