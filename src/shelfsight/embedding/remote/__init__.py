"""Embeds pictures and texts with an embedding server, over HTTP."""
