-- name: clear_failures
-- Delete the failures of a page, except those that occurred again or were not tried.
DELETE FROM "EmbeddingFailures"
WHERE "ProductVariantId" = ANY(%(ids)s::{id_type}[])
  AND ("ProductVariantId"::text || ' ' || "Stage") <> ALL(%(stay)s)

-- name: carry_failures
-- A failure that was not tried again still applies: its own part of the hash has not changed. So
-- give it the hash of the whole content as it is now.
UPDATE "EmbeddingFailures" AS f SET "SourceHash" = x.hash
FROM unnest(%(ids)s::{id_type}[], %(stages)s::text[], %(hashes)s::text[]) AS x (id, stage, hash)
WHERE f."ProductVariantId" = x.id AND f."Stage" = x.stage AND f."SourceHash" <> x.hash

-- name: record_failure
-- A transient failure is tried again after 5 minutes, then 10, 20, ... up to a day; a missing
-- picture after a day; what only other content can mend, once the content has changed.
INSERT INTO "EmbeddingFailures" AS f (
  "ProductVariantId", "Stage", "Kind", "Message", "Host", "SourceHash", "NextAttemptAt")
SELECT v."Id", %(stage)s, %(kind)s, %(message)s, %(host)s, %(source_hash)s,
  now() + %(wait)s::interval
FROM "ProductVariants" AS v WHERE v."Id" = %(id)s::{id_type}
ON CONFLICT ("ProductVariantId", "Stage") DO UPDATE SET
  "Kind" = EXCLUDED."Kind", "Message" = EXCLUDED."Message", "Host" = EXCLUDED."Host",
  "UpdatedAt" = now(),
  "Attempts" = CASE
    WHEN split_part(f."SourceHash", ':', %(part)s) = split_part(EXCLUDED."SourceHash", ':', %(part)s)
    THEN f."Attempts" + 1 ELSE 1 END,
  "SourceHash" = EXCLUDED."SourceHash",
  "NextAttemptAt" = now() + CASE
    WHEN %(doubles)s
      AND split_part(f."SourceHash", ':', %(part)s) = split_part(EXCLUDED."SourceHash", ':', %(part)s)
    THEN least(%(wait)s::interval * power(2, least(f."Attempts", 16)), interval '1 day')
    ELSE %(wait)s::interval END
