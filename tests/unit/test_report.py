"""What is counted, how it is shown, and the exit status that follows."""

import numpy as np
import pytest

from shelfsight.backfill.report import Report, product_fields, product_lines
from shelfsight.records import (
    NO_CONTENT,
    EmbeddedProduct,
    Failure,
    Need,
    PictureFile,
    Product,
    Stage,
)

VECTOR = np.ones(768, np.float32)
BROKEN = Failure(stage=Stage.FETCH, kind="http_404", message="gone")


def embedded(**vectors: np.ndarray) -> EmbeddedProduct:
    return EmbeddedProduct(product=Product(id="1"), combined=VECTOR, **vectors)


FAILED = EmbeddedProduct(product=Product(id="2"), failures=(BROKEN,))
SKIPPED = EmbeddedProduct(product=Product(id="3"), failures=(NO_CONTENT,))


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


def test_a_paused_host_is_named_with_how_many_pictures_wait_for_it() -> None:
    paused = Failure(
        stage=Stage.FETCH, kind="host_paused", message="", retryable=True, host="cdn.example.com"
    )
    report = Report()
    report.add([EmbeddedProduct(product=Product(id=str(n)), failures=(paused,)) for n in range(3)])
    assert report.lines()[-2:] == [
        "Paused hosts, whose pictures are tried again later:",
        "  - cdn.example.com: 3",
    ]


def test_a_broken_picture_is_counted_by_kind_though_its_product_has_its_text() -> None:
    report = Report()
    item = EmbeddedProduct(
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
    page: list[EmbeddedProduct], interrupted: bool, status: int
) -> None:
    report = Report(interrupted=interrupted)
    report.add(page)
    assert report.exit_status == status


def test_a_vector_that_was_kept_is_not_counted_as_made_and_its_product_is_embedded() -> None:
    report = Report()
    edited = Product(id="1", title="Cap", image_need=Need.KEEP)
    item = EmbeddedProduct(
        product=edited, image=VECTOR, text=VECTOR, combined=VECTOR, text_used="Cap"
    )
    report.add([item])
    assert (report.image, report.text, report.combined) == (0, 1, 1)
    assert (report.embedded, report.failed) == (1, 0)
    assert "    Image embedding: 768 dimensions, kept" in product_lines(item)


def test_stored_images_that_were_asked_for_again_are_counted_by_what_came_of_it() -> None:
    files = (PictureFile(url="a.png", content_hash="1"),)
    stored = Product(id="1", image_need=Need.KEEP, text_need=Need.KEEP, files=files)
    same, lost = (
        EmbeddedProduct(product=stored),
        EmbeddedProduct(product=stored, failures=(BROKEN,)),
    )
    replaced = Product(id="2", text_need=Need.KEEP, files=files)
    changed = EmbeddedProduct(product=replaced, image=VECTOR, combined=VECTOR)
    report = Report()
    report.add([same, same, lost, changed])
    assert (report.found, report.embedded, report.failed, report.image) == (4, 1, 0, 1)
    assert (report.success_rate, report.exit_status) == (100.0, 0)
    assert report.lines()[10:14] == [
        "Stored images whose pictures were asked for again: 4",
        "  - Unchanged: 2",
        "  - Changed: 1",
        "  - Not to be had, left as stored: 1",
    ]
    assert "    The pictures of its image are as they were" in product_lines(same)
    assert product_fields(changed)["refetched"] == "changed"
