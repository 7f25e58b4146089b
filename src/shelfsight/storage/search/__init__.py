"""Searches the stored vectors: filters, nearest neighbours, word matches and means."""
