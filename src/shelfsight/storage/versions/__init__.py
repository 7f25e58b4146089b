"""Vector versions: embeddings of other models are staged, then switched with those in use."""
