-- Drops the foreign keys to the shop's products that older releases made. They refused statements of
-- the shop: TRUNCATE, DROP and new ids of "ProductVariants".

-- A table of the shop's schema counts as ours if its first columns are those that `init` makes, in
-- this order, and a key if it is as `init` made it. So foreign keys that the shop has made stay. In
-- our schemas no key stays: those of the shop on copies of its table were copied with it.
DO $$
DECLARE
  ours record;
BEGIN
  FOR ours IN
    SELECT t.oid::regclass AS name, k.conname AS key
    FROM pg_constraint AS k
    JOIN pg_class AS t ON t.oid = k.conrelid
    JOIN pg_namespace AS n ON n.oid = t.relnamespace
    JOIN pg_class AS r ON r.oid = k.confrelid
    WHERE k.contype = 'f' AND pg_has_role(t.relowner, 'USAGE')
      AND n.nspname IN ('shelfsight', 'shelfsight_next', 'shelfsight_previous')
      AND r.relnamespace <> 'shelfsight'::regnamespace
    UNION
    SELECT t.oid::regclass, k.conname
    FROM pg_constraint AS k
    JOIN pg_class AS t ON t.oid = k.conrelid
    JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = k.conkey[1]
    WHERE k.contype = 'f' AND k.confrelid = to_regclass('"ProductVariants"')
      AND k.conname = t.relname || '_ProductVariantId_fkey'
      AND cardinality(k.conkey) = 1 AND a.attname = 'ProductVariantId'
      AND k.confdeltype = 'c' AND k.confupdtype = 'a' AND NOT k.condeferrable AND k.convalidated
      AND pg_has_role(t.relowner, 'USAGE')
      AND EXISTS (
        SELECT FROM (VALUES
          ('ProductEmbeddings', 'Id ProductVariantId ProductId UserId ImageEmbedding TextEmbedding CombinedEmbedding ImageUrl ImageHash ProductText SourceType SourceHash ModelVersions'),
          ('ProductImages', 'Id ProductVariantId ImageUrl AltText Position CreatedAt')
        ) AS made (name, columns)
        WHERE made.name = t.relname AND string_to_array(made.columns, ' ') = ARRAY(
          SELECT attname::text FROM pg_attribute
          WHERE attrelid = t.oid
            AND attnum BETWEEN 1 AND cardinality(string_to_array(made.columns, ' '))
          ORDER BY attnum))
  LOOP
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', ours.name, ours.key);
  END LOOP;
END
$$;
