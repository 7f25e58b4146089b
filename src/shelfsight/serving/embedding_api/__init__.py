"""The embedding server: an HTTP app that embeds pictures and texts in dynamic batches."""
