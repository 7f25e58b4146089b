"""Backfill runs in the database: the progress, and which worker leases which range of products."""
