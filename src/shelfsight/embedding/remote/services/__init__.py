"""Embedding services that have an API of their own, one module for each."""
