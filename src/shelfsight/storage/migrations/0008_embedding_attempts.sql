-- Products that a worker is embedding, or was when it was killed.
CREATE TABLE shelfsight."EmbeddingAttempts" (
  "ProductVariantId" text NOT NULL PRIMARY KEY,
  "Attempts" integer NOT NULL DEFAULT 1,
  "BeganAt" timestamptz NOT NULL DEFAULT now()
);
