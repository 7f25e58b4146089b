"""The command line: arguments in, one call, text out."""

import os
import sys
from importlib import import_module
from io import TextIOWrapper


def main() -> None:
    """Run the command line; it is imported in here, so that Ctrl-C during imports is handled."""
    # OpenBLAS' threads wait by spinning, beside ONNX Runtime's own: on busy cores for seconds.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if isinstance(sys.stdout, TextIOWrapper):  # whatever a title holds, and a terminal can show
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        import_module("shelfsight.cli.main").main()
    except KeyboardInterrupt:
        sys.exit(130)
