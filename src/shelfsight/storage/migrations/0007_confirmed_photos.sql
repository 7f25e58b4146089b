-- The image vectors of photos that people have confirmed to show a product: further references of
-- it. A photo itself is never stored. "UserId" is the owner whose products were scanned; it is null
-- if those of all owners were. "Number" counts the photos of one scan. "Resembles" says whether the
-- product's own picture, its colours or a code spoke for the product.
CREATE TABLE shelfsight."ConfirmedPhotos" (
  "Id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  "ProductVariantId" {id_type} NOT NULL,
  "UserId" text,
  "ScanId" text NOT NULL,
  "Number" integer NOT NULL,
  "ImageModel" text NOT NULL,
  "Vector" vector(768) NOT NULL,
  "Resembles" boolean NOT NULL,
  "CreatedAt" timestamptz NOT NULL DEFAULT now(),
  UNIQUE ("ProductVariantId", "ScanId", "Number")
);
-- Vectors are read by each scan, so they stay in the row instead of being compressed elsewhere.
ALTER TABLE shelfsight."ConfirmedPhotos" ALTER "Vector" SET STORAGE PLAIN;
CREATE INDEX "ConfirmedPhotos_ScanId_idx" ON shelfsight."ConfirmedPhotos" ("ScanId");

-- Indexes of pgvector before 0.8 cannot be scanned iteratively, so scans would not use one.
DO $$
BEGIN
  IF (SELECT string_to_array(substring(extversion from '^[0-9]+[.][0-9]+'), '.')::int[] >= '{{0,8}}'
      FROM pg_extension WHERE extname = 'vector') THEN
    CREATE INDEX "ConfirmedPhotos_hnsw" ON shelfsight."ConfirmedPhotos"
    USING hnsw (("Vector"::halfvec(768)) halfvec_cosine_ops);
  END IF;
END
$$;

-- Whether photos that the bearer of a key confirms become references.
ALTER TABLE shelfsight."ApiKeys" ADD "MayConfirm" boolean NOT NULL DEFAULT true;
