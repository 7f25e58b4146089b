-- name: other_types
-- The columns of product ids in our schema that have another type than the ids of the shop have now.
SELECT t.relname, a.attname
FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace
JOIN pg_attribute AS a ON a.attrelid = t.oid
WHERE n.nspname = 'shelfsight' AND t.relkind = 'r' AND NOT a.attisdropped
  AND (t.relname, a.attname) IN (
    ('EmbeddingFailures', 'ProductVariantId'), ('EmbeddingQueue', 'ProductVariantId'),
    ('ConfirmedPhotos', 'ProductVariantId'), ('BackfillLeases', 'After'), ('BackfillLeases', 'Last'))
  AND format_type(a.atttypid, a.atttypmod) <> %(id_type)s
ORDER BY 1, 2

-- name: change_type
ALTER TABLE {table} ALTER {column} TYPE {id_type} USING {column}::text::{id_type}

-- name: clear
DELETE FROM {table}
