"""The results of a backfill: the counts, and the result of each product."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from shelfsight.backfill.failure_kinds import cures, is_absence
from shelfsight.backfill.picture_address import shown
from shelfsight.records import (
    STAGES,
    ContentModality,
    EmbeddedProduct,
    Failure,
    Need,
    Vector,
    VectorCounts,
)

SHOWN_CHARACTERS = 60
"""How many characters of a product's text are shown with `--verbose`."""


@dataclass(slots=True, kw_only=True)
class Report:
    """Counts of products, and of the vectors that were made for them.

    A product is whole if every vector that its content allows is stored. Each processed product is
    counted once: as `whole`, `incomplete`, `failed` or `skipped`.

    Attributes:
        found: products that were processed.
        whole: processed products that are whole now.
        embedded: those of `whole` for which a vector was made or combined; the others were only
            checked.
        incomplete: products that have a vector, but not all that they should have.
        lacking_picture: those of `incomplete` with a picture that could not be used. An image
            vector that was stored earlier stays.
        lacking_text: those of `incomplete` with a text that could not be embedded.
        failed: products that have no vector after the run tried to make one.
        skipped: products without title, description and picture.
        image: image vectors that were made.
        text: text vectors that were made.
        combined: combined vectors of the processed products, made now or kept.
        lost_image: stored image vectors that were taken away: the product has no such content any
            more, or other content that failed.
        lost_text: stored text vectors that were taken away.
        lost_combined: stored combined vectors that were taken away.
        refetched: stored image vectors whose pictures were requested again.
        unchanged: those of `refetched` whose pictures were the same.
        changed: those of `refetched` that were made again because a picture was different.
        recombined: combined vectors that were recomputed with new weights, without a model.
        due: products that were due when the run began.
        interrupted: whether the run was stopped before its end.
        broken: exit status of the error that ended the run; 0 if no error did.
        failures: number of failures of each kind, including failed pictures of products that still
            got a text vector.
        paused_hosts: for each paused host, how many pictures were not requested because of the
            pause.
    """

    found: int = 0
    whole: int = 0
    embedded: int = 0
    incomplete: int = 0
    lacking_picture: int = 0
    lacking_text: int = 0
    failed: int = 0
    skipped: int = 0
    image: int = 0
    text: int = 0
    combined: int = 0
    lost_image: int = 0
    lost_text: int = 0
    lost_combined: int = 0
    refetched: int = 0
    unchanged: int = 0
    changed: int = 0
    recombined: int = 0
    due: int = 0
    interrupted: bool = False
    broken: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    paused_hosts: Counter[str] = field(default_factory=Counter)

    def add(self, page: Sequence[EmbeddedProduct]) -> None:
        """Add the results of a page that has been stored."""
        for item in page:
            self.found += 1
            self._add_lost(item.lost)
            if item.skipped:
                self.skipped += 1
                continue
            self.refetched += item.refetched is not None
            self.unchanged += item.refetched == "unchanged"
            self.changed += item.refetched == "changed"
            self._add_vectors(item)
            self._add_outcome(item)
            failures = [failure for failure in item.failures if not is_absence(failure)]
            self.failures.update(failure.kind for failure in failures)
            self.paused_hosts.update(
                failure.host or "" for failure in failures if failure.kind == "host_paused"
            )

    def _add_lost(self, lost: VectorCounts) -> None:
        self.lost_image += lost.image
        self.lost_text += lost.text
        self.lost_combined += lost.combined

    def _add_vectors(self, item: EmbeddedProduct) -> None:
        self.image += item.image is not None and item.product.image_need is not Need.KEEP
        self.text += item.text is not None and item.product.text_need is not Need.KEEP
        self.combined += item.combined is not None

    def _add_outcome(self, item: EmbeddedProduct) -> None:
        if item.is_untouched:
            self.whole += 1
        elif item.combined is None:
            self.failed += 1
        else:
            lacks_picture, lacks_text = _lacks(item, "image"), _lacks(item, "text")
            is_whole = not lacks_picture and not lacks_text
            self.whole += is_whole
            self.embedded += is_whole
            self.incomplete += not is_whole
            self.lacking_picture += lacks_picture
            self.lacking_text += lacks_text

    @property
    def remaining(self) -> int:
        """The number of products that were due and that this run did not process."""
        return max(self.due - self.found, 0)

    @property
    def success_rate(self) -> float | None:
        """Percentage of processed products that are whole now; None if none was processed."""
        return 100 * self.whole / self.found if self.found else None

    @property
    def exit_status(self) -> int:
        """The exit status of the command.

        0: done. 1: nothing could be embedded. 3: something that was due failed; pictures count.
        130: the run was interrupted.
        """
        if self.interrupted:
            return 130
        if self.broken:
            return self.broken
        if not self.failures and not self.failed:
            return 0
        return 3 if self.whole or self.incomplete else 1

    def lines(self, next_step: str = "") -> list[str]:
        """Return the results as lines for people.

        What failed comes last. Before it comes `next_step`: what can be done with what is stored.
        """
        rate = self.success_rate
        lacking = {
            "  - Embedded, but lacking a picture": self.lacking_picture,
            "  - Embedded, but lacking their text": self.lacking_text,
        }
        lines = [
            "Results:",
            f"  - Total products found: {self.found}",
            f"  - Successfully embedded: {self.embedded}",
            *(f"{name}: {count}" for name, count in lacking.items() if count),
            f"  - Skipped: {self.skipped}",
            f"  - Failed: {self.failed}",
            f"  - Success rate: {'none, nothing was due' if rate is None else f'{rate:.1f}%'}",
            "Embedding breakdown:",
            f"  - Image embeddings: {self.image}",
            f"  - Text embeddings: {self.text}",
            f"  - Combined embeddings: {self.combined}",
        ]
        if self.lost_image or self.lost_text:
            lines.append(
                f"Taken away, because the content is gone: {self.lost_image} image,"
                f" {self.lost_text} text and {self.lost_combined} combined vectors"
            )
        if self.refetched:
            lost = self.refetched - self.unchanged - self.changed
            lines += [
                f"Stored images whose pictures were asked for again: {self.refetched}",
                f"  - Unchanged: {self.unchanged}",
                f"  - Changed: {self.changed}",
                f"  - Not to be had, left as stored: {lost}",
            ]
        if self.recombined:
            lines.append(f"  - Combined anew from stored vectors: {self.recombined}")
        if self.paused_hosts:
            lines.append("Paused hosts, whose pictures are tried again later:")
            lines += [f"  - {host}: {count}" for host, count in self.paused_hosts.most_common()]
        if next_step:
            lines.append(next_step)
        if self.failures:
            lines.append("What failed, by kind, and what to do:")
            lines += [f"  - {line}" for line in cures(self.failures)]
        return lines


def _lacks(item: EmbeddedProduct, modality: ContentModality) -> bool:
    """Return whether a stored product lacks content of this modality that it should have.

    A vector that was to be kept and is not there is explained by a failure that waits for its next
    attempt.
    """
    needs = {"image": item.product.image_need, "text": item.product.text_need}
    if needs[modality] is Need.KEEP:
        return {"image": item.image, "text": item.text}[modality] is None
    return any(
        failure.stage in STAGES[modality] and not is_absence(failure) for failure in item.failures
    )


def product_lines(item: EmbeddedProduct) -> list[str]:
    """Return the result of one product as lines for people."""
    product = item.product
    has_text = bool(item.text_used) or item.text is not None
    title = one_line(product.title) or product.id
    lines = [
        f"Processing: {title}",
        f"    Content: {'Has' if has_text else 'No'} text,"
        f" {'Has' if product.image_urls else 'No'} image",
    ]
    if product.image_need is not Need.KEEP or item.refetched is not None:
        used = [file.url for file in item.files] or product.image_urls[:1]
        lines += [f"    Processing image: {shown(url)}" for url in used]
    lines += [f"    {_failure(failure)}" for failure in item.failures]
    if item.refetched == "unchanged":
        lines.append("    The pictures of its image are as they were")
    lines += _dimensions("Image", item.image, product.image_need)
    if item.text_used:
        lines.append(f'    Processing text: "{_beginning(item.text_used)}"')
    lines += _dimensions("Text", item.text, product.text_need)
    if item.combined is None:
        return lines
    if item.image is None:
        lines.append("    Using text embedding as combined")
    elif item.text is None:
        lines.append("    Using image embedding as combined")
    else:
        lines.append(f"    Combined embedding: {len(item.combined)} dimensions")
    return [*lines, f"    Stored embeddings ({', '.join(_kinds(item))}) for: {title}"]


def _dimensions(kind: str, vector: Vector | None, need: Need) -> list[str]:
    kept = ", kept" if need is Need.KEEP else ""
    return [] if vector is None else [f"    {kind} embedding: {len(vector)} dimensions{kept}"]


def _beginning(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[:SHOWN_CHARACTERS]}..."


def one_line(text: str) -> str:
    """Make a text from the shop safe for a terminal: one line, without control characters."""
    return "".join(char if char.isprintable() else " " for char in text).strip()


def _failure(failure: Failure) -> str:
    return f"{failure.stage} failed ({failure.kind}): {failure.message}"


def _kinds(item: EmbeddedProduct) -> list[str]:
    vectors = {"image": item.image, "text": item.text, "combined": item.combined}
    return [kind for kind, vector in vectors.items() if vector is not None]


def product_fields(item: EmbeddedProduct) -> dict[str, object]:
    """Return the result of one product as fields for JSON."""
    return {
        "id": item.product.id,
        "title": item.product.title,
        "embeddings": _kinds(item),
        "skipped": item.skipped,
        "refetched": item.refetched,
        "failures": [
            {"stage": f.stage, "kind": f.kind, "message": f.message} for f in item.failures
        ],
    }
