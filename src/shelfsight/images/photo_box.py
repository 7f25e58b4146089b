"""A box in a photo: the part that shows the thing meant."""

from dataclasses import replace
from math import ceil, floor
from typing import NamedTuple

from shelfsight.images.decode import DecodedPicture


class PhotoBox(NamedTuple):
    """A box by its upper left corner and its size, as shares of the upright photo, in [0, 1]."""

    x: float
    y: float
    width: float
    height: float

    def cut(self, picture: DecodedPicture) -> DecodedPicture:
        """Return the part of a picture in the box: whole pixels, and at least one."""
        across, down = picture.image.size
        left = min(floor(self.x * across), across - 1)
        top = min(floor(self.y * down), down - 1)
        right = min(max(ceil((self.x + self.width) * across), left + 1), across)
        bottom = min(max(ceil((self.y + self.height) * down), top + 1), down)
        return replace(picture, image=picture.image.crop((left, top, right, bottom)))

    def outward(self, inner: "PhotoBox") -> "PhotoBox":
        """Return a box in the photo that was found in this part of it."""
        return PhotoBox(
            x=self.x + inner.x * self.width,
            y=self.y + inner.y * self.height,
            width=inner.width * self.width,
            height=inner.height * self.height,
        )


WHOLE = PhotoBox(0, 0, 1, 1)
