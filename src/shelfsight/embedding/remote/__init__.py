"""Models that live in an embedding server."""
