"""Reads and writes shelfsight's own tables: vectors, failures, runs, API keys."""
