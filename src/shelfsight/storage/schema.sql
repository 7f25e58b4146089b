-- name: Products
CREATE TABLE {table} (
  "Id" uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  "UserId" text,
  "Title" text,
  "Category" text,
  "CreatedAt" timestamptz NOT NULL DEFAULT now(),
  "UpdatedAt" timestamptz NOT NULL DEFAULT now()
)

-- name: ProductVariants
CREATE TABLE {table} (
  "Id" uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  "ProductId" uuid,
  "UserId" text,
  "Sku" text,
  "Barcode" text,
  "Title" text,
  "Description" text,
  "Price" numeric,
  "Options" jsonb,
  "Link" text,
  "CreatedAt" timestamptz NOT NULL DEFAULT now(),
  "UpdatedAt" timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON {table} ("ProductId");
CREATE INDEX ON {table} ("UserId");
CREATE INDEX ON {table} ("Sku")

-- name: ProductImages
CREATE TABLE {table} (
  "Id" uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  "ProductVariantId" {id_type} NOT NULL,
  "ImageUrl" text NOT NULL,
  "AltText" text,
  "Position" integer NOT NULL DEFAULT 0,
  "CreatedAt" timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON {table} ("ProductVariantId")

-- name: ProductEmbeddings
CREATE TABLE {table} (
  "Id" uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  "ProductVariantId" {id_type} NOT NULL
)
