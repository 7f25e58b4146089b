"""Shows the progress of a run as a live bar, for a terminal."""

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

from shelfsight.backfill.progress import LineProgress
from shelfsight.backfill.report import Report


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f} products/s")


class BarProgress(LineProgress):
    """Shows a live bar of the stored products, with the speed and the remaining time."""

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
        self._description = "Starting"

    def start(self, products: int, batches: int) -> None:
        """Show the bar."""
        super().start(products, batches)
        if products:
            self._task = self._bar.add_task(self._description, total=products)
            self._bar.start()

    def stored_by_others(self, products: int) -> None:
        """Move the bar by this number of products."""
        if self._task is not None:
            self._bar.update(self._task, advance=products, description=self._description)
        self._heartbeat.beat()
        super().stored_by_others(products)

    def notify(self, message: str) -> None:
        """Print the message above the bar."""
        self._bar.console.print(message, highlight=False, markup=False)

    def finish(self, report: Report, go_on: str = "", retry: str = "", next_step: str = "") -> None:
        """Stop the bar, leave it on the screen, and print the results."""
        self._bar.stop()
        super().finish(report, go_on, retry, next_step)

    def _still_working(self) -> None:
        """Show beside the bar how many pictures and texts were embedded since the start."""
        run = self._throughput
        pictures, texts = run.embedded["image"], run.embedded["text"]
        self._describe(f"Batch {run.batch}: {pictures} pictures, {texts} texts embedded")

    def _show_stored(self) -> None:
        """Show nothing, because the bar has moved."""

    def _show_batch(self, found: int) -> None:
        self._description = f"Processing batch {self._throughput.batch} ({found})"
        self._describe(self._description)
        self._heartbeat.beat()

    def _describe(self, text: str) -> None:
        if self._task is not None:
            self._bar.update(self._task, description=text)
