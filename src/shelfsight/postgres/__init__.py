"""Connections to Postgres, its errors, and SQL kept in files."""
