"""The embedded database: a real PostgreSQL with pgvector, started and stopped on demand."""
