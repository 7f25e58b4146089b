"""The named statements of `vectors.sql`."""

from shelfsight.postgres import statements

QUERIES = statements.load("shelfsight.storage.vectors", "vectors.sql")
