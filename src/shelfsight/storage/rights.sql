-- name: revocations
-- Statements that take all rights on a schema, and on what it holds, from PUBLIC and from the roles
-- that default privileges name; with the name of the role. Functions that run with the rights of
-- their caller stay open: triggers on the shop's tables call them.
WITH strangers AS (
  SELECT 0::oid AS role UNION SELECT grantee FROM pg_default_acl, aclexplode(defaclacl)
), objects AS (
  SELECT 'SCHEMA' AS kind, quote_ident(nspname) AS name, nspowner AS owner, nspacl AS acl
  FROM pg_namespace WHERE nspname = %(schema)s
  UNION ALL
  SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
    format('%%I.%%I', nspname, relname), relowner, relacl
  FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace
  WHERE nspname = %(schema)s AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  UNION ALL
  SELECT 'FUNCTION', format('%%I.%%I(%%s)', nspname, proname, pg_get_function_identity_arguments(p.oid)),
    proowner, coalesce(proacl, acldefault('f', proowner))
  FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace
  WHERE nspname = %(schema)s AND prokind = 'f' AND prosecdef
)
SELECT DISTINCT format('REVOKE ALL ON %%s %%s FROM %%s CASCADE', kind, name,
    CASE role WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(role)) END),
  CASE role WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(role) END
FROM objects, aclexplode(acl) JOIN strangers ON role = grantee
WHERE grantee <> owner AND pg_has_role(owner, 'USAGE')

-- name: grant_use
-- Statements that let the roles use our schema that an administrator has given rights on our tables:
-- older releases had these tables in another schema, which these roles could use.
SELECT DISTINCT format('GRANT USAGE ON SCHEMA shelfsight TO %%1$I;'
  ' GRANT SELECT ON shelfsight."SchemaVersion" TO %%1$I', pg_get_userbyid(grantee))
FROM pg_class, aclexplode(relacl)
WHERE relnamespace = 'shelfsight'::regnamespace AND relkind = 'r'
  AND grantee <> 0 AND grantee <> relowner

-- name: change_owner
-- Statements that give what this role has made in our schema to the schema's owner.
SELECT format('ALTER TABLE %%I.%%I OWNER TO %%I', nspname, relname, pg_get_userbyid(nspowner))
FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace
WHERE nspname = 'shelfsight' AND relkind = 'r' AND relowner <> nspowner
  AND relowner = current_user::regrole

-- name: others
-- The roles, other than owner and superusers, that have any right on this table.
SELECT DISTINCT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee) END
FROM pg_class, aclexplode(relacl)
WHERE oid = to_regclass(quote_ident(%(table)s)) AND grantee <> relowner
  AND NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.oid = grantee AND (rolsuper OR rolbypassrls))
ORDER BY 1

-- name: enable_row_security
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY

-- name: open_tables
-- What roles other than owner, superusers and this role may do with our tables.
WITH granted AS (
  SELECT t.oid, n.nspname, t.relname, a.grantee, a.privilege_type AS privilege,
    CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS role
  FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace, aclexplode(t.relacl) AS a
  LEFT JOIN pg_roles AS r ON r.oid = a.grantee
  WHERE t.relkind = 'r' AND a.grantee <> t.relowner AND NOT coalesce(rolsuper, false)
    AND a.grantee <> current_user::regrole
    AND has_schema_privilege(CASE a.grantee WHEN 0 THEN 'public' ELSE rolname END, n.oid, 'USAGE')
    AND (n.nspname IN ('shelfsight', 'shelfsight_next', 'shelfsight_previous')
         AND (t.relname = 'ApiKeys' OR a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'))
         OR t.oid = to_regclass('"ProductEmbeddings"') AND NOT t.relrowsecurity
         AND a.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')
         AND a.grantee IN (SELECT 0::oid UNION
                           SELECT grantee FROM pg_default_acl, aclexplode(defaclacl)))
)
SELECT format('%%s may %%s %%I.%%I', role, string_agg(privilege, ', ' ORDER BY privilege),
    nspname, relname),
  format('REVOKE ALL ON %%I.%%I FROM %%s', nspname, relname, role)
FROM granted GROUP BY role, nspname, relname ORDER BY 1

-- name: is_hidden
-- Whether row-level security hides every row of "ProductEmbeddings" from this role.
SELECT row_security_active(oid) AND NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = t.oid)
FROM pg_class AS t WHERE oid = to_regclass('"ProductEmbeddings"')
