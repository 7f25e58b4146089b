-- name: create_vectors
-- The indexes leave the shop's own rows out. Older releases built them over all rows; such an index
-- serves the same searches.
CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {table}
USING hnsw (({column}::halfvec({width})) halfvec_cosine_ops)
WITH (m = 16, ef_construction = {ef_construction})
WHERE "SourceHash" IS NOT NULL

-- name: create_words
CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {table}
USING gin (to_tsvector('simple', coalesce({column}, '')))
WHERE "SourceHash" IS NOT NULL

-- name: drop
DROP INDEX CONCURRENTLY IF EXISTS {name}

-- name: indexes
SELECT c.relname AS name, i.indisvalid AS is_valid, p.pid IS NOT NULL AS is_building,
  pg_relation_size(c.oid) AS size
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
LEFT JOIN pg_stat_progress_create_index AS p ON p.index_relid = c.oid
WHERE i.indrelid = to_regclass('"ProductEmbeddings"')

-- name: counts
SELECT count("ImageEmbedding") AS "ImageEmbedding", count("TextEmbedding") AS "TextEmbedding",
  count("CombinedEmbedding") AS "CombinedEmbedding", count("ProductText") AS "ProductText"
FROM "ProductEmbeddings" WHERE "SourceHash" IS NOT NULL

-- name: table
SELECT relkind = 'r' AS is_table, pg_has_role(relowner, 'USAGE') AS is_owner,
  pg_get_userbyid(relowner) AS owner,
  (SELECT string_to_array(substring(extversion from '^[0-9]+[.][0-9]+'), '.')::int[] >= '{0,8}' FROM pg_extension
   WHERE extname = 'vector') AS can_iterate
FROM pg_class WHERE oid = to_regclass('"ProductEmbeddings"')

-- name: server_settings
SELECT pg_size_bytes(current_setting('maintenance_work_mem')) AS maintenance_work_mem,
  pg_size_bytes(current_setting('shared_buffers')) AS shared_buffers,
  current_setting('max_parallel_maintenance_workers')::int AS parallel_workers,
  (SELECT string_to_array(extversion, '.')::int[] FROM pg_extension
   WHERE extname = 'vector') AS pgvector

-- name: progress
SELECT CASE WHEN current_locker_pid > 0 THEN phase || ' (process ' || current_locker_pid || ')'
    ELSE phase END AS phase,
  CASE WHEN blocks_total > 0 THEN blocks_done ELSE tuples_done END AS done,
  CASE WHEN blocks_total > 0 THEN blocks_total ELSE tuples_total END AS total
FROM pg_stat_progress_create_index
WHERE relid = to_regclass('"ProductEmbeddings"')

-- name: sample
-- An HNSW index for cosine distance does not contain zero vectors, so the sample leaves them out
-- too.
SELECT ctid::text, {column}::vector::text
FROM (SELECT ctid, {column} FROM "ProductEmbeddings"
      WHERE {column} IS NOT NULL AND "SourceHash" IS NOT NULL
      ORDER BY random() LIMIT %(queries)s) AS sampled
WHERE vector_norm({column}::vector) > 0

-- name: search_settings
-- The settings that a scan of photos or words uses. Sequential scans and sorts are switched off, so
-- that the index is used even if the table has few rows.
SELECT set_config('hnsw.ef_search', %(ef_search)s, true),
  set_config('hnsw.iterative_scan', 'relaxed_order', true),
  set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true)

-- name: remember
COMMENT ON INDEX {index} IS {comment}

-- name: nearest_by_index
SELECT {column}::vector <=> %(vector)s::vector
FROM "ProductEmbeddings"
WHERE ctid <> %(ctid)s::tid AND "SourceHash" IS NOT NULL
ORDER BY {column}::halfvec({width}) <=> %(vector)s::halfvec({width})
LIMIT %(limit)s

-- name: distances_within
-- For each query vector, all rows whose distance is within the query's bound, found in one pass
-- over the table. `subvector` has the effect that each row is decompressed only once for all
-- queries.
SELECT q.number, e.vector <=> q.vector
FROM (SELECT ctid AS place, subvector({column}::vector, 1, {width}) AS vector
      FROM "ProductEmbeddings"
      WHERE {column} IS NOT NULL AND "SourceHash" IS NOT NULL OFFSET 0) AS e
CROSS JOIN (
  SELECT place::tid, vector::vector, bound, number
  FROM unnest(%(ctids)s::text[], %(vectors)s::text[], %(bounds)s::float8[])
    WITH ORDINALITY AS u (place, vector, bound, number) OFFSET 0) AS q
WHERE e.place <> q.place AND e.vector <=> q.vector <= q.bound

-- name: exact_search
-- Measures the time of a search without an index over the first rows of the table.
EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON)
SELECT FROM (SELECT {column} AS vector FROM "ProductEmbeddings" WHERE {column} IS NOT NULL
             LIMIT %(rows)s) AS e
ORDER BY vector <=> (SELECT {column} FROM "ProductEmbeddings" WHERE {column} IS NOT NULL LIMIT 1)
LIMIT 10
