"""The embedding server: dynamic batching over both models, and the HTTP app in front of it."""
