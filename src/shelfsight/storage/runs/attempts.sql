-- name: begin
INSERT INTO shelfsight."EmbeddingAttempts" AS a ("ProductVariantId")
SELECT DISTINCT id FROM unnest(%(ids)s::text[]) AS id ORDER BY id
ON CONFLICT ("ProductVariantId") DO UPDATE SET "Attempts" = a."Attempts" + 1, "BeganAt" = now()

-- name: end
WITH ended AS (
  SELECT "ProductVariantId" FROM shelfsight."EmbeddingAttempts"
  WHERE "ProductVariantId" = ANY(%(ids)s::text[]) ORDER BY "ProductVariantId" FOR UPDATE
)
DELETE FROM shelfsight."EmbeddingAttempts" AS a USING ended
WHERE a."ProductVariantId" = ended."ProductVariantId"

-- name: forget
-- Forgets what is old, and products that have failed for this reason since: if they are tried again,
-- because their content has changed or somebody wants it so, they begin anew.
DELETE FROM shelfsight."EmbeddingAttempts" AS a
WHERE a."BeganAt" < now() - %(kept)s::interval
  OR EXISTS (SELECT FROM shelfsight."EmbeddingFailures" AS f
             WHERE f."ProductVariantId"::text = a."ProductVariantId" AND f."Kind" = %(kind)s
               AND f."UpdatedAt" >= a."BeganAt")

-- name: unended
SELECT "ProductVariantId", "Attempts" FROM shelfsight."EmbeddingAttempts"
