"""`make bench`: compare every stage with the limit of its slowest part."""
