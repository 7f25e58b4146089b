"""`make bench`: every stage against the limit of its slowest part, in ratios of one run."""
