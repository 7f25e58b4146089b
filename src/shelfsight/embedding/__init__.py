"""Embeds pictures and texts: turns pixels and words into unit vectors."""
