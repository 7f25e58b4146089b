"""The engines that run a backfill: this process, or workers on a Ray cluster."""
