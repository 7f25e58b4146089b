"""Inputs of kinds that once failed, out of public bug reports: each with its right result."""
