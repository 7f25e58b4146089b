"""Shelfsight beside other systems: the same pictures, texts, models and database."""
