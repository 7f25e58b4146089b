"""The parts of a photo that are looked at: a phone's picture holds more than the thing itself."""

from PIL import Image

SHARES = (1.0, 0.8, 0.6)
"""Whole, and centre crops by their share of width and height: the mean of these three raised
recall@1 from 0.34 to 0.40 on 620 real photos (`benchmarks/scan_quality.py`)."""


def views(photo: Image.Image) -> list[Image.Image]:
    """The whole photo and its centre crops, each at least one pixel wide and high."""
    return [_centre(photo, share) for share in SHARES]


def _centre(photo: Image.Image, share: float) -> Image.Image:
    width, height = max(1, round(photo.width * share)), max(1, round(photo.height * share))
    left, top = (photo.width - width) // 2, (photo.height - height) // 2
    return photo.crop((left, top, left + width, top + height))
