"""Boxes are proposed around the things in a photo, whatever they look like and lie on."""

from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from shelfsight.images.box_proposals import MAX_BOXES, in_reading_order, propose_boxes
from shelfsight.images.photo_box import PhotoBox
from shelfsight.records import Pixels

WIDTH, HEIGHT = 320, 240
CELL = 80
"""Each thing lies somewhere in a cell of its own, with at least `SPACE` pixels around it."""
SPACE = 8
COLOURS = ("#c0392b", "#2471a3", "#1e8449", "#f1c40f", "#6c3483", "#212f3d")
TABLES = ((235, 235, 230), (150, 110, 75), (120, 130, 140))


@dataclass(frozen=True)
class Thing:
    cell: int
    size: tuple[int, int]
    place: tuple[float, float]
    colour: str
    is_round: bool

    @property
    def box(self) -> tuple[int, int, int, int]:
        row, column = divmod(self.cell, WIDTH // CELL)
        room = [CELL - 2 * SPACE - length for length in self.size]
        left = column * CELL + SPACE + round(self.place[0] * room[0])
        top = row * CELL + SPACE + round(self.place[1] * room[1])
        return left, top, left + self.size[0], top + self.size[1]


lengths = st.integers(28, CELL - 2 * SPACE)
shares = st.floats(0, 1)
things = st.lists(
    st.builds(
        Thing,
        cell=st.integers(0, WIDTH // CELL * (HEIGHT // CELL) - 1),
        size=st.tuples(lengths, lengths),
        place=st.tuples(shares, shares),
        colour=st.sampled_from(COLOURS),
        is_round=st.booleans(),
    ),
    max_size=6,
    unique_by=lambda thing: thing.cell,
)


def photo(found: list[Thing], table: tuple[int, int, int], slope: float, seed: int) -> Pixels:
    """Things on a table with light from one side, and the noise of a camera."""
    image = Image.new("RGB", (WIDTH, HEIGHT), table)
    draw = ImageDraw.Draw(image)
    for thing in found:
        shape = draw.ellipse if thing.is_round else draw.rectangle
        left, top, right, bottom = thing.box
        shape((left, top, right - 1, bottom - 1), fill=thing.colour)
    light = 1 + slope * np.linspace(-0.5, 0.5, WIDTH)[None, :, None]
    noise = np.random.default_rng(seed).normal(0, 2, (HEIGHT, WIDTH, 3))
    return np.clip(np.asarray(image) * light + noise, 0, 255).astype(np.uint8)


def overlap(box: PhotoBox, thing: Thing) -> float:
    """Intersection over union."""
    left, top, right, bottom = thing.box
    x, y = box.x * WIDTH, box.y * HEIGHT
    across, down = box.width * WIDTH, box.height * HEIGHT
    shared = max(0.0, min(x + across, right) - max(x, left))
    shared *= max(0.0, min(y + down, bottom) - max(y, top))
    return shared / (across * down + (right - left) * (bottom - top) - shared)


@settings(max_examples=60)
@given(
    found=things,
    table=st.sampled_from(TABLES),
    slope=st.floats(-0.3, 0.3),
    seed=st.integers(0, 1000),
)
def test_each_thing_gets_a_box_and_nothing_else_does(
    found: list[Thing], table: tuple[int, int, int], slope: float, seed: int
) -> None:
    boxes = propose_boxes(photo(found, table, slope, seed))
    assert len(boxes) == len(found)
    for thing in found:
        assert max(overlap(box, thing) for box in boxes) >= 0.6


def test_boxes_are_read_row_by_row() -> None:
    tall, low = PhotoBox(0.6, 0.05, 0.2, 0.4), PhotoBox(0.1, 0.3, 0.2, 0.1)
    below = PhotoBox(0.0, 0.6, 0.2, 0.3), PhotoBox(0.5, 0.55, 0.2, 0.3)
    assert in_reading_order([*below[::-1], tall, low]) == [low, tall, *below]


@settings(max_examples=60)
@given(
    shape=st.tuples(st.integers(1, 64), st.integers(1, 64)),
    seed=st.integers(0, 1000),
    grain=st.integers(1, 16),
)
def test_any_picture_gets_boxes_that_lie_in_it(
    shape: tuple[int, int], seed: int, grain: int
) -> None:
    small = np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)
    boxes = propose_boxes(small.repeat(grain, 0).repeat(grain, 1)[:320, :320])
    assert len(boxes) <= MAX_BOXES
    for box in boxes:
        assert box.x >= 0
        assert box.y >= 0
        assert 0 < box.width <= 1 - box.x + 1e-9
        assert 0 < box.height <= 1 - box.y + 1e-9
