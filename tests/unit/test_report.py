"""What is counted, how it is shown, and the exit status that follows."""

import numpy as np
import pytest

from shelfsight.records import NO_CONTENT, Embedded, Failure, Product, Stage
from shelfsight.report import Report

VECTOR = np.ones(768, np.float32)
BROKEN = Failure(stage=Stage.FETCH, kind="http_404", message="gone")


def embedded(**vectors: np.ndarray) -> Embedded:
    return Embedded(product=Product(id="1"), combined=VECTOR, **vectors)


FAILED = Embedded(product=Product(id="2"), failures=(BROKEN,))
SKIPPED = Embedded(product=Product(id="3"), failures=(NO_CONTENT,))


def test_the_results_read_as_promised() -> None:
    report = Report(due=1000)
    report.add([embedded(image=VECTOR)] * 30 + [embedded(text=VECTOR)] * 330)
    report.add([embedded(image=VECTOR, text=VECTOR)] * 620 + [SKIPPED] * 20)
    assert report.lines() == [
        "Results:",
        "  - Total products found: 1000",
        "  - Successfully embedded: 980",
        "  - Skipped: 20",
        "  - Failed: 0",
        "  - Success rate: 98.0%",
        "Embedding breakdown:",
        "  - Image embeddings: 650",
        "  - Text embeddings: 950",
        "  - Combined embeddings: 980",
    ]
    assert report.remaining == 0


def test_a_broken_picture_is_counted_by_kind_though_its_product_has_its_text() -> None:
    report = Report()
    item = Embedded(
        product=Product(id="1"), text=VECTOR, combined=VECTOR, failures=(BROKEN, BROKEN)
    )
    report.add([item])
    assert (report.embedded, report.failed, report.failures["http_404"]) == (1, 0, 2)


@pytest.mark.parametrize(
    ("page", "interrupted", "status"),
    [
        ([], False, 0),
        ([embedded(text=VECTOR)], False, 0),
        ([SKIPPED], False, 0),
        ([FAILED], False, 1),
        ([FAILED, embedded(text=VECTOR)], False, 3),
        ([FAILED], True, 130),
    ],
)
def test_the_exit_status_says_how_it_went(
    page: list[Embedded], interrupted: bool, status: int
) -> None:
    report = Report(interrupted=interrupted)
    report.add(page)
    assert report.exit_status == status
