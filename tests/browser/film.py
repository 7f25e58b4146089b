"""Films for Chromium's fake camera (YUV4MPEG2, 4:2:0): photos that move, or stand still."""

from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (640, 480)
PHOTO_SIDE = 470
FRAMES_PER_SECOND = 10


def still(photo: Image.Image, frames: int) -> list[Image.Image]:
    """The photo in the middle of the view."""
    return [_placed(photo, 0)] * frames


def moving(photo: Image.Image, frames: int) -> list[Image.Image]:
    """The photo, which jumps to and fro: frames up to six apart always differ."""
    return [_placed(photo, number * 3 % 7 * 10 - 30) for number in range(frames)]


def save(frames: list[Image.Image], path: Path) -> None:
    """Write a film; Chromium plays it again and again."""
    width, height = SIZE
    header = f"YUV4MPEG2 W{width} H{height} F{FRAMES_PER_SECOND}:1 Ip A1:1 C420jpeg\n"
    with path.open("wb") as file:
        file.write(header.encode())
        for frame in frames:
            file.write(b"FRAME\n")
            luma, blue, red = frame.convert("YCbCr").split()
            file.write(np.asarray(luma).tobytes())
            for chroma in (blue, red):
                file.write(np.asarray(chroma.resize((width // 2, height // 2))).tobytes())


def _placed(photo: Image.Image, offset: int) -> Image.Image:
    frame = Image.new("RGB", SIZE, "#8a8a86")
    left, top = ((side - PHOTO_SIDE) // 2 for side in SIZE)
    frame.paste(photo.resize((PHOTO_SIDE, PHOTO_SIDE)), (left + offset, top))
    return frame
