"""Shows the progress of a run: as plain lines, as a live bar, or as JSON for programs."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from threading import Lock
from typing import IO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.table import Column
from rich.text import Text

from shelfsight.backfill.failure_kinds import kind_of
from shelfsight.backfill.report import Report, product_fields, product_lines
from shelfsight.records import Due, EmbeddedProduct


class Progress:
    """Receives the events of a run; this base class shows nothing.

    `batch`, `embedded` and `notify` may be called from any thread, the other methods from one
    thread.
    """

    def configured(self, settings: Mapping[str, str]) -> None:
        """Called before the run begins, with the settings to show."""

    def start(self, products: int, batches: int) -> None:
        """Called when the run begins, with how many products and batches it will process."""

    def batch(self, number: int, found: int) -> None:
        """Called when a batch was read; earlier batches may not be embedded yet."""

    def embedded(self, products: int) -> None:
        """Called when this many more products were embedded. They are not stored yet."""

    def stored(self, page: Sequence[EmbeddedProduct]) -> None:
        """Called when these products were stored; they are at most half a batch."""

    def notify(self, message: str) -> None:
        """Called with a message for the user, for example when something takes long."""

    def dry_run(self, due: Due, products: int, batches: int) -> None:
        """Called with what a run would do, instead of running."""

    def finish(self, report: Report, go_on: str = "", retry: str = "") -> None:
        """Called when the run has ended, with the commands that continue it.

        `go_on` does the remaining work; `retry` tries again what failed.
        """


class LineProgress(Progress):
    """Shows plain lines for logs and pipes; with `verbose`, also the result of each product."""

    def __init__(self, out: IO[str], *, verbose: bool = False) -> None:
        self._out = out
        self._verbose = verbose
        self._batches = 0
        self._is_over = False
        self._lock = Lock()

    def configured(self, settings: Mapping[str, str]) -> None:
        """Print the header with the settings."""
        width = max(map(len, settings))
        self._print(
            "Configuration:", *(f"  {k + ':':<{width + 1}} {v}" for k, v in settings.items())
        )

    def start(self, products: int, batches: int) -> None:
        """Print how many products there are to process."""
        self._batches = batches
        count = f"{products} products to embed, in {batches} batches"
        self._print(count if products else "Nothing is due.")

    def batch(self, number: int, found: int) -> None:
        """Print the batch, unless the run has ended: the reading thread may lag behind."""
        lines = f"Processing batch {number}/{self._batches}", f"  Found {found} products"
        with self._lock:
            if not self._is_over:
                self._write(lines)

    def stored(self, page: Sequence[EmbeddedProduct]) -> None:
        """With `verbose`, print the result of each product."""
        if self._verbose:
            self._print(*(line for item in page for line in product_lines(item)))

    def notify(self, message: str) -> None:
        """Print the message."""
        self._print(message)

    def dry_run(self, due: Due, products: int, batches: int) -> None:
        """Print what a run would do."""
        asked = (
            f" The pictures of {due.with_image} stored images would be asked for again."
            if due.with_image
            else ""
        )
        self._print(
            f"{due.products} products due: {due.with_picture} with pictures,"
            f" {due.with_text} with text, {due.with_neither} with neither",
            f"A run would embed {products} of them in {batches} batches.{asked}"
            " Dry run: nothing was embedded or stored.",
        )

    def finish(self, report: Report, go_on: str = "", retry: str = "") -> None:
        """Print the results, unless the run failed before there were any."""
        with self._lock:
            self._is_over = True
        if report.found or not report.broken:
            self._print("", *report.lines())
        if report.failures and retry:
            self._print(f"Then try these again: {retry}")
        if report.remaining and go_on:
            self._print(f"{report.remaining} products remain. Go on with: {go_on}")

    def _print(self, *lines: str) -> None:
        with self._lock:
            self._write(lines)

    def _write(self, lines: Iterable[str]) -> None:
        self._out.write("".join(f"{line}\n" for line in lines))
        self._out.flush()


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f} products/s")


class BarProgress(LineProgress):
    """Shows a live bar with the speed and the remaining time, for a terminal."""

    def __init__(self, console: Console) -> None:
        super().__init__(console.file)
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            _Speed(table_column=Column(no_wrap=True)),
            TimeRemainingColumn(compact=True),
            console=console,
            expand=True,
        )
        self._task: TaskID | None = None

    def start(self, products: int, batches: int) -> None:
        """Show the bar."""
        super().start(products, batches)
        if products:
            self._task = self._bar.add_task("Starting", total=products)
            self._bar.start()

    def batch(self, number: int, found: int) -> None:
        """Show the batch's number beside the bar."""
        if self._task is not None:
            name = f"Processing batch {number}/{self._batches} ({found})"
            self._bar.update(self._task, description=name)

    def embedded(self, products: int) -> None:
        """Move the bar by this number of products."""
        if self._task is not None:
            self._bar.advance(self._task, products)

    def notify(self, message: str) -> None:
        """Print the message above the bar."""
        self._bar.console.print(message, highlight=False, markup=False)

    def finish(self, report: Report, go_on: str = "", retry: str = "") -> None:
        """Stop the bar, leave it on the screen, and print the results."""
        self._bar.stop()
        super().finish(report, go_on, retry)


class JsonProgress(Progress):
    """Prints one JSON object per line; with `verbose`, also one object for each product."""

    def __init__(self, out: IO[str], *, verbose: bool = False) -> None:
        self._out = out
        self._verbose = verbose
        self._is_over = False
        self._lock = Lock()

    def configured(self, settings: Mapping[str, str]) -> None:
        """Print a `configuration` object."""
        self._emit("configuration", **{k.lower().replace(" ", "_"): v for k, v in settings.items()})

    def start(self, products: int, batches: int) -> None:
        """Print a `start` object."""
        self._emit("start", products=products, batches=batches)

    def batch(self, number: int, found: int) -> None:
        """Print a `batch` object."""
        self._emit("batch", number=number, found=found)

    def stored(self, page: Sequence[EmbeddedProduct]) -> None:
        """Print a `stored` object; with `verbose`, also a `product` object for each product."""
        if self._verbose:
            for item in page:
                self._emit("product", **product_fields(item))
        self._emit("stored", products=len(page))

    def notify(self, message: str) -> None:
        """Print a `message` object."""
        self._emit("message", text=message)

    def dry_run(self, due: Due, products: int, batches: int) -> None:
        """Print a `dry_run` object."""
        self._emit("dry_run", due=asdict(due), products=products, batches=batches)

    def finish(self, report: Report, go_on: str = "", retry: str = "") -> None:
        """Print a `result` object, which is the last line."""
        rate = report.success_rate
        self._emit(
            "result",
            **{field.name: getattr(report, field.name) for field in fields(report)},
            remaining=report.remaining,
            go_on=go_on if report.remaining else None,
            cures={kind: kind_of(kind).cure for kind in report.failures},
            retry=retry if report.failures else None,
            success_rate=None if rate is None else round(rate, 1),
            exit_status=report.exit_status,
        )

    def _emit(self, event: str, **values: object) -> None:
        with self._lock:
            if self._is_over:  # the thread that reads batches may still call
                return
            self._is_over = event == "result"
            self._out.write(json.dumps({"event": event, **values}, ensure_ascii=False) + "\n")
            self._out.flush()


def choose(*, as_json: bool, verbose: bool) -> Progress:
    """Return JSON progress if `as_json`, a bar if the output is a terminal, and lines otherwise."""
    if as_json:
        return JsonProgress(sys.stdout, verbose=verbose)
    console = Console(file=sys.stdout)
    if console.is_terminal and not verbose:
        return BarProgress(console)
    return LineProgress(sys.stdout, verbose=verbose)
