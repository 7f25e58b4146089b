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
