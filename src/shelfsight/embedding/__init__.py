"""Embeds pictures and texts: from pixels and words to unit vectors."""
