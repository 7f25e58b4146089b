"""The named statements of `runs.sql`."""

from shelfsight.postgres import statements

QUERIES = statements.load("shelfsight.storage.runs", "runs.sql")
