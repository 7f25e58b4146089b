"""Build outlines as lists of points, in unit coordinates.

(0, 0) is the upper left corner of the picture and (1, 1) the lower right one.
"""

import math
from collections.abc import Iterable

Point = tuple[float, float]
Shape = list[Point]
"""An outline or a line."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def curve(*points: Point, closed: bool = True, steps: int = 10) -> Shape:
    """Return a smooth line (Catmull-Rom spline) through `points`.

    A point given twice is a corner. `steps` is the number of segments between two points.
    """
    count = len(points)
    spans = range(count if closed else count - 1)
    line: Shape = []
    for i in spans:
        a, b, c, d = (
            points[j % count] if closed else points[min(max(j, 0), count - 1)]
            for j in (i - 1, i, i + 1, i + 2)
        )
        if b != c:
            line.extend(_interpolate(a, b, c, d, t / steps) for t in range(steps))
    if not closed:
        line.append(points[-1])
    return line


def _interpolate(a: Point, b: Point, c: Point, d: Point, t: float) -> Point:
    """Return the point at `t` (0 to 1) of the way from `b` to `c`."""
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


def parse_curve(path: str, *, closed: bool = True) -> Shape:
    """Return the `curve` through points written as "x,y x,y ..."; "x,y!" is a corner.

    The numbers are hundredths of the picture's side.
    """
    return curve(*_parse_points(path), closed=closed)


def parse_symmetric_curve(path: str) -> Shape:
    """Return a closed `curve`: `path` and its mirror image about the picture's vertical axis."""
    half = _parse_points(path)
    return curve(*half, *mirrored(reversed(half)))


def _parse_points(path: str) -> Shape:
    points: Shape = []
    for word in path.split():
        x, _, y = word.rstrip("!").partition(",")
        point = (float(x) / 100, float(y) / 100)
        points += [point, point] if word.endswith("!") else [point]
    return points


def ellipse(centre: Point, rx: float, ry: float, start: float = 0, stop: float = 360) -> Shape:
    """Return an ellipse, or its arc from `start` to `stop` degrees, clockwise from the right."""
    steps = max(8, round(abs(stop - start) / 5))
    angles = (math.radians(start + (stop - start) * i / steps) for i in range(steps + 1))
    return [(centre[0] + rx * math.cos(a), centre[1] + ry * math.sin(a)) for a in angles]


def disc(x: float, y: float, radius: float) -> Shape:
    """Return a circle."""
    return ellipse((x, y), radius, radius)


def rectangle(box: Box, radius: float = 0.0) -> Shape:
    """Return a rectangle; `radius` rounds its corners."""
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


def star(centre: Point, outer: float, inner: float, tips: int, angle: float = -90) -> Shape:
    """Return a star with `tips` tips, the first of them at `angle` degrees."""
    return [
        (centre[0] + radius * math.cos(turn), centre[1] + radius * math.sin(turn))
        for i in range(2 * tips)
        for radius in [outer if i % 2 == 0 else inner]
        for turn in [math.radians(angle + 180 * i / tips)]
    ]


def polygon(centre: Point, radius: float, corners: int, angle: float = -90) -> Shape:
    """Return a regular polygon, its first corner at `angle` degrees."""
    angles = (math.radians(angle + 360 * i / corners) for i in range(corners))
    return [(centre[0] + radius * math.cos(a), centre[1] + radius * math.sin(a)) for a in angles]


def heart(x: float, y: float, size: float) -> Shape:
    """Return a heart about `size` wide, centred at (x, y)."""
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
    """Return a pointed leaf that grows from `start` towards `angle` degrees."""
    shape = [
        (length * t, width * math.sin(math.pi * t**0.8) * side)
        for side in (1, -1)
        for t in ([i / 8 for i in range(9)] if side == 1 else [i / 8 for i in range(7, 0, -1)])
    ]
    return rotated(translated(shape, *start), angle, start)


def translated(shape: Iterable[Point], dx: float, dy: float) -> Shape:
    """Return the shape moved by (dx, dy)."""
    return [(x + dx, y + dy) for x, y in shape]


def rotated(shape: Iterable[Point], angle: float, centre: Point = (0.5, 0.5)) -> Shape:
    """Return the shape rotated clockwise by `angle` degrees about `centre`."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    cx, cy = centre
    return [
        (cx + (x - cx) * cos - (y - cy) * sin, cy + (x - cx) * sin + (y - cy) * cos)
        for x, y in shape
    ]


def mirrored(shape: Iterable[Point], axis: float = 0.5) -> Shape:
    """Return the shape mirrored about the vertical line x = `axis`."""
    return [(2 * axis - x, y) for x, y in shape]
