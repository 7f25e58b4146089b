-- name: failures_in_shop
-- Failures, in the set of vectors in use, of products that the shop still has. The parameter `host` may include the port or not.
FROM shelfsight."EmbeddingFailures" AS f JOIN "ProductVariants" AS v ON v."Id" = f."ProductVariantId"
WHERE f."VectorSet" = 'in_use' AND (%(kind)s::text IS NULL OR f."Kind" = %(kind)s)
  AND (%(host)s::text IS NULL OR %(host)s IN (f."Host", regexp_replace(f."Host", ':\d+$', '')))
  AND {condition}

-- name: by_kind
-- The example of each kind is the product that failed last.
WITH counted AS (
  SELECT f."Kind" AS kind, count(DISTINCT f."ProductVariantId") AS products,
    sum(f."Attempts")::bigint AS attempts, min(f."NextAttemptAt") AS next_attempt
  {failures}
  GROUP BY f."Kind"
), example AS (
  SELECT DISTINCT ON (f."Kind") f."Kind" AS kind, v."Id"::text AS id, {title} AS title,
    f."Message" AS message
  {failures}
  ORDER BY f."Kind", f."UpdatedAt" DESC, v."Id"
)
SELECT kind, products, attempts, next_attempt, id, title, message
FROM counted JOIN example USING (kind)
ORDER BY products DESC, kind

-- name: one_by_one
SELECT f."Kind" AS kind, f."Attempts" AS attempts, f."NextAttemptAt" AS next_attempt,
  v."Id"::text AS id, {title} AS title, f."Message" AS message, f."Host" AS host
{failures}
ORDER BY f."UpdatedAt" DESC, v."Id", f."Stage"
LIMIT %(limit)s
