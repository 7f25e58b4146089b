"""Backfill runs in the database: which worker leases which range of products, and the progress."""
