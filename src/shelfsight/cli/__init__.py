"""The command line: arguments in, one call, text out."""

from shelfsight.cli.main import main

__all__ = ["main"]
