-- name: Products
CREATE TABLE "Products" (
  "Id" uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  "UserId" text,
  "Title" text,
  "Category" text,
  "CreatedAt" timestamptz NOT NULL DEFAULT now(),
  "UpdatedAt" timestamptz NOT NULL DEFAULT now()
)

-- name: ProductVariants
CREATE TABLE "ProductVariants" (
  "Id" uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  "ProductId" uuid,
  "UserId" text,
  "Sku" text,
  "Barcode" text,
  "Title" text,
  "Description" text,
  "Price" numeric,
  "Options" jsonb,
  "CreatedAt" timestamptz NOT NULL DEFAULT now(),
  "UpdatedAt" timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON "ProductVariants" ("ProductId");
CREATE INDEX ON "ProductVariants" ("Sku")

-- name: ProductImages
CREATE TABLE "ProductImages" (
  "Id" uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  "ProductVariantId" {id_type} NOT NULL {reference},
  "ImageUrl" text NOT NULL,
  "AltText" text,
  "Position" integer NOT NULL DEFAULT 0,
  "CreatedAt" timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON "ProductImages" ("ProductVariantId")

-- name: ProductEmbeddings
CREATE TABLE "ProductEmbeddings" (
  "Id" uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  "ProductVariantId" {id_type} NOT NULL {reference}
)

-- name: EmbeddingFailures
-- One row a product and stage; "NextAttemptAt" is null where only other content can help.
CREATE TABLE "EmbeddingFailures" (
  "ProductVariantId" {id_type} NOT NULL {reference},
  "Stage" text NOT NULL,
  "Kind" text NOT NULL,
  "Message" text NOT NULL,
  "Attempts" integer NOT NULL DEFAULT 1,
  "SourceHash" text NOT NULL,
  "NextAttemptAt" timestamptz,
  "CreatedAt" timestamptz NOT NULL DEFAULT now(),
  "UpdatedAt" timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY ("ProductVariantId", "Stage")
)

-- name: BackfillRuns
-- "Asked" is the job; a run is open while "ClosedAt" is null. "Counts" and "Failures" (by kind) are
-- filled when it is closed; until then they are those of its leases.
CREATE TABLE "BackfillRuns" (
  "Id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  "Asked" jsonb NOT NULL,
  "ModelVersions" jsonb NOT NULL,
  "Due" bigint NOT NULL,
  "Outcome" text,
  "Counts" jsonb NOT NULL DEFAULT '{{}}',
  "Failures" jsonb NOT NULL DEFAULT '{{}}',
  "CreatedAt" timestamptz NOT NULL DEFAULT now(),
  "ClosedAt" timestamptz
)

-- name: BackfillLeases
-- A range of products behind "After" and up to "Last" (null: no bound), stored up to "Position".
-- Each tenure has a "Fence" of its own; it ends at "ExpiresAt" unless the worker is heard of.
CREATE TABLE "BackfillLeases" (
  "RunId" bigint NOT NULL REFERENCES "BackfillRuns" ("Id") ON DELETE CASCADE,
  "Number" integer NOT NULL,
  "After" {id_type},
  "Last" {id_type},
  "Position" {id_type},
  "Counts" jsonb NOT NULL DEFAULT '{{}}',
  "Failures" jsonb NOT NULL DEFAULT '{{}}',
  "Fence" integer NOT NULL DEFAULT 0,
  "Worker" text,
  "ExpiresAt" timestamptz,
  "DoneAt" timestamptz,
  PRIMARY KEY ("RunId", "Number")
)

-- name: ScanMeans
-- The mean of the image vectors of photos that were scanned; "UserId" is '' without owners.
CREATE TABLE "ScanMeans" (
  "UserId" text NOT NULL,
  "Model" text NOT NULL,
  "Mean" vector(768) NOT NULL,
  "Count" integer NOT NULL,
  "UpdatedAt" timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY ("UserId", "Model")
)

-- name: ApiKeys
-- A key without "UserId" is an admin's. "Digest" is the SHA-256 of the key.
CREATE TABLE "ApiKeys" (
  "Id" text PRIMARY KEY,
  "Name" text NOT NULL,
  "UserId" text,
  "Digest" bytea NOT NULL,
  "CreatedAt" timestamptz NOT NULL DEFAULT now(),
  "RevokedAt" timestamptz
)

-- name: ScanFeedback
-- What people said of a scan's matches, with the scores that were shown; it outlives the products.
-- For the verdict 'none' the rank and scores are those of the best match, which was wrong too.
CREATE TABLE "ScanFeedback" (
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
CREATE UNIQUE INDEX ON "ScanFeedback" ("ScanId", coalesce("ProductVariantId", ''))
