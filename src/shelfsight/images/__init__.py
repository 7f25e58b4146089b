"""Fetches pictures by address, and decodes and resizes them to what a model takes."""
