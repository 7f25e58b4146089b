"""Reads and writes the vectors in `"ProductEmbeddings"`."""
