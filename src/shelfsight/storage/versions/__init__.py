"""Vectors of other models, built beside those in use, and the switch to them."""
