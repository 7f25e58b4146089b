"""Shows the progress of a run as JSON, for programs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import IO

from shelfsight.backfill.failure_kinds import kind_of
from shelfsight.backfill.heartbeat import QUIET_SECONDS
from shelfsight.backfill.progress import CountingProgress
from shelfsight.backfill.report import Report, product_fields
from shelfsight.records import Due, EmbeddedProduct
from shelfsight.telemetry.logs import log_event


class JsonProgress(CountingProgress):
    """Prints one JSON object per line; with `verbose`, also one object for each product.

    Without `out`, the objects are records of the log instead, with the id of the run as `run`.

    A `batch` object is printed when the batches before it are stored.
    """

    def __init__(
        self, out: IO[str] | None, *, verbose: bool = False, quiet_seconds: float = QUIET_SECONDS
    ) -> None:
        super().__init__(quiet_seconds)
        self._out = out
        self._verbose = verbose
        self._number = 0
        self._run: dict[str, int] = {}

    def configured(self, settings: Mapping[str, str]) -> None:
        """Print a `configuration` object."""
        self._emit("configuration", **{k.lower().replace(" ", "_"): v for k, v in settings.items()})

    def in_run(self, run_id: int) -> None:
        """Remember the id of the run, for the records of the log."""
        self._run = {"run": run_id}

    def start(self, products: int, batches: int) -> None:
        """Print a `start` object."""
        self._throughput.start(products, batches)
        self._emit("start", products=products, batches=batches)

    def batch(self, number: int, found: int) -> None:
        """Print a `batch` object if this batch is the next one to store."""
        del number
        self._throughput.add_read(found)
        self._show_batches()

    def stored(self, page: Sequence[EmbeddedProduct]) -> None:
        """Print a `stored` object; with `verbose`, also a `product` object for each product."""
        if self._verbose:
            for item in page:
                self._emit("product", **product_fields(item))
        self.stored_by_others(len(page))

    def stored_by_others(self, products: int) -> None:
        """Print a `stored` object."""
        self._throughput.add_stored(products)
        self._emit("stored", products=products, **self._how_far())
        self._heartbeat.beat()
        self._show_batches()

    def notify(self, message: str) -> None:
        """Print a `message` object."""
        self._emit("message", text=message)

    def dry_run(self, due: Due, products: int, batches: int) -> None:
        """Print a `dry_run` object."""
        self._emit("dry_run", due=asdict(due), products=products, batches=batches)

    def finish(self, report: Report, go_on: str = "", retry: str = "", next_step: str = "") -> None:
        """Print a `result` object, which is the last line."""
        del next_step
        rate = report.success_rate
        seconds = self._throughput.seconds or 0.0
        self._emit(
            "result",
            **{field.name: getattr(report, field.name) for field in fields(report)},
            remaining=report.remaining,
            go_on=go_on if report.remaining else None,
            cures={kind: kind_of(kind).cure for kind in report.failures},
            retry=retry if report.failures else None,
            success_rate=None if rate is None else round(rate, 1),
            seconds=round(seconds, 1),
            products_per_second=round(report.found / seconds, 2) if seconds else None,
            exit_status=report.exit_status,
        )

    def _still_working(self) -> None:
        run = self._throughput
        self._emit(
            "working",
            **self._how_far(),
            pictures_fetched=run.fetched,
            pictures_embedded=run.embedded["image"],
            texts_embedded=run.embedded["text"],
        )

    def _how_far(self) -> dict[str, object]:
        rate, left = self._throughput.rate, self._throughput.seconds_left
        return {
            "stored": self._throughput.stored,
            "products_per_second": None if rate is None else round(rate, 2),
            "seconds_left": None if left is None else round(left, 1),
        }

    def _show_batches(self) -> None:
        with self._lock:
            while (found := self._throughput.next_batch()) is not None:
                self._number += 1
                self._write("batch", number=self._number, found=found)

    def _emit(self, event: str, **values: object) -> None:
        with self._lock:
            self._write(event, **values)

    def _write(self, event: str, **values: object) -> None:
        if self._is_over:  # the thread that reads batches may still call
            return
        self._is_over = event == "result"
        if self._out is None:
            message = str(values["text"]) if event == "message" else event
            log_event(event, message, **self._run, **values)
            return
        self._out.write(json.dumps({"event": event, **values}, ensure_ascii=False) + "\n")
        self._out.flush()
