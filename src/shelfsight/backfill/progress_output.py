"""Chooses how the progress of a run is shown."""

import sys

from rich.console import Console

from shelfsight.backfill.progress import LineProgress, Progress
from shelfsight.backfill.progress_bar import BarProgress
from shelfsight.backfill.progress_json import JsonProgress
from shelfsight.telemetry.logs import is_json


def choose(*, as_json: bool, verbose: bool) -> Progress:
    """Return JSON progress if `as_json`, a bar if the output is a terminal, and lines otherwise.

    If the log is JSON, the progress goes there instead of a bar or lines.
    """
    if as_json or is_json():
        return JsonProgress(sys.stdout if as_json else None, verbose=verbose)
    console = Console(file=sys.stdout)
    if console.is_terminal and not verbose:
        return BarProgress(console)
    return LineProgress(sys.stdout, verbose=verbose)
