"""`python -m shelfsight` is `shelfsight`."""

from shelfsight.cli import main

main()
