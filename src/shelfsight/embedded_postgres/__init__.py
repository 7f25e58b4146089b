"""The embedded database: a real PostgreSQL with pgvector, and who may stop it."""
