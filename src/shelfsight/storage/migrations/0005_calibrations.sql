-- What was fitted on this shop's own pictures for a pair of models: how probable a match is.
CREATE TABLE shelfsight."Calibrations" (
  "ImageModel" text NOT NULL,
  "TextModel" text NOT NULL,
  "Calibration" jsonb NOT NULL,
  "CreatedAt" timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY ("ImageModel", "TextModel")
);
