-- name: lock
-- Workers that begin look one after another: two must not begin two runs of one job, nor one join what
-- another is about to replace. One that vanishes meanwhile must not keep the others out.
SELECT pg_advisory_xact_lock(%(key)s),
  set_config('idle_in_transaction_session_timeout', '60s', true)

-- name: open
-- The open runs of this job, newest first, and whether it was just cut and is about to be leased.
SELECT r."Id" AS id, r."CreatedAt" > now() - %(lease)s::interval AND NOT EXISTS (
    SELECT FROM "BackfillLeases" AS l WHERE l."RunId" = r."Id" AND l."Fence" > 0) AS is_fresh
FROM "BackfillRuns" AS r
WHERE r."ClosedAt" IS NULL AND r."Asked" = %(asked)s AND r."ModelVersions" = %(models)s
ORDER BY r."Id" DESC

-- name: newest_open
SELECT "Id" FROM "BackfillRuns" WHERE "ClosedAt" IS NULL ORDER BY "Id" DESC LIMIT 1

-- name: insert_run
INSERT INTO "BackfillRuns" ("Asked", "ModelVersions", "Due")
VALUES (%(asked)s, %(models)s, %(due)s)
RETURNING "Id"

-- name: insert_lease
INSERT INTO "BackfillLeases" ("RunId", "Number", "After", "Last", "Ids")
VALUES (%(run)s, %(number)s, %(after)s::{id_type}, %(last)s::{id_type}, %(ids)s)

-- name: claim
-- A range that is held goes to another where its holder is silent, see `holders`. The fence is drawn,
-- not counted: a claim that a crash of the database took back must not have that of the next one.
WITH free AS (
  SELECT l."Number" FROM "BackfillLeases" AS l
  WHERE l."RunId" = %(run)s AND l."DoneAt" IS NULL
    AND (l."ExpiresAt" IS NULL
         OR (l."Number", l.xmin::text) IN (
           SELECT * FROM unnest(%(numbers)s::int[], %(versions)s::text[])))
  ORDER BY l."Number"
  LIMIT 1
  FOR UPDATE SKIP LOCKED
)
UPDATE "BackfillLeases" AS l
SET "Worker" = %(worker)s, "Fence" = 1 + floor(2147483647 * random())::integer,
    "ExpiresAt" = now() + %(lease)s::interval
FROM free
WHERE l."RunId" = %(run)s AND l."Number" = free."Number"
RETURNING l."Number" AS number, l."Fence" AS fence, l."Stored" AS stored, l."Ids" AS ids,
  coalesce(l."Left", jsonb_build_array(jsonb_build_array(l."After"::text, l."Last"::text))) AS left,
  l."Counts" AS products, l."Failures" AS failures

-- name: is_left
SELECT EXISTS (SELECT FROM "BackfillLeases" WHERE "RunId" = %(run)s AND "DoneAt" IS NULL)

-- name: renew
-- Only what this worker knows it holds: a claim whose answer was lost must run out.
UPDATE "BackfillLeases" AS l SET "ExpiresAt" = now() + %(lease)s::interval
FROM unnest(%(numbers)s::int[], %(fences)s::int[]) AS held(number, fence)
WHERE l."RunId" = %(run)s AND l."Number" = held.number AND l."Fence" = held.fence
  AND l."DoneAt" IS NULL

-- name: give_back
UPDATE "BackfillLeases" SET "ExpiresAt" = NULL, "Worker" = NULL
WHERE "RunId" = %(run)s AND "Number" = %(number)s AND "Fence" = %(fence)s AND "DoneAt" IS NULL

-- name: release
UPDATE "BackfillLeases" SET "ExpiresAt" = NULL, "Worker" = NULL
WHERE "RunId" = %(run)s AND "Worker" = ANY(%(workers)s) AND "DoneAt" IS NULL

-- name: release_gone
-- Without waiting for what their transactions may still hold.
WITH free AS (
  SELECT "Number" FROM "BackfillLeases"
  WHERE "RunId" = %(run)s AND "Worker" = ANY(%(workers)s) AND "DoneAt" IS NULL
  ORDER BY "Number" FOR UPDATE SKIP LOCKED
)
UPDATE "BackfillLeases" AS l SET "ExpiresAt" = NULL, "Worker" = NULL
FROM free WHERE l."RunId" = %(run)s AND l."Number" = free."Number"

-- name: hold_still
-- Nobody claims a range until this transaction ends; false where somebody writes to one just now, who
-- is not waited for: a machine that is gone may leave its transaction open for hours.
WITH still AS (
  SELECT FROM "BackfillLeases" WHERE "RunId" = %(run)s AND "DoneAt" IS NULL
  ORDER BY "Number" FOR UPDATE SKIP LOCKED
)
SELECT (SELECT count(*) FROM still) = count(*)
FROM "BackfillLeases" WHERE "RunId" = %(run)s AND "DoneAt" IS NULL

-- name: held
-- What is held, by whom, and whether it is in time: an end that is over, or lies much further off than a
-- lease, may have been written by another clock. Whoever writes to a row gives it another xmin.
SELECT "Worker" AS worker, "Number" AS number, xmin::text AS version,
  "ExpiresAt" BETWEEN now() AND now() + 2 * %(lease)s::interval AS is_in_time
FROM "BackfillLeases"
WHERE "RunId" = %(run)s AND "DoneAt" IS NULL AND "ExpiresAt" IS NOT NULL

-- name: advance
-- Nothing is updated where another tenure has begun, or where a page that was stored is missing.
UPDATE "BackfillLeases"
SET "Left" = %(left)s, "Stored" = "Stored" + 1, "ExpiresAt" = now() + %(lease)s::interval,
    "DoneAt" = CASE WHEN %(is_done)s THEN now() END,
    "Counts" = %(counts)s, "Failures" = %(failures)s
WHERE "RunId" = %(run)s AND "Number" = %(number)s AND "Fence" = %(fence)s AND "DoneAt" IS NULL
  AND "Stored" = %(stored)s

-- name: has_advanced
-- Whether this very page was stored before: its commit went through, the answer was lost.
SELECT EXISTS (
  SELECT FROM "BackfillLeases"
  WHERE "RunId" = %(run)s AND "Number" = %(number)s AND "Fence" = %(fence)s
    AND "Stored" = %(stored)s + 1)

-- name: close
-- A closed run keeps the sums of its leases, and the leases go.
WITH gone AS (
  DELETE FROM "BackfillLeases" WHERE "RunId" = %(run)s RETURNING "Counts", "Failures"
)
UPDATE "BackfillRuns"
SET "ClosedAt" = now(), "Outcome" = %(outcome)s,
    "Counts" = (SELECT coalesce(jsonb_object_agg(key, total), '{}') FROM (
      SELECT key, sum(value::bigint) AS total FROM gone, jsonb_each_text("Counts") GROUP BY key) AS t),
    "Failures" = (SELECT coalesce(jsonb_object_agg(key, total), '{}') FROM (
      SELECT key, sum(value::bigint) AS total FROM gone, jsonb_each_text("Failures") GROUP BY key)
      AS t)
WHERE "Id" = %(run)s AND "ClosedAt" IS NULL

-- name: runs
SELECT r."Id" AS id, r."Asked" AS asked, r."ModelVersions" AS models, r."Due" AS due,
  r."Outcome" AS outcome, r."CreatedAt" AS began, coalesce(r."ClosedAt", r."CreatedAt") AS ended,
  CASE WHEN r."ClosedAt" IS NULL THEN l.workers ELSE 0 END AS workers,
  CASE WHEN r."ClosedAt" IS NULL THEN l.counts ELSE r."Counts" END AS counts,
  CASE WHEN r."ClosedAt" IS NULL THEN l.failures ELSE r."Failures" END AS failures
FROM "BackfillRuns" AS r, LATERAL (
  SELECT
    (SELECT count(DISTINCT "Worker") FROM "BackfillLeases"
     WHERE "RunId" = r."Id" AND "DoneAt" IS NULL
       AND "ExpiresAt" BETWEEN now() AND now() + 2 * %(lease)s::interval) AS workers,
    (SELECT coalesce(jsonb_object_agg(key, total), '{}') FROM (
      SELECT key, sum(value::bigint) AS total FROM "BackfillLeases", jsonb_each_text("Counts")
      WHERE "RunId" = r."Id" GROUP BY key) AS t) AS counts,
    (SELECT coalesce(jsonb_object_agg(key, total), '{}') FROM (
      SELECT key, sum(value::bigint) AS total FROM "BackfillLeases", jsonb_each_text("Failures")
      WHERE "RunId" = r."Id" GROUP BY key) AS t) AS failures
) AS l
WHERE %(only)s::bigint IS NULL OR r."Id" = %(only)s
ORDER BY r."Id" DESC
LIMIT %(limit)s
