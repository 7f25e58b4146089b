"""The engines that run a backfill: in this process, or on the workers of a Ray cluster."""
