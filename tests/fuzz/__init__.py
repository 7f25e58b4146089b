"""Fuzzers for what reads bytes from strangers: pictures, addresses, forms and weights."""
