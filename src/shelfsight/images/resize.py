"""Resizes RGB pictures, or parts of them, to the size a model takes.

The filters are Pillow's, which the models were trained with. fast_image_resize computes them
several times as fast as Pillow; Pillow is used where there is no wheel of it.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image

from shelfsight.records import PictureFormat, Pixels

try:
    import cykooz_resizer as simd
except ImportError:  # no wheel for this machine
    simd = None

MAX_SIMD_PIXELS = 4_000_000
"""Pillow resizes pictures of more pixels: the copy that fast_image_resize needs would cost what it
saves. Pillow also resizes pictures smaller than the model's side: the two clip bicubic overshoot in
a different order, which shows most in enlarged pictures."""

Box = tuple[int, int, int, int]
"""Left, top, right and bottom, in pixels."""

PartResizer = Callable[[Box], Pixels]
"""Resizes a part of one picture to uint8 (side, side, 3). Thread-safe."""


def resize(image: Image.Image, picture_format: PictureFormat) -> Pixels:
    """Squash a whole RGB picture to uint8 (side, side, 3)."""
    return part_resizer(image, picture_format)((0, 0, image.width, image.height))


def part_resizer(image: Image.Image, picture_format: PictureFormat) -> PartResizer:
    """Return a function that resizes parts of an RGB picture."""
    is_small = min(image.size) < picture_format.side
    is_large = image.width * image.height > MAX_SIMD_PIXELS
    if simd is None or is_small or is_large:
        return pillow_resizer(image, picture_format)
    return simd_resizer(image, picture_format)


def pillow_resizer(image: Image.Image, picture_format: PictureFormat) -> PartResizer:
    """`part_resizer` by Pillow."""
    side = picture_format.side
    resample = Image.Resampling[picture_format.resample.upper()]
    return lambda box: np.array(image.resize((side, side), resample, box=box))


def simd_resizer(image: Image.Image, picture_format: PictureFormat) -> PartResizer:
    """`part_resizer` by fast_image_resize.

    Pixels differ from Pillow's by rounding, at most 2 of 255, and by clipping. The vectors of 200
    real photos, by `lite`, have a cosine of 0.9995 or more to those by Pillow.
    """
    side = picture_format.side
    # Four bytes a pixel, as Pillow stores them, are four times as fast as three.
    pixel = simd.PixelType.U8x4
    source = simd.ImageData(*image.size, pixel, image.tobytes("raw", "RGBX"))
    # Pillow's bicubic is the Catmull-Rom spline: a = -0.5.
    kernel = simd.FilterType.bilinear
    if picture_format.resample == "bicubic":
        kernel = simd.FilterType.catmull_rom
    convolution = simd.ResizeAlg.convolution(kernel)

    def resized(box: Box) -> Pixels:
        left, top, right, bottom = box
        crop = simd.CropBox(left, top, right - left, bottom - top)
        options = simd.ResizeOptions(resize_alg=convolution, crop_box=crop, use_alpha=False)
        result = simd.ImageData(side, side, pixel)
        simd.Resizer().resize(source, result, options)
        values = np.frombuffer(result.get_buffer(), np.uint8)
        return np.ascontiguousarray(values.reshape(side, side, 4)[..., :3])

    return resized
