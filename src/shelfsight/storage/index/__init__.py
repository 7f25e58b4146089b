"""The indexes of `"ProductEmbeddings"` for vectors and words: build, drop and measure them."""
