"""Outlines as lists of points; the unit is the side of the picture, y grows downwards."""

import math
from collections.abc import Iterable

Point = tuple[float, float]
Shape = list[Point]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def curve(*points: Point, closed: bool = True, steps: int = 10) -> Shape:
    """A smooth line (Catmull-Rom) through `points`; a point given twice is a corner."""
    count = len(points)
    spans = range(count if closed else count - 1)
    line: Shape = []
    for i in spans:
        a, b, c, d = (
            points[j % count] if closed else points[min(max(j, 0), count - 1)]
            for j in (i - 1, i, i + 1, i + 2)
        )
        if b != c:
            line.extend(_between(a, b, c, d, t / steps) for t in range(steps))
    if not closed:
        line.append(points[-1])
    return line


def _between(a: Point, b: Point, c: Point, d: Point, t: float) -> Point:
    x, y = (
        0.5
        * (
            2 * q
            + (r - p) * t
            + (2 * p - 5 * q + 4 * r - s) * t**2
            + (3 * q - p - 3 * r + s) * t**3
        )
        for p, q, r, s in zip(a, b, c, d, strict=True)
    )
    return x, y


def traced(path: str, *, closed: bool = True) -> Shape:
    """A `curve` through points written as "x,y x,y ..." in hundredths; "x,y!" is a corner."""
    return curve(*_points(path), closed=closed)


def symmetric(path: str) -> Shape:
    """A closed `curve` of which `path` traces one half and the middle of the picture mirrors it."""
    half = _points(path)
    return curve(*half, *mirrored(reversed(half)))


def _points(path: str) -> Shape:
    points: Shape = []
    for word in path.split():
        x, _, y = word.rstrip("!").partition(",")
        point = (float(x) / 100, float(y) / 100)
        points += [point, point] if word.endswith("!") else [point]
    return points


def ellipse(centre: Point, rx: float, ry: float, start: float = 0, stop: float = 360) -> Shape:
    """An ellipse, or the part of it from `start` to `stop` degrees, clockwise from the right."""
    steps = max(8, round(abs(stop - start) / 5))
    angles = (math.radians(start + (stop - start) * i / steps) for i in range(steps + 1))
    return [(centre[0] + rx * math.cos(a), centre[1] + ry * math.sin(a)) for a in angles]


def disc(x: float, y: float, radius: float) -> Shape:
    """A circle."""
    return ellipse((x, y), radius, radius)


def rectangle(box: Box, radius: float = 0.0) -> Shape:
    """A rectangle, with rounded corners."""
    left, top, right, bottom = box
    if radius <= 0:
        return [(left, top), (right, top), (right, bottom), (left, bottom)]
    corners = (
        (right - radius, top + radius, -90.0),
        (right - radius, bottom - radius, 0.0),
        (left + radius, bottom - radius, 90.0),
        (left + radius, top + radius, 180.0),
    )
    return [
        point
        for x, y, start in corners
        for point in ellipse((x, y), radius, radius, start, start + 90)
    ]


def star(centre: Point, outer: float, inner: float, tips: int, turn: float = -90) -> Shape:
    """A star with `tips` tips, the first of them at `turn` degrees."""
    return [
        (centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle))
        for i in range(2 * tips)
        for radius in [outer if i % 2 == 0 else inner]
        for angle in [math.radians(turn + 180 * i / tips)]
    ]


def polygon(centre: Point, radius: float, corners: int, turn: float = -90) -> Shape:
    """A regular polygon, its first corner at `turn` degrees."""
    angles = (math.radians(turn + 360 * i / corners) for i in range(corners))
    return [(centre[0] + radius * math.cos(a), centre[1] + radius * math.sin(a)) for a in angles]


def heart(x: float, y: float, size: float) -> Shape:
    """A heart about `size` wide."""
    return curve(
        (x, y - size * 0.22),
        (x, y - size * 0.22),
        (x + size * 0.28, y - size * 0.45),
        (x + size * 0.5, y - size * 0.15),
        (x, y + size * 0.5),
        (x, y + size * 0.5),
        (x - size * 0.5, y - size * 0.15),
        (x - size * 0.28, y - size * 0.45),
    )


def leaf(start: Point, length: float, width: float, angle: float) -> Shape:
    """A pointed leaf that grows from `start` towards `angle` degrees."""
    shape = [
        (length * t, width * math.sin(math.pi * t**0.8) * side)
        for side in (1, -1)
        for t in ([i / 8 for i in range(9)] if side == 1 else [i / 8 for i in range(7, 0, -1)])
    ]
    return turned(moved(shape, *start), angle, start)


def moved(shape: Iterable[Point], dx: float, dy: float) -> Shape:
    """The same shape elsewhere."""
    return [(x + dx, y + dy) for x, y in shape]


def turned(shape: Iterable[Point], angle: float, centre: Point = (0.5, 0.5)) -> Shape:
    """The shape turned clockwise by `angle` degrees about `centre`."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    cx, cy = centre
    return [
        (cx + (x - cx) * cos - (y - cy) * sin, cy + (x - cx) * sin + (y - cy) * cos)
        for x, y in shape
    ]


def mirrored(shape: Iterable[Point], axis: float = 0.5) -> Shape:
    """The shape flipped left to right about a vertical axis."""
    return [(2 * axis - x, y) for x, y in shape]
