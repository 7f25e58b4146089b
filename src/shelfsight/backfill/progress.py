"""Shows the progress of a run as plain lines, and counts what a run has stored."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from threading import Lock
from typing import IO

from shelfsight.backfill.heartbeat import QUIET_SECONDS, Heartbeat
from shelfsight.backfill.report import Report, product_lines
from shelfsight.backfill.throughput import Throughput, duration
from shelfsight.records import ContentModality, Due, EmbeddedProduct


class Progress:
    """Receives the events of a run; this base class shows nothing.

    `batch`, `fetched`, `embedded` and `notify` may be called from any thread, the other methods
    from one thread.
    """

    def configured(self, settings: Mapping[str, str]) -> None:
        """Called before the run begins, with the settings to show."""

    def in_run(self, run_id: int) -> None:
        """Called before `start`, with the id of the run."""

    def start(self, products: int, batches: int) -> None:
        """Called when the run begins, with how many products and batches it will process."""

    def working(self) -> AbstractContextManager[None]:
        """Return a context for the time in which products are embedded.

        Within the context, the run may show that it is still working.
        """
        return nullcontext()

    def batch(self, number: int, found: int) -> None:
        """Called when a batch was read; earlier batches may not be stored yet."""

    def fetched(self) -> None:
        """Called when a picture was fetched, or could not be fetched."""

    def embedded(self, modality: ContentModality, count: int) -> None:
        """Called when this many more pictures or texts were embedded. They are not stored yet."""

    def stored(self, page: Sequence[EmbeddedProduct]) -> None:
        """Called when these products were stored; they are at most half a batch."""

    def stored_by_others(self, products: int) -> None:
        """Called when workers in other processes stored this many more products of the run."""

    def seconds_for(self, products: int) -> float | None:
        """Return the seconds that this many products will take; None if unknown.

        A signal handler calls this method, so it takes no lock.
        """
        del products
        return None

    def notify(self, message: str) -> None:
        """Called with a message for the user, for example when something takes long."""

    def dry_run(self, due: Due, products: int, batches: int) -> None:
        """Called with what a run would do, instead of running."""

    def finish(self, report: Report, go_on: str = "", retry: str = "", next_step: str = "") -> None:
        """Called when the run has ended, with the commands that continue it.

        `go_on` does the remaining work; `retry` tries again what failed. `next_step` says what can
        be done with what is stored.
        """


class CountingProgress(Progress):
    """Counts what is stored, and shows at least every `quiet_seconds` how far the run is."""

    def __init__(self, quiet_seconds: float = QUIET_SECONDS) -> None:
        self._throughput = Throughput()
        self._heartbeat = Heartbeat(self._still_working, quiet_seconds)
        self._is_over = False
        self._lock = Lock()

    def working(self) -> AbstractContextManager[None]:
        """Return a context in which a thread shows how far the run is when nothing else does."""
        return self._heartbeat.running()

    def fetched(self) -> None:
        """Count a picture that was fetched, or could not be."""
        self._throughput.add_fetched()

    def embedded(self, modality: ContentModality, count: int) -> None:
        """Count pictures or texts that were embedded."""
        self._throughput.add_embedded(modality, count)

    def seconds_for(self, products: int) -> float | None:
        """Return the seconds that this many products take at the present rate."""
        return self._throughput.seconds_for(products)

    def _still_working(self) -> None:
        """Show how far the run is, because nothing was shown for a while."""


class LineProgress(CountingProgress):
    """Shows plain lines for logs and pipes; with `verbose`, also the result of each product.

    A batch is shown when the batches before it are stored.
    """

    def __init__(
        self, out: IO[str], *, verbose: bool = False, quiet_seconds: float = QUIET_SECONDS
    ) -> None:
        super().__init__(quiet_seconds)
        self._out = out
        self._verbose = verbose

    def configured(self, settings: Mapping[str, str]) -> None:
        """Print the header with the settings."""
        width = max(map(len, settings))
        self._print(
            "Configuration:", *(f"  {k + ':':<{width + 1}} {v}" for k, v in settings.items())
        )

    def start(self, products: int, batches: int) -> None:
        """Print how many products there are to process."""
        self._throughput.start(products, batches)
        count = f"{products} products to embed, in {batches} batches"
        self._print(count if products else "Nothing is due.")

    def batch(self, number: int, found: int) -> None:
        """Print the batch if it is the next one to store, unless the run has ended."""
        del number
        self._throughput.add_read(found)
        with self._lock:
            if not self._is_over:
                self._show_batches()

    def stored(self, page: Sequence[EmbeddedProduct]) -> None:
        """Count the products, as `stored_by_others`; with `verbose`, print each one's result."""
        if self._verbose:
            self._print(*(line for item in page for line in product_lines(item)))
        self.stored_by_others(len(page))

    def stored_by_others(self, products: int) -> None:
        """Count the products; at the end of a batch, print how far the run is."""
        self._throughput.add_stored(products)
        with self._lock:
            if self._throughput.is_batch_stored:
                self._show_stored()
            self._show_batches()

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
            f"A run would embed {products} of them in {batches} batches.{asked}{_taken_away(due)}"
            " Dry run: nothing was embedded or stored.",
        )

    def finish(self, report: Report, go_on: str = "", retry: str = "", next_step: str = "") -> None:
        """Print the results, unless the run failed before there were any."""
        with self._lock:
            self._is_over = True
        if report.found or not report.broken:
            self._print("", *self._end(report), *report.lines(next_step))
        if report.failures and retry:
            self._print(f"Then try these again: {retry}")
        if report.remaining and go_on:
            self._print(f"{report.remaining} products remain. Go on with: {go_on}")

    def _end(self, report: Report) -> list[str]:
        seconds = self._throughput.seconds
        if seconds is None or not report.found:
            return []
        how = "interrupted after" if report.interrupted else "completed in"
        how = "ended by an error after" if report.broken else how
        rate = f", {report.found / seconds:.3g} products/s" if seconds else ""
        return [f"Backfill {how} {duration(seconds)}{rate}"]

    def _still_working(self) -> None:
        with self._lock:
            if not self._is_over:
                run = self._throughput
                told = "; ".join(filter(None, (run.describe(), run.describe_on_its_way())))
                self._write([f"Still working on batch {run.batch}: {told}"])

    def _show_stored(self) -> None:
        self._write([f"  {self._throughput.describe()}"])
        self._heartbeat.beat()

    def _show_batches(self) -> None:
        while (found := self._throughput.next_batch()) is not None:
            self._show_batch(found)

    def _show_batch(self, found: int) -> None:
        name = f"Processing batch {self._throughput.batch}"
        self._write([name, f"  Found {found} products to process"])
        self._heartbeat.beat()

    def _print(self, *lines: str) -> None:
        with self._lock:
            self._write(lines)

    def _write(self, lines: Iterable[str]) -> None:
        self._out.write("".join(f"{line}\n" for line in lines))
        self._out.flush()


def _taken_away(due: Due) -> str:
    """Say how many stored vectors a run would take away; "" if none."""
    counts = [f"{count} {kind}" for kind, count, _ in due.lost.beside(due.lost) if count]
    if not counts:
        return ""
    return (
        f" It would take away {' and '.join(counts)} vectors,"
        " because their products have no such content any more."
    )
