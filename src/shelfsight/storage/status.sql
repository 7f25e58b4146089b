-- name: totals
-- Rows without a "SourceHash" or a product are not ours, for example those of the shop's own scans.
-- Rows of products that the shop has deleted do not count either.
SELECT count(*) AS total, count("ImageEmbedding") AS image, count("TextEmbedding") AS text,
       count("CombinedEmbedding") AS combined
FROM "ProductEmbeddings" AS e
WHERE "SourceHash" <> '' AND EXISTS (
  SELECT FROM "ProductVariants" AS v WHERE v."Id" = e."ProductVariantId")

-- name: gone
-- Rows of products that the catalogue no longer has.
SELECT count(*) FROM "ProductEmbeddings" AS e
WHERE "SourceHash" <> '' AND "ProductVariantId" IS NOT NULL AND NOT EXISTS (
  SELECT FROM "ProductVariants" AS v WHERE v."Id" = e."ProductVariantId")

-- name: by_source
SELECT "SourceType" AS source_type, count(*) AS rows FROM "ProductEmbeddings" AS e
WHERE "SourceHash" <> '' AND EXISTS (
  SELECT FROM "ProductVariants" AS v WHERE v."Id" = e."ProductVariantId")
GROUP BY "SourceType"

-- name: failures
SELECT "Kind" AS kind, count(DISTINCT "ProductVariantId") AS products, min("Message") AS example
FROM shelfsight."EmbeddingFailures" AS f
WHERE "VectorSet" = 'in_use' AND EXISTS (
  SELECT FROM "ProductVariants" AS v WHERE v."Id" = f."ProductVariantId")
GROUP BY "Kind"
ORDER BY count(*) DESC, "Kind"
