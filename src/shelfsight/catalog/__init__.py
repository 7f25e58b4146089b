"""Reads products from the shop's tables, and imports them from files."""
