"""The command line: reads arguments, calls the Python code for the command, prints the result."""

import os
import sys
from importlib import import_module
from io import TextIOWrapper


def main() -> None:
    """Run the command line; it is imported here so that Ctrl-C during the import is handled."""
    # With more threads, OpenBLAS keeps cores busy while its threads wait, and slows ONNX Runtime.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if isinstance(sys.stdout, TextIOWrapper):  # escape characters that the terminal cannot show
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        import_module("shelfsight.cli.interrupt").postpone_during_imports()
        import_module("shelfsight.cli.main").main()
    except KeyboardInterrupt:
        sys.exit(130)
