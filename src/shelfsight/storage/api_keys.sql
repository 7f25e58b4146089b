-- name: add
INSERT INTO shelfsight."ApiKeys" ("Id", "Name", "UserId", "Digest", "MayConfirm")
VALUES (%(id)s, %(name)s, %(owner)s, %(digest)s, %(may_confirm)s)
RETURNING "Digest", "Id", "Name", "UserId", "CreatedAt", "RevokedAt", "MayConfirm"

-- name: find
-- Before the migration that adds it, a key has no "MayConfirm".
SELECT "Digest", "Id", "Name", "UserId", "CreatedAt", "RevokedAt",
  coalesce((to_jsonb(k) ->> 'MayConfirm')::boolean, true)
FROM shelfsight."ApiKeys" AS k WHERE "Id" = %(id)s

-- name: find_older
-- Before the first migration, the table lies where the search path finds it.
SELECT "Digest", "Id", "Name", "UserId", "CreatedAt", "RevokedAt", true
FROM "ApiKeys" WHERE "Id" = %(id)s

-- name: exist_older
SELECT EXISTS (SELECT FROM "ApiKeys")

-- name: exist
SELECT EXISTS (SELECT FROM shelfsight."ApiKeys")

-- name: all
SELECT "Digest", "Id", "Name", "UserId", "CreatedAt", "RevokedAt", "MayConfirm"
FROM shelfsight."ApiKeys" ORDER BY "CreatedAt", "Id"

-- name: revoke
UPDATE shelfsight."ApiKeys" SET "RevokedAt" = coalesce("RevokedAt", now()) WHERE "Id" = %(id)s
RETURNING "Digest", "Id", "Name", "UserId", "CreatedAt", "RevokedAt", "MayConfirm"
