"""Searches the stored vectors, by nearest neighbours and by words, with filters and means."""
