-- name: lock
-- Runs are begun one at a time: two workers must not begin two runs of the same job, and no worker
-- may join a run that another worker is about to replace. The timeout frees the lock if the worker
-- that holds it vanishes.
SELECT pg_advisory_xact_lock(%(key)s),
  set_config('idle_in_transaction_session_timeout', '60s', true)

-- name: open_runs
-- The open runs of this job, newest first. `ignored` are the parts of the job that may differ.
-- `is_new` is true if a run was just begun and none of its ranges has been claimed yet.
SELECT r."Id" AS id, r."CreatedAt" > now() - %(lease)s::interval AND NOT EXISTS (
    SELECT FROM shelfsight."BackfillLeases" AS l WHERE l."RunId" = r."Id" AND l."Fence" > 0) AS is_new
FROM shelfsight."BackfillRuns" AS r
WHERE r."ClosedAt" IS NULL AND r."ModelVersions" = %(models)s
  AND r."Asked" - %(ignored)s::text[] = %(asked)s - %(ignored)s::text[]
ORDER BY r."Id" DESC

-- name: newest_open
SELECT "Id" FROM shelfsight."BackfillRuns" WHERE "ClosedAt" IS NULL ORDER BY "Id" DESC LIMIT 1

-- name: insert_run
INSERT INTO shelfsight."BackfillRuns" ("Asked", "ModelVersions", "Due", "LossesAccepted")
VALUES (%(asked)s, %(models)s, %(due)s, %(losses_accepted)s)
RETURNING "Id"

-- name: accept_losses
UPDATE shelfsight."BackfillRuns" SET "LossesAccepted" = true WHERE "Id" = %(run)s

-- name: insert_lease
INSERT INTO shelfsight."BackfillLeases" ("RunId", "Number", "After", "Last", "Ids")
VALUES (%(run)s, %(number)s, %(after)s::{id_type}, %(last)s::{id_type}, %(ids)s)

-- name: claim
-- Claims the first range that is free, or whose worker is silent (see liveness.py). The fence is a
-- random number, not a count: if a crash of the database undoes a claim, the next claim must get
-- another fence.
WITH free AS (
  SELECT l."Number" FROM shelfsight."BackfillLeases" AS l
  WHERE l."RunId" = %(run)s AND l."DoneAt" IS NULL
    AND (l."ExpiresAt" IS NULL
         OR (l."Number", l.xmin::text) IN (
           SELECT * FROM unnest(%(numbers)s::int[], %(versions)s::text[])))
  ORDER BY l."Number"
  LIMIT 1
  FOR UPDATE SKIP LOCKED
)
UPDATE shelfsight."BackfillLeases" AS l
SET "Worker" = %(worker)s, "Fence" = 1 + floor(2147483647 * random())::integer,
    "ExpiresAt" = now() + %(lease)s::interval
FROM free
WHERE l."RunId" = %(run)s AND l."Number" = free."Number"
RETURNING l."Number" AS number, l."Fence" AS fence, l."Stored" AS stored, l."Ids" AS ids,
  coalesce(l."Left", jsonb_build_array(jsonb_build_array(l."After"::text, l."Last"::text))) AS left,
  l."Counts" AS products, l."Failures" AS failures

-- name: is_left
SELECT EXISTS (SELECT FROM shelfsight."BackfillLeases" WHERE "RunId" = %(run)s AND "DoneAt" IS NULL)

-- name: renew
-- Renews only the leases that this worker knows of. If the database's answer to a claim was lost,
-- the worker does not know of that lease, so the lease must expire.
UPDATE shelfsight."BackfillLeases" AS l SET "ExpiresAt" = now() + %(lease)s::interval
FROM unnest(%(numbers)s::int[], %(fences)s::int[]) AS mine(number, fence)
WHERE l."RunId" = %(run)s AND l."Number" = mine.number AND l."Fence" = mine.fence
  AND l."DoneAt" IS NULL

-- name: release_lost
UPDATE shelfsight."BackfillLeases" SET "ExpiresAt" = NULL, "Worker" = NULL
WHERE "RunId" = %(run)s AND "Number" = %(number)s AND "Fence" = %(fence)s AND "DoneAt" IS NULL

-- name: release
UPDATE shelfsight."BackfillLeases" SET "ExpiresAt" = NULL, "Worker" = NULL
WHERE "RunId" = %(run)s AND "Worker" = ANY(%(workers)s) AND "DoneAt" IS NULL

-- name: release_ended
-- Skips rows that are still locked by a transaction of a worker that has ended.
WITH free AS (
  SELECT "Number" FROM shelfsight."BackfillLeases"
  WHERE "RunId" = %(run)s AND "Worker" = ANY(%(workers)s) AND "DoneAt" IS NULL
  ORDER BY "Number" FOR UPDATE SKIP LOCKED
)
UPDATE shelfsight."BackfillLeases" AS l SET "ExpiresAt" = NULL, "Worker" = NULL
FROM free WHERE l."RunId" = %(run)s AND l."Number" = free."Number"

-- name: lock_ranges
-- Locks the ranges that are not done, so that no worker claims any of them until this transaction
-- ends. Returns false if a worker is writing to one of the ranges. It does not wait for that
-- worker: if its machine has died, its transaction may stay open for hours.
WITH locked AS (
  SELECT FROM shelfsight."BackfillLeases" WHERE "RunId" = %(run)s AND "DoneAt" IS NULL
  ORDER BY "Number" FOR UPDATE SKIP LOCKED
)
SELECT (SELECT count(*) FROM locked) = count(*)
FROM shelfsight."BackfillLeases" WHERE "RunId" = %(run)s AND "DoneAt" IS NULL

-- name: leased_ranges
-- A lease is in time unless it has expired, or ends so late that a machine with another clock must
-- have set it. Every write to a row changes its xmin, so xmin serves as the version of the row.
SELECT "Worker" AS worker, "Number" AS number, xmin::text AS version,
  "ExpiresAt" BETWEEN now() AND now() + 2 * %(lease)s::interval AS is_in_time
FROM shelfsight."BackfillLeases"
WHERE "RunId" = %(run)s AND "DoneAt" IS NULL AND "ExpiresAt" IS NOT NULL

-- name: advance
-- Updates no row if another worker has claimed the range, or if a page that was stored before is
-- missing.
UPDATE shelfsight."BackfillLeases"
SET "Left" = %(left)s, "Stored" = "Stored" + 1, "ExpiresAt" = now() + %(lease)s::interval,
    "DoneAt" = CASE WHEN %(is_done)s THEN now() END,
    "Counts" = %(counts)s, "Failures" = %(failures)s
WHERE "RunId" = %(run)s AND "Number" = %(number)s AND "Fence" = %(fence)s AND "DoneAt" IS NULL
  AND "Stored" = %(stored)s

-- name: hold
-- Locks the row of a lease. Finds no row in the cases in which `advance` updates none.
SELECT FROM shelfsight."BackfillLeases"
WHERE "RunId" = %(run)s AND "Number" = %(number)s AND "Fence" = %(fence)s AND "DoneAt" IS NULL
  AND "Stored" = %(stored)s
FOR NO KEY UPDATE

-- name: has_advanced
-- True if exactly this page was stored before: its commit succeeded, but the worker did not get the
-- answer.
SELECT EXISTS (
  SELECT FROM shelfsight."BackfillLeases"
  WHERE "RunId" = %(run)s AND "Number" = %(number)s AND "Fence" = %(fence)s
    AND "Stored" = %(stored)s + 1)

-- name: close
-- Adds up the counts of a run's leases, stores the sums in the run, and deletes the leases.
WITH deleted AS (
  DELETE FROM shelfsight."BackfillLeases" WHERE "RunId" = %(run)s RETURNING "Counts", "Failures"
)
UPDATE shelfsight."BackfillRuns"
SET "ClosedAt" = now(), "Outcome" = %(outcome)s,
    "Counts" = (SELECT coalesce(jsonb_object_agg(key, total), '{}') FROM (
      SELECT key, sum(value::bigint) AS total FROM deleted, jsonb_each_text("Counts") GROUP BY key) AS t),
    "Failures" = (SELECT coalesce(jsonb_object_agg(key, total), '{}') FROM (
      SELECT key, sum(value::bigint) AS total FROM deleted, jsonb_each_text("Failures") GROUP BY key)
      AS t)
WHERE "Id" = %(run)s AND "ClosedAt" IS NULL

-- name: runs
SELECT r."Id" AS id, r."Asked" AS asked, r."ModelVersions" AS models, r."Due" AS due,
  r."LossesAccepted" AS losses_accepted, r."Outcome" AS outcome, r."CreatedAt" AS began, coalesce(r."ClosedAt", r."CreatedAt") AS ended,
  CASE WHEN r."ClosedAt" IS NULL THEN l.workers ELSE 0 END AS workers,
  CASE WHEN r."ClosedAt" IS NULL THEN l.counts ELSE r."Counts" END AS counts,
  CASE WHEN r."ClosedAt" IS NULL THEN l.failures ELSE r."Failures" END AS failures
FROM shelfsight."BackfillRuns" AS r, LATERAL (
  SELECT
    (SELECT count(DISTINCT "Worker") FROM shelfsight."BackfillLeases"
     WHERE "RunId" = r."Id" AND "DoneAt" IS NULL
       AND "ExpiresAt" BETWEEN now() AND now() + 2 * %(lease)s::interval) AS workers,
    (SELECT coalesce(jsonb_object_agg(key, total), '{}') FROM (
      SELECT key, sum(value::bigint) AS total FROM shelfsight."BackfillLeases", jsonb_each_text("Counts")
      WHERE "RunId" = r."Id" GROUP BY key) AS t) AS counts,
    (SELECT coalesce(jsonb_object_agg(key, total), '{}') FROM (
      SELECT key, sum(value::bigint) AS total FROM shelfsight."BackfillLeases", jsonb_each_text("Failures")
      WHERE "RunId" = r."Id" GROUP BY key) AS t) AS failures
) AS l
WHERE %(only)s::bigint IS NULL OR r."Id" = %(only)s
ORDER BY r."Id" DESC
LIMIT %(limit)s
