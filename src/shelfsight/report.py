"""What a backfill has done, in numbers and in the lines shown at its end."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from shelfsight.records import Embedded


@dataclass(slots=True, kw_only=True)
class Report:
    """Counts of products, and of vectors by kind.

    `failed` are products left without any vector; `failures` counts what went wrong by kind,
    including pictures of products that still got their text vector. `broken` is the exit status
    of the error that ended the run, 0 for none.
    """

    found: int = 0
    embedded: int = 0
    skipped: int = 0
    failed: int = 0
    image: int = 0
    text: int = 0
    combined: int = 0
    recombined: int = 0
    due: int = 0
    interrupted: bool = False
    broken: int = 0
    failures: Counter[str] = field(default_factory=Counter)

    def add(self, page: Sequence[Embedded]) -> None:
        """Count a page that has been stored."""
        for item in page:
            self.found += 1
            if item.skipped:
                self.skipped += 1
                continue
            self.image += item.image is not None
            self.text += item.text is not None
            self.combined += item.combined is not None
            self.embedded += item.combined is not None
            self.failed += item.combined is None
            self.failures.update(failure.kind for failure in item.failures)

    @property
    def remaining(self) -> int:
        """Products that were due and that this run did not come to."""
        return max(self.due - self.found, 0)

    @property
    def success_rate(self) -> float:
        """Embedded products as a percentage of those found; 100 where none was."""
        return 100 * self.embedded / self.found if self.found else 100.0

    @property
    def exit_status(self) -> int:
        """0 done, 1 nothing could be embedded, 3 some products failed, 130 interrupted."""
        if self.interrupted:
            return 130
        if self.broken:
            return self.broken
        if not self.failed:
            return 0
        return 3 if self.embedded else 1

    def lines(self) -> list[str]:
        """The results as shown to people."""
        lines = [
            "Results:",
            f"  - Total products found: {self.found}",
            f"  - Successfully embedded: {self.embedded}",
            f"  - Skipped: {self.skipped}",
            f"  - Failed: {self.failed}",
            f"  - Success rate: {self.success_rate:.1f}%",
            "Embedding breakdown:",
            f"  - Image embeddings: {self.image}",
            f"  - Text embeddings: {self.text}",
            f"  - Combined embeddings: {self.combined}",
        ]
        if self.recombined:
            lines.append(f"  - Combined anew from stored vectors: {self.recombined}")
        if self.failures:
            lines.append("What went wrong, by kind:")
            lines += [f"  - {kind}: {count}" for kind, count in self.failures.most_common()]
        return lines
