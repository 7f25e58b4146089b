"""Cuts views out of a photo, because a photo from a phone shows more than the product."""

from collections.abc import Callable, Iterable
from math import ceil

from PIL import Image

from shelfsight.images.codes import read_codes
from shelfsight.images.decode import DecodedPicture, decode_picture, seen
from shelfsight.images.photo_box import WHOLE, PhotoBox
from shelfsight.images.resize import Box, Size, part_resizer
from shelfsight.records import PictureFormat, Pixels

SMALLEST_VIEW = 0.6
"""How much of a photo's width and height the tightest crop keeps. Three views (whole, 80%, 60%)
raised recall@1 from 0.34 to 0.40 on 620 real photos (`benchmarks/scan_quality.py`)."""

OVERSAMPLING = 1.5
"""A photo is first shrunk by a whole number, as far as its closest view still has this many times
the pixels per side that the model takes. Big photos then take a ninth of the time. The vectors had
a cosine of 0.9994 or more to those of the full photo; 0.9990 with 1.25."""

CODE_SIDE = 1000
"""Codes are read in a photo whose shorter side has at least this many pixels, and fewer than twice
as many: larger photos are shrunk by a whole number. Of 4,000 x 3,000 pixels every second is left,
so that an EAN-13 has to be 6% as wide as the photo to have 120 of them."""


MapViews = Callable[[Callable[[Box], Pixels], Iterable[Box]], Iterable[Pixels]]
"""The built-in `map`, or the `map` of a thread pool, to resize several views at the same time."""


def photo_views(
    data: bytes,
    count: int,
    picture_format: PictureFormat,
    map_views: MapViews = map,
    box: PhotoBox = WHOLE,
) -> list[Pixels]:
    """Decode a photo's file and cut the views out of the part in `box`; see `views`.

    Raises:
        UnusablePictureError: as in `decode`.
    """
    picture = _decode(data, _min_side(picture_format), box)
    return views(picture, count, picture_format, map_views)


def views_and_codes(
    data: bytes,
    count: int,
    picture_format: PictureFormat,
    map_views: MapViews = map,
    box: PhotoBox = WHOLE,
) -> tuple[list[Pixels], tuple[str, ...]]:
    """Do the same, and read the barcodes and QR codes in the box.

    Raises:
        UnusablePictureError: as in `decode`.
    """
    picture = _decode(data, max(CODE_SIDE, _min_side(picture_format)), box)
    return views(picture, count, picture_format, map_views), codes_in(picture)


def codes_in(picture: DecodedPicture) -> tuple[str, ...]:
    """Return the texts of the codes in a photo; see `images.codes`."""
    photo = picture.image
    factor = min(photo.size) // CODE_SIDE
    return read_codes(photo.reduce(factor) if factor > 1 else photo)


def views(
    picture: DecodedPicture, count: int, picture_format: PictureFormat, map_views: MapViews = map
) -> list[Pixels]:
    """Cut `count` views out of a photo: the first is the whole photo, each next one is closer.

    Returns arrays of uint8 (side, side, 3) in sRGB, or all of (height, width, 3) if the format
    keeps the shape.

    Raises:
        UnusablePictureError: `blank`, if the photo is all white.
    """
    step = (1 - SMALLEST_VIEW) / max(1, count - 1)
    size = picture_format.size_of(*picture.image.size)
    photo = _shrink(picture.image, size)
    resize_part = part_resizer(photo, picture_format, size)
    boxes = (_centre(photo, 1 - number * step) for number in range(count))
    cut = [picture.pixels_in_srgb(view) for view in map_views(resize_part, boxes)]
    return [seen(cut[0]), *cut[1:]]


def _decode(data: bytes, min_side: int, box: PhotoBox) -> DecodedPicture:
    """Decode a photo; the box in it has the side that a whole photo would have, or all pixels."""
    share = max(0.01, min(box.width, box.height))
    picture = decode_picture(data, min_side=ceil(min_side / share))
    return picture if box == WHOLE else box.cut(picture)


def _min_side(picture_format: PictureFormat) -> int:
    return ceil(OVERSAMPLING * picture_format.side / SMALLEST_VIEW)


def _shrink(photo: Image.Image, size: Size) -> Image.Image:
    """Shrink a large photo: average squares of pixels, whose side is a whole number."""
    across, down = (
        max(1, int(SMALLEST_VIEW * length / (OVERSAMPLING * side)))
        for length, side in zip(photo.size, size, strict=True)
    )
    return photo.reduce((across, down)) if across * down > 1 else photo


def _centre(photo: Image.Image, share: float) -> Box:
    width, height = max(1, round(photo.width * share)), max(1, round(photo.height * share))
    left, top = (photo.width - width) // 2, (photo.height - height) // 2
    return left, top, left + width, top + height
