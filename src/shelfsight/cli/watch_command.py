"""The command `shelfsight watch`, which embeds products as they change."""

import os
import sys
from collections.abc import Sequence

import click

from shelfsight.backfill.progress import LineProgress
from shelfsight.backfill.progress_json import JsonProgress
from shelfsight.backfill.report import Report
from shelfsight.backfill.runs import PAGES_IN_FLIGHT
from shelfsight.backfill.watch import PAGE_SIZE
from shelfsight.backfill.watch import watch as keep_embedded
from shelfsight.cli.options import DATABASE, FETCHING, LOGS, MODELS, WEIGHTS, Command
from shelfsight.engines.local import interruptible, stopping
from shelfsight.records import EmbeddedProduct
from shelfsight.settings import Settings
from shelfsight.telemetry.logs import is_json
from shelfsight.wiring.database import database_name, open_database
from shelfsight.wiring.embedder import models_name, open_embedder
from shelfsight.wiring.watching import open_watch


@click.command(cls=Command, settings=(*MODELS, *DATABASE, *WEIGHTS, *FETCHING, *LOGS))
@click.option(
    "--every",
    type=click.FloatRange(1),
    default=60.0,
    show_default=True,
    help="Seconds between two looks for what no trigger tells of.",
)
@click.option("-v", "--verbose", is_flag=True, help="Tell each product's steps.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def watch(settings: Settings, every: float, verbose: bool, as_json: bool) -> None:
    """Keep the catalogue embedded as it changes.

    At first all products that are due are embedded, then each change. With triggers on your tables
    (`shelfsight init --triggers`) this takes seconds, if the models are fast enough. Without
    triggers, the command looks for products with a new UpdatedAt, and also searches the whole
    catalogue (in at most 2% of the time). Failed products are tried again when their time has come.
    The newest and the oldest changes are embedded in turn. Several watches share the work. While a
    backfill is running, products that are due are left to the backfill.

    If the database goes away, the command waits for it. On Ctrl-C or SIGTERM, the current batch is
    finished first.

    Exit status: 0 ended by a signal; 1 ended by an error; 2 wrong usage; 130 ended by a second
    signal.
    """
    shown = _shown(as_json=as_json, verbose=verbose)
    report = Report()

    def waits_for() -> str:
        return stopping(PAGES_IN_FLIGHT * PAGE_SIZE, shown.seconds_per_page)

    with interruptible(waits_for) as stop, open_database(settings) as database:
        shown.configured(
            {
                "Embedding": models_name(settings),
                "Database": database_name(settings),
            }
        )
        try:
            with (
                open_embedder(settings, shown.notify) as embedder,
                open_watch(settings, database, embedder, shown, every) as context,
                shown.working(),
            ):
                keep_embedded(context, report, shown, stop)
        except KeyboardInterrupt:
            shown.finish(report)
            os._exit(130)  # end at once, because a thread may be busy in a model
    shown.finish(report)


def _shown(*, as_json: bool, verbose: bool) -> "_Json | _Lines":
    if as_json or is_json():
        return _Json(sys.stdout if as_json else None, verbose=verbose)
    return _Lines(sys.stdout, verbose=verbose)


class _Lines(LineProgress):
    """Prints one line for each page of changes."""

    _is_told: bool | None = None
    _in_progress = 0
    seconds_per_page: float | None = None

    def changed(self, page: Sequence[EmbeddedProduct], seconds: float) -> None:
        """Print the number of products; with `verbose`, also the result of each product."""
        counts = _counts(page)
        more = "".join(f", {counts[name]} {name}" for name in _LESS if counts[name])
        self.seconds_per_page = seconds
        self.stored(page)
        self._heartbeat.beat()
        self.notify(f"{len(page)} changed, {counts['embedded']} embedded{more}, in {seconds:.1f} s")

    def stored_by_others(self, products: int) -> None:
        """Show nothing: the line of `changed` follows."""

    def in_progress(self, products: int) -> None:
        """Remember the number of products, for the line that says that they take long."""
        self._in_progress = products

    def waiting(self, *, is_told: bool) -> None:
        """Print once that nothing is due, and again when triggers are added or removed."""
        if is_told != self._is_told:
            self.notify("Waiting for changes" + ("" if is_told else f"; {_UNTOLD}"))
        self._is_told = is_told

    def _still_working(self) -> None:
        if self._in_progress:
            on_its_way = self._throughput.describe_on_its_way() or "nothing is embedded yet"
            self.notify(f"Still working on {self._in_progress} changed products: {on_its_way}")


class _Json(JsonProgress):
    """Prints `changed` for each page, `waiting` when nothing is left, and `result` at the end."""

    _is_told: bool | None = None
    _in_progress = 0
    seconds_per_page: float | None = None

    def changed(self, page: Sequence[EmbeddedProduct], seconds: float) -> None:
        """Print a `changed` object; with `verbose`, also a `product` object for each product."""
        self.seconds_per_page = seconds
        if self._verbose:
            self.stored(page)
        self._heartbeat.beat()
        self._emit("changed", products=len(page), **_counts(page), seconds=round(seconds, 3))

    def in_progress(self, products: int) -> None:
        """Remember the number of products, for the objects that say that they take long."""
        self._in_progress = products

    def waiting(self, *, is_told: bool) -> None:
        """Print a `waiting` object once, and again when triggers are added or removed."""
        if is_told != self._is_told:
            self._emit("waiting", triggers=is_told)
        self._is_told = is_told

    def finish(self, report: Report, go_on: str = "", retry: str = "", next_step: str = "") -> None:
        """Print a `result` object, which is the last line."""
        del go_on, retry, next_step
        self._emit("result", **{name: getattr(report, name) for name in _COUNTS})

    def _still_working(self) -> None:
        if self._in_progress:
            super()._still_working()


_COUNTS = (
    *("found", "whole", "embedded", "incomplete", "lacking_picture", "lacking_text"),
    *("skipped", "failed"),
    *("image", "text", "combined", "recombined", "failures"),
)
_LESS = ("incomplete", "skipped", "failed")
_UNTOLD = "to hear of them at once, run: shelfsight init --triggers"


def _counts(page: Sequence[EmbeddedProduct]) -> dict[str, int]:
    report = Report()
    report.add(page)
    return {name: getattr(report, name) for name in ("embedded", *_LESS)}
