"""What a run shows: it follows what is stored, and ends with the results."""

import json
import re
from io import StringIO
from random import Random
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.backfill.progress import LineProgress
from shelfsight.backfill.progress_json import JsonProgress
from shelfsight.backfill.report import Report
from shelfsight.backfill.throughput import Throughput, duration
from shelfsight.cli.watch_command import _Lines
from shelfsight.records import EmbeddedProduct, Product

PATIENCE = 30


def page(size: int) -> list[EmbeddedProduct]:
    return [EmbeddedProduct(product=Product(id=str(number))) for number in range(size)]


class WatchedOutput(StringIO):
    """An output that says when a line contains `wanted`."""

    def __init__(self, wanted: str) -> None:
        super().__init__()
        self.wanted = wanted
        self.came = Event()

    def write(self, text: str) -> int:
        size = super().write(text)
        if self.wanted in text:
            self.came.set()
        return size


@pytest.mark.parametrize("kind", [LineProgress, JsonProgress])
def test_a_batch_that_is_read_after_the_end_is_not_named(
    kind: type[LineProgress | JsonProgress],
) -> None:
    out = StringIO()
    progress = kind(out)
    progress.start(20, 2)
    progress.batch(1, 10)
    progress.stored(page(10))
    progress.finish(Report(found=10, embedded=10, due=20), "shelfsight backfill")
    shown = out.getvalue()
    progress.batch(2, 10)
    assert out.getvalue() == shown


def test_the_result_is_the_last_line_of_json() -> None:
    out = StringIO()
    progress = JsonProgress(out)
    progress.finish(Report())
    progress.notify("too late")
    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()] == ["result"]


@pytest.mark.parametrize("kind", [LineProgress, JsonProgress])
def test_a_batch_is_named_when_those_before_it_are_stored(
    kind: type[LineProgress | JsonProgress],
) -> None:
    out = StringIO()
    progress = kind(out)
    progress.start(8, 2)
    progress.batch(1, 4)
    progress.batch(2, 4)
    read = len(re.findall(r"Processing batch|\"batch\"", out.getvalue()))
    progress.stored(page(2))
    half = len(re.findall(r"Processing batch|\"batch\"", out.getvalue()))
    progress.stored(page(2))
    whole = len(re.findall(r"Processing batch|\"batch\"", out.getvalue()))
    assert (read, half, whole) == (1, 1, 2)


def test_the_lines_say_how_many_are_stored_how_fast_and_how_long_the_rest_takes() -> None:
    now = 0.0
    run = Throughput(lambda: now)
    run.start(1000, 10)
    assert run.describe() == "0 of 1000 products stored"
    now = 50.0
    run.add_stored(200)
    assert run.describe() == "200 of 1000 products stored, 4 products/s, about 3 min 20 s left"
    assert run.seconds_for(150) == 37.5
    now = 250.0
    run.add_stored(800)
    assert run.describe() == "1000 of 1000 products stored, 4 products/s"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.44, "0.4 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
    ],
)
def test_a_duration_reads_as_people_say_it(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_batch_that_takes_long_says_what_is_fetched_and_embedded_meanwhile() -> None:
    out = WatchedOutput("3 pictures fetched, 2 pictures and 1 texts embedded so far")
    progress = LineProgress(out, quiet_seconds=0.01)
    progress.start(20, 2)
    progress.batch(1, 10)
    with progress.working():
        for _ in range(3):
            progress.fetched()
        progress.embedded("image", 2)
        progress.embedded("text", 1)
        assert out.came.wait(PATIENCE)
    assert "Still working on batch 1/2: 0 of 20 products stored; 3 pictures" in out.getvalue()


def test_json_says_in_numbers_that_a_batch_takes_long() -> None:
    out = WatchedOutput('"pictures_embedded": 2')
    progress = JsonProgress(out, quiet_seconds=0.01)
    progress.start(20, 2)
    with progress.working():
        progress.embedded("image", 2)
        assert out.came.wait(PATIENCE)
    last = json.loads(out.getvalue().splitlines()[-1])
    assert (last["event"], last["stored"], last["texts_embedded"]) == ("working", 0, 0)


def test_a_watch_says_what_it_works_on_only_while_it_works_on_something() -> None:
    out = WatchedOutput("Still working on 3 changed products: nothing is embedded yet")
    shown = _Lines(out, quiet_seconds=0.01)
    with shown.working():
        shown.in_progress(3)
        assert out.came.wait(PATIENCE)
    out = WatchedOutput("Still working")
    shown = _Lines(out, quiet_seconds=0.01)
    with shown.working():
        assert not out.came.wait(0.1)


def test_nothing_is_said_after_the_end() -> None:
    out = WatchedOutput("Still working")
    progress = LineProgress(out, quiet_seconds=0.01)
    progress.start(2, 1)
    with progress.working():
        progress.finish(Report(found=2, embedded=2))
        out.came.clear()  # before the end it may have been said
        shown = out.getvalue()
        assert not out.came.wait(0.1)
    assert out.getvalue() == shown


@given(st.lists(st.integers(1, 5), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_no_line_claims_more_than_is_stored_and_every_batch_is_named_in_order(
    batches: list[int], random: Random
) -> None:
    """Batches are read ahead, and their products are stored in pages of any size."""
    out = StringIO()
    progress = LineProgress(out)
    total, stored, read = sum(batches), 0, 0
    progress.start(total, len(batches))
    while stored < total:
        shown = out.tell()
        if read < len(batches) and (random.random() < 0.5 or stored == sum(batches[:read])):
            read += 1
            progress.batch(read, batches[read - 1])
        else:
            size = random.randint(1, sum(batches[:read]) - stored)
            stored += size
            progress.stored(page(size))
        new = out.getvalue()[shown:]
        assert all(int(n) <= stored for n in re.findall(r"(\d+) of \d+ products stored", new))
        for number in map(int, re.findall(r"Processing batch (\d+)/", new)):
            assert sum(batches[: number - 1]) <= stored
    named = re.findall(r"Processing batch (\d+)/(\d+)", out.getvalue())
    assert named == [(str(n), str(len(batches))) for n in range(1, len(batches) + 1)]
