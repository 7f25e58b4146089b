-- How the catalogue is read, if it is read through views. "Preset" is the name of a preset or the
-- path of a file, "Version" the platform and its version, as the file says. "Changes" are the tables
-- whose changes may make products due, each as `table`, `columns` and `variants`.
CREATE TABLE shelfsight."Catalog" (
  "Id" boolean PRIMARY KEY DEFAULT true CHECK ("Id"),
  "Preset" text NOT NULL,
  "Version" text NOT NULL,
  "Options" jsonb NOT NULL,
  "Changes" jsonb NOT NULL,
  "CreatedAt" timestamptz NOT NULL DEFAULT now()
);
