-- name: totals
SELECT COUNT(*) as total_embeddings, COUNT("ImageEmbedding") as image_count,
       COUNT("TextEmbedding") as text_count, COUNT("CombinedEmbedding") as combined_count
FROM "ProductEmbeddings"

-- name: by_source
SELECT "SourceType", COUNT(*) as count FROM "ProductEmbeddings" GROUP BY "SourceType"

-- name: failures
SELECT "Kind", count(DISTINCT "ProductVariantId"), min("Message")
FROM "EmbeddingFailures"
GROUP BY "Kind"
ORDER BY count(*) DESC, "Kind"
