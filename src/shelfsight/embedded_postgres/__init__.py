"""The embedded database: a real PostgreSQL with pgvector that is started and stopped on demand."""
