-- Puts the tables of shelfsight into the schema `shelfsight`. Tables that an older release made are
-- moved there, with all they hold, from wherever the search path finds them. Missing tables are
-- created.

-- A table is moved only if it has all columns that ours had from the beginning: a shop may have a
-- table of the same name.
DO $$
DECLARE
  ours record;
BEGIN
  FOR ours IN
    SELECT t.oid::regclass AS name
    FROM (VALUES
      ('EmbeddingFailures', '"ProductVariantId" "Stage" "Kind" "Message" "Attempts" "SourceHash" "NextAttemptAt" "CreatedAt" "UpdatedAt"'),
      ('BackfillRuns', '"Id" "Asked" "ModelVersions" "Due" "Outcome" "Counts" "Failures" "CreatedAt" "ClosedAt"'),
      ('BackfillLeases', '"RunId" "Number" "After" "Last" "Counts" "Failures" "Fence" "Worker" "ExpiresAt" "DoneAt"'),
      ('EmbeddingQueue', '"Number" "ProductVariantId" "ChangedAt" "Worker" "ExpiresAt"'),
      ('ScanMeans', '"UserId" "Model" "Mean" "Count" "UpdatedAt"'),
      ('ApiKeys', '"Id" "Name" "UserId" "Digest" "CreatedAt" "RevokedAt"'),
      ('ScanFeedback', '"Id" "ScanId" "UserId" "ProductVariantId" "Verdict" "Rank" "Score" "ImageScore" "TextScore" "Confidence" "QueryKind" "ImageModel" "TextModel" "Shown" "CreatedAt" "UpdatedAt"')
    ) AS wanted (name, columns)
    JOIN pg_class AS t ON t.oid = to_regclass(quote_ident(wanted.name))
    WHERE t.relkind = 'r' AND t.relnamespace <> 'shelfsight'::regnamespace
      AND to_regclass('shelfsight.' || quote_ident(wanted.name)) IS NULL
      AND NOT EXISTS (
        SELECT FROM unnest(string_to_array(wanted.columns, ' ')) AS one
        WHERE NOT EXISTS (
          SELECT FROM pg_attribute
          WHERE attrelid = t.oid AND quote_ident(attname) = one AND NOT attisdropped))
  LOOP
    EXECUTE format('ALTER TABLE %s SET SCHEMA shelfsight', ours.name);
  END LOOP;
END
$$;

-- Which migrations were applied, when, and by which version of the program.
CREATE TABLE shelfsight."SchemaVersion" (
  "Version" integer PRIMARY KEY,
  "Name" text NOT NULL,
  "Program" text NOT NULL,
  "AppliedAt" timestamptz NOT NULL DEFAULT now()
);

-- There is one row for each product, stage and set of vectors. "VectorSet" is 'in_use', or the name
-- of the schema that holds the vectors of the staged or previous set. "NextAttemptAt" is null if
-- only changed content can help. "Host" is null if no host was asked for a picture. "Settings" has
-- the settings that caused the failure as `name=hash`, the last ones first; several of one failure
-- are divided by blanks.
CREATE TABLE IF NOT EXISTS shelfsight."EmbeddingFailures" (
  "ProductVariantId" {id_type} NOT NULL,
  "Stage" text NOT NULL,
  "VectorSet" text NOT NULL DEFAULT 'in_use',
  "Kind" text NOT NULL,
  "Message" text NOT NULL,
  "Host" text,
  "Attempts" integer NOT NULL DEFAULT 1,
  "SourceHash" text NOT NULL,
  "Settings" text[] NOT NULL DEFAULT '{{}}',
  "NextAttemptAt" timestamptz,
  "CreatedAt" timestamptz NOT NULL DEFAULT now(),
  "UpdatedAt" timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY ("ProductVariantId", "Stage", "VectorSet")
);

-- "Asked" is the job of the run. A run is open while its "ClosedAt" is null. When the run is
-- closed, "Counts" and "Failures" (by kind) are filled in. Until then they are the sums over the
-- run's leases.
CREATE TABLE IF NOT EXISTS shelfsight."BackfillRuns" (
  "Id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  "Asked" jsonb NOT NULL,
  "ModelVersions" jsonb NOT NULL,
  "Due" bigint NOT NULL,
  "Outcome" text,
  "Counts" jsonb NOT NULL DEFAULT '{{}}',
  "Failures" jsonb NOT NULL DEFAULT '{{}}',
  "CreatedAt" timestamptz NOT NULL DEFAULT now(),
  "ClosedAt" timestamptz
);

-- A row is a range of products, after "After" and up to "Last" (null: no bound). Once a worker has
-- begun the range, "Left" lists the parts that are not stored yet, as pairs of bounds, and "Stored"
-- counts the stored pages. "Ids" are all products of the range that were due when the run began; it
-- is null if they were many.
-- Each claim of a range gets a new fencing token, "Fence". A claim ends some time after "ExpiresAt"
-- unless its worker renews it.
CREATE TABLE IF NOT EXISTS shelfsight."BackfillLeases" (
  "RunId" bigint NOT NULL REFERENCES shelfsight."BackfillRuns" ("Id") ON DELETE CASCADE,
  "Number" integer NOT NULL,
  "After" {id_type},
  "Last" {id_type},
  "Ids" jsonb,
  "Left" jsonb,
  "Stored" integer NOT NULL DEFAULT 0,
  "Counts" jsonb NOT NULL DEFAULT '{{}}',
  "Failures" jsonb NOT NULL DEFAULT '{{}}',
  "Fence" integer NOT NULL DEFAULT 0,
  "Worker" text,
  "ExpiresAt" timestamptz,
  "DoneAt" timestamptz,
  PRIMARY KEY ("RunId", "Number")
);

-- Products that may have changed, until they are embedded or found unchanged. The newest change has
-- the greatest "Number". There is no foreign key and no unique index on the product, because either
-- could make a write of the shop wait for other writes. A row with a "Worker" is claimed until
-- "ExpiresAt".
CREATE TABLE IF NOT EXISTS shelfsight."EmbeddingQueue" (
  "Number" bigint PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY,
  "ProductVariantId" {id_type} NOT NULL,
  "ChangedAt" timestamptz NOT NULL DEFAULT clock_timestamp(),
  "Worker" text,
  "ExpiresAt" timestamptz
);
CREATE INDEX IF NOT EXISTS "EmbeddingQueue_ProductVariantId_idx"
ON shelfsight."EmbeddingQueue" ("ProductVariantId");

-- The mean of the image vectors of all scanned photos, by owner and model. "UserId" is '' for scans
-- without an owner.
CREATE TABLE IF NOT EXISTS shelfsight."ScanMeans" (
  "UserId" text NOT NULL,
  "Model" text NOT NULL,
  "Mean" vector(768) NOT NULL,
  "Count" integer NOT NULL,
  "UpdatedAt" timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY ("UserId", "Model")
);

-- A key whose "UserId" is null belongs to an admin. "Digest" is the SHA-256 of the key.
CREATE TABLE IF NOT EXISTS shelfsight."ApiKeys" (
  "Id" text PRIMARY KEY,
  "Name" text NOT NULL,
  "UserId" text,
  "Digest" bytea NOT NULL,
  "CreatedAt" timestamptz NOT NULL DEFAULT now(),
  "RevokedAt" timestamptz
);

-- People's verdicts on the matches of a scan, with the scores of these matches. A verdict is kept
-- when its product is deleted. The verdict 'none' says that every match was wrong; its rank and
-- scores are those of the best match.
CREATE TABLE IF NOT EXISTS shelfsight."ScanFeedback" (
  "Id" uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  "ScanId" text NOT NULL,
  "UserId" text,
  "ProductVariantId" text,
  "Verdict" text NOT NULL CHECK ("Verdict" IN ('right', 'wrong', 'none')),
  "Rank" integer,
  "Score" double precision,
  "ImageScore" double precision,
  "TextScore" double precision,
  "Confidence" text,
  "QueryKind" text NOT NULL,
  "ImageModel" text NOT NULL,
  "TextModel" text NOT NULL,
  "Shown" jsonb NOT NULL,
  "CreatedAt" timestamptz NOT NULL DEFAULT now(),
  "UpdatedAt" timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX IF NOT EXISTS "ScanFeedback_ScanId_coalesce_idx"
ON shelfsight."ScanFeedback" ("ScanId", coalesce("ProductVariantId", ''));

-- Columns that older releases did not have.
ALTER TABLE shelfsight."EmbeddingFailures"
  ADD COLUMN IF NOT EXISTS "Host" text,
  ADD COLUMN IF NOT EXISTS "Settings" text[] NOT NULL DEFAULT '{{}}';
ALTER TABLE shelfsight."BackfillLeases"
  ADD COLUMN IF NOT EXISTS "Ids" jsonb,
  ADD COLUMN IF NOT EXISTS "Left" jsonb,
  ADD COLUMN IF NOT EXISTS "Stored" integer NOT NULL DEFAULT 0;

-- The failures of the staged and of the previous set had tables of their own.
DO $$
DECLARE
  of_set text;
  old_key text;
BEGIN
  IF NOT EXISTS (
      SELECT FROM pg_attribute
      WHERE attrelid = 'shelfsight."EmbeddingFailures"'::regclass AND attname = 'VectorSet') THEN
    SELECT conname INTO old_key FROM pg_constraint
    WHERE conrelid = 'shelfsight."EmbeddingFailures"'::regclass AND contype = 'p';
    EXECUTE format('ALTER TABLE shelfsight."EmbeddingFailures" DROP CONSTRAINT %I', old_key);
    ALTER TABLE shelfsight."EmbeddingFailures"
      ADD COLUMN "VectorSet" text NOT NULL DEFAULT 'in_use',
      ADD PRIMARY KEY ("ProductVariantId", "Stage", "VectorSet");
  END IF;
  FOR of_set IN
    SELECT n.nspname FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace
    WHERE t.relname = 'EmbeddingFailures' AND t.relkind = 'r'
      AND n.nspname IN ('shelfsight_next', 'shelfsight_previous')
  LOOP
    EXECUTE format('ALTER TABLE %I."EmbeddingFailures" ADD COLUMN IF NOT EXISTS "Host" text', of_set);
    EXECUTE format(
      'INSERT INTO shelfsight."EmbeddingFailures" ("ProductVariantId", "Stage", "VectorSet",'
      ' "Kind", "Message", "Host", "Attempts", "SourceHash", "NextAttemptAt", "CreatedAt",'
      ' "UpdatedAt")'
      ' SELECT "ProductVariantId", "Stage", %1$L, "Kind", "Message", "Host", "Attempts",'
      ' "SourceHash", "NextAttemptAt", "CreatedAt", "UpdatedAt" FROM %1$I."EmbeddingFailures"',
      of_set);
    EXECUTE format('DROP TABLE %I."EmbeddingFailures"', of_set);
  END LOOP;
END
$$;
