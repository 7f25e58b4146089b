"""Stores the vectors of products in `"ProductEmbeddings"`."""
