"""The tables of ours beside the shop's own: vectors, failures, runs, keys."""
