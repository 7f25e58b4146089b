-- The columns that the shop's tables had when a run last began, and whether the run has read them. A
-- column that was read and is gone stops the next run: it would take the vectors away that were made
-- from that column.
CREATE TABLE shelfsight."CatalogueColumns" (
  "Table" text NOT NULL,
  "Column" text NOT NULL,
  "Type" text NOT NULL,
  "Position" integer NOT NULL,
  "IsRead" boolean NOT NULL,
  "CreatedAt" timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY ("Table", "Column")
);

-- Whether somebody has agreed that the run takes away any number of stored vectors.
ALTER TABLE shelfsight."BackfillRuns" ADD "LossesAccepted" boolean NOT NULL DEFAULT false;
