"""Chooses how the progress of a run is shown."""

import sys

from rich.console import Console

from shelfsight.backfill.progress import LineProgress, Progress
from shelfsight.backfill.progress_bar import BarProgress
from shelfsight.backfill.progress_json import JsonProgress


def choose(*, as_json: bool, verbose: bool) -> Progress:
    """Return JSON progress if `as_json`, a bar if the output is a terminal, and lines otherwise."""
    if as_json:
        return JsonProgress(sys.stdout, verbose=verbose)
    console = Console(file=sys.stdout)
    if console.is_terminal and not verbose:
        return BarProgress(console)
    return LineProgress(sys.stdout, verbose=verbose)
