"""What is counted, how it is shown, and the exit status that follows."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    assert report.lines()[-4:-2] == [
        "Paused hosts, whose pictures are tried again later:",
        "  - cdn.example.com: 3",
    ]


def test_a_product_whose_picture_failed_is_not_whole() -> None:
    report = Report()
    item = EmbeddedProduct(
        product=Product(id="1"), text=VECTOR, combined=VECTOR, failures=(BROKEN, BROKEN)
    )
    report.add([item, embedded(text=VECTOR)])
    assert (report.whole, report.embedded, report.failed) == (1, 1, 0)
    assert (report.incomplete, report.lacking_picture, report.lacking_text) == (1, 1, 0)
    assert (report.success_rate, report.exit_status) == (50.0, 3)
    assert report.failures["http_404"] == 2


def test_a_picture_that_waits_for_its_next_attempt_is_lacking_but_did_not_fail_now() -> None:
    report = Report()
    edited = Product(id="1", image_need=Need.KEEP)
    report.add([EmbeddedProduct(product=edited, text=VECTOR, combined=VECTOR)])
    assert (report.whole, report.lacking_picture, report.exit_status) == (0, 1, 0)


def test_nothing_found_is_no_success_rate() -> None:
    assert Report().success_rate is None
    assert "  - Success rate: none, nothing was due" in Report().lines()


def test_each_kind_is_named_with_its_number_and_its_cure() -> None:
    report = Report(failures=Counter(bad_address=1891, http_418=1, odd_word=1))
    assert report.lines()[-4:] == [
        "What failed, by kind, and what to do:",
        "  - bad_address 1891: correct the address; if it is a path, set IMAGE_ROOT or"
        " IMAGE_BASE_URL",
        "  - http_418 1: ask the host why it does not give the picture",
        "  - odd_word 1: see the log of the embedding server",
    ]


TEXT_FAILED = Failure(stage=Stage.TEXT, kind="model_error", message="no")
ITEMS = st.builds(
    lambda image, text, needs, failures, files: EmbeddedProduct(
        product=Product(id="1", image_need=needs[0], text_need=needs[1], files=files),
        image=image,
        text=text,
        combined=VECTOR if image is not None or text is not None else None,
        failures=tuple(failures),
    ),
    st.sampled_from([None, VECTOR]),
    st.sampled_from([None, VECTOR]),
    st.tuples(*[st.sampled_from([Need.MAKE, Need.KEEP])] * 2),
    st.lists(st.sampled_from([BROKEN, TEXT_FAILED, NO_CONTENT]), max_size=3),
    st.sampled_from([(), (PictureFile(url="a.png", content_hash="1"),)]),
)


@given(st.lists(ITEMS, max_size=8))
def test_each_product_has_one_outcome_and_a_failure_is_never_exit_status_0(
    page: list[EmbeddedProduct],
) -> None:
    report = Report()
    report.add(page)
    assert report.whole + report.incomplete + report.failed + report.skipped == report.found
    assert (report.exit_status == 0) == (not report.failures and not report.failed)
    assert report.embedded <= report.whole


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
    changed = EmbeddedProduct(product=replaced, image=VECTOR, text=VECTOR, combined=VECTOR)
    report = Report()
    report.add([same, same, lost, changed])
    assert (report.found, report.embedded, report.failed, report.image) == (4, 1, 0, 1)
    assert (report.success_rate, report.exit_status) == (100.0, 3)
    assert report.lines()[10:14] == [
        "Stored images whose pictures were asked for again: 4",
        "  - Unchanged: 2",
        "  - Changed: 1",
        "  - Not to be had, left as stored: 1",
    ]
    assert "    The pictures of its image are as they were" in product_lines(same)
    assert product_fields(changed)["refetched"] == "changed"
