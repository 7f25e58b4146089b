-- name: clear_failures
-- Deletes the failures of a page's products, except those of stages that failed again or were not
-- tried.
DELETE FROM shelfsight."EmbeddingFailures"
WHERE "VectorSet" = %(vector_set)s AND "ProductVariantId" = ANY(%(ids)s::{id_type}[])
  AND ("ProductVariantId"::text || ' ' || "Stage") <> ALL(%(stay)s)

-- name: carry_failures
-- A failure whose stage was not tried again still applies if its own part of the content hash has
-- not changed. Then the failure gets the hash of the present content.
UPDATE shelfsight."EmbeddingFailures" AS f SET "SourceHash" = x.hash
FROM unnest(%(ids)s::{id_type}[], %(stages)s::text[], %(parts)s::int[], %(hashes)s::text[])
  AS x (id, stage, part, hash)
WHERE f."VectorSet" = %(vector_set)s AND f."ProductVariantId" = x.id AND f."Stage" = x.stage
  AND f."SourceHash" <> x.hash
  AND split_part(f."SourceHash", ':', x.part) = split_part(x.hash, ':', x.part)

-- name: record_failure
-- A transient failure is tried again after 5 minutes, then after 10, 20 and so on, up to a day. A
-- missing picture is tried again after a day. If only changed content can help, there is no next
-- attempt until the content has changed. "Settings" keeps the last settings with which the same
-- content failed, so that each is tried once.
INSERT INTO shelfsight."EmbeddingFailures" AS f (
  "ProductVariantId", "Stage", "VectorSet", "Kind", "Message", "Host", "SourceHash", "Settings",
  "NextAttemptAt")
SELECT v."Id", %(stage)s, %(vector_set)s, %(kind)s, %(message)s, %(host)s, %(source_hash)s,
  %(settings)s::text[],
  now() + %(wait)s::interval
FROM "ProductVariants" AS v WHERE v."Id" = %(id)s::{id_type}
ON CONFLICT ("ProductVariantId", "Stage", "VectorSet") DO UPDATE SET
  "Kind" = EXCLUDED."Kind", "Message" = EXCLUDED."Message", "Host" = EXCLUDED."Host",
  "UpdatedAt" = now(),
  "Attempts" = CASE WHEN {is_same} THEN f."Attempts" + 1 ELSE 1 END,
  "SourceHash" = EXCLUDED."SourceHash",
  "Settings" = EXCLUDED."Settings" || CASE
    WHEN {is_same} AND cardinality(EXCLUDED."Settings") > 0
    THEN (array_remove(f."Settings", EXCLUDED."Settings"[1]))[1:%(others)s] ELSE '{{}}' END,
  "NextAttemptAt" = now() + CASE
    WHEN %(doubles)s AND {is_same}
    THEN least(%(wait)s::interval * power(2, least(f."Attempts", 16)), interval '1 day')
    ELSE %(wait)s::interval END

-- name: is_same
-- Whether the same content failed before.
(split_part(f."SourceHash", ':', %(part)s) = split_part(EXCLUDED."SourceHash", ':', %(part)s))
