"""Runs the command line, so that `python -m shelfsight` does the same as `shelfsight`."""

from shelfsight.cli import main

main()
