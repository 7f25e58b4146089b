"""The HNSW and word indexes of `"ProductEmbeddings"`: build, drop and measure them."""
