"""Embeds by an embedding server, over HTTP."""
