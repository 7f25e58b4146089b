"""Finds the products that a photo may show, or that words describe."""
