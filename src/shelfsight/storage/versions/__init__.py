"""Vector versions: vectors of other models are staged, and then replace the vectors in use."""
