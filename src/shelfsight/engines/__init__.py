"""Who drives the backfill: this process."""
