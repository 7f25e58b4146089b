"""The named statements of `versions.sql`."""

from shelfsight.postgres import statements

QUERIES = statements.load("shelfsight.storage.versions", "versions.sql")
