"""Shelfsight: visual product search for the Postgres a shop already has."""

from importlib.metadata import version

__version__ = version("shelfsight")
