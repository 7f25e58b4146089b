"""Proposes a box around each thing in a photo, for things with a little space between them.

Things have edges, and what they lie on has few: the strong gradients of a photo are closed to
areas, and each area is a thing. This needs no model, so that things of any kind are found.
"""

from collections.abc import Iterable, Iterator
from functools import cache

import numpy as np
import scipy
from numpy.typing import NDArray
from PIL import Image, ImageCms

from shelfsight.images.decoder.protocol import DecodeJob
from shelfsight.images.photo_box import PhotoBox
from shelfsight.records import Pixels

MAX_BOXES = 20

SIDE = 320
"""The longest side of the photo in which things are looked for, in pixels."""

JOB = DecodeJob(result="views", side=SIDE, resample="bilinear", keeps_shape=True)
"""Makes the picture that `propose_boxes` takes."""

BLUR = 1.5
"""Standard deviation of the Gaussian whose derivatives are the gradient, in pixels."""

EDGE = 2.0
"""The least gradient of an edge, in units of CIE L*a*b* a pixel."""

EDGE_TO_MEDIAN = 3.0
"""How many times as strong as the photo's median an edge is: a table may have a grain."""

GAP = 9
"""Edges that are up to so many pixels apart belong to one thing."""

THINNEST = 7
"""What is thinner than so many pixels is no thing."""

LEAST_SHARE = 0.006
MOST_SHARE = 0.85
"""The least and the most of a photo that the box of a thing covers."""

FULLNESS = 0.25
"""The least part of its box that a thing fills."""

MARGIN = 0.03
"""What a box is larger than its thing on each side, as a part of the thing."""


def propose_boxes(photo: Pixels) -> list[PhotoBox]:
    """Return boxes around the things in a photo, in the order of reading.

    Args:
        photo: uint8 (height, width, 3), sRGB, made by `JOB`.

    Returns:
        At most `MAX_BOXES` boxes, the largest; none if nothing stands out.
    """
    areas, _ = scipy.ndimage.label(_things(photo), structure=np.ones((3, 3)))
    found = [*_boxes(areas)]
    found.sort(key=lambda box: box.width * box.height, reverse=True)
    return in_reading_order(found[:MAX_BOXES])


def in_reading_order(boxes: Iterable[PhotoBox]) -> list[PhotoBox]:
    """Sort boxes by rows, each from the left; in a row, a box's middle lies beside the first."""
    rows: list[list[PhotoBox]] = []
    for box in sorted(boxes, key=_middle):
        if rows and _middle(box) < rows[-1][0].y + rows[-1][0].height:
            rows[-1].append(box)
        else:
            rows.append([box])
    return [box for row in rows for box in sorted(row)]


def _things(photo: Pixels) -> NDArray[np.bool_]:
    """Return the pixels (height, width) that belong to things."""
    edges = np.pad(_edges(photo), GAP)
    closed = scipy.ndimage.binary_closing(edges, np.ones((GAP, GAP)))[GAP:-GAP, GAP:-GAP]
    filled = scipy.ndimage.binary_fill_holes(closed)
    opened: NDArray[np.bool_] = scipy.ndimage.binary_opening(filled, np.ones((THINNEST, THINNEST)))
    return opened


def _edges(photo: Pixels) -> NDArray[np.bool_]:
    """Return the pixels whose colour differs from that of their neighbours, as one sees it."""
    lab = np.asarray(ImageCms.applyTransform(Image.fromarray(photo), _to_lab()))
    lightness = lab[..., :1].astype(np.float32) * (100 / 255)
    colour = lab[..., 1:].view(np.int8).astype(np.float32)
    values = np.concatenate([lightness, colour], axis=2)
    sigma = (BLUR, BLUR, 0)
    orders = (1, 0, 0), (0, 1, 0)
    slopes = [scipy.ndimage.gaussian_filter(values, sigma, order) for order in orders]
    gradient = np.sqrt(np.square(slopes).sum(axis=(0, 3)))
    edges: NDArray[np.bool_] = gradient > max(EDGE, EDGE_TO_MEDIAN * float(np.median(gradient)))
    return edges


@cache
def _to_lab() -> ImageCms.ImageCmsTransform:
    srgb, lab = (ImageCms.createProfile(name) for name in ("sRGB", "LAB"))
    return ImageCms.buildTransform(srgb, lab, "RGB", "LAB")


def _boxes(areas: NDArray[np.integer]) -> Iterator[PhotoBox]:
    height, width = areas.shape
    for number, (rows, columns) in enumerate(scipy.ndimage.find_objects(areas), 1):
        size = (rows.stop - rows.start) * (columns.stop - columns.start)
        if not LEAST_SHARE <= size / areas.size <= MOST_SHARE:
            continue
        if np.count_nonzero(areas[rows, columns] == number) < FULLNESS * size:
            continue
        left, right = _widened(columns, width)
        top, bottom = _widened(rows, height)
        yield PhotoBox(left, top, right - left, bottom - top)


def _middle(box: PhotoBox) -> float:
    return box.y + box.height / 2


def _widened(part: slice, length: int) -> tuple[float, float]:
    margin = MARGIN * (part.stop - part.start)
    return max(0.0, (part.start - margin) / length), min(1.0, (part.stop + margin) / length)
