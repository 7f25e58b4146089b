-- name: columns
-- The columns of "ProductEmbeddings" in a schema. A default is text, such as 'new'::text.
SELECT attname AS name, attnotnull AS is_never_null, attgenerated <> '' AS is_generated,
  attidentity <> '' AS is_identity,
  CASE WHEN attgenerated = '' THEN pg_get_expr(adbin, adrelid) END AS default
FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attrelid = to_regclass(%(table)s) AND attnum > 0 AND NOT attisdropped
ORDER BY attnum

-- name: holds
-- Whether a column of the shop has another value than a new row would have. Types such as json have
-- no operator for that, so their texts are compared.
{alias}.{column}::text IS DISTINCT FROM ({default})::text
