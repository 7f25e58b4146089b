"""Fetches pictures from their addresses, decodes them, and resizes them to the size of a model."""
