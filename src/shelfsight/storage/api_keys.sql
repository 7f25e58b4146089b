-- name: add
INSERT INTO "ApiKeys" ("Id", "Name", "UserId", "Digest")
VALUES (%(id)s, %(name)s, %(owner)s, %(digest)s)
RETURNING "Digest", "Id", "Name", "UserId", "CreatedAt", "RevokedAt"

-- name: find
SELECT "Digest", "Id", "Name", "UserId", "CreatedAt", "RevokedAt"
FROM "ApiKeys" WHERE "Id" = %(id)s

-- name: exist
SELECT EXISTS (SELECT FROM "ApiKeys")

-- name: all
SELECT "Digest", "Id", "Name", "UserId", "CreatedAt", "RevokedAt"
FROM "ApiKeys" ORDER BY "CreatedAt", "Id"

-- name: revoke
UPDATE "ApiKeys" SET "RevokedAt" = coalesce("RevokedAt", now()) WHERE "Id" = %(id)s
RETURNING "Digest", "Id", "Name", "UserId", "CreatedAt", "RevokedAt"
