"""What this process and a decoder process say to each other: a job and a file, then pixels.

A message is two lengths, a JSON header and a body. The header of a reply has the `shape` of the
pixels in the body, and the `codes` if it was a photo; or a `failure`, or the traceback of a `bug`.
After the pixels, the body may have a file, of the size that the header gives as `file`.
"""

import json
import socket
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shelfsight.images.photo_box import WHOLE, PhotoBox
from shelfsight.records import PhotoNote, PictureFormat

_LENGTHS = struct.Struct(">II")
_MAX_HEADER = 100_000
_MAX_BODY = 256_000_000

Pictures: TypeAlias = NDArray[np.uint8]
"""A uint8 array of shape (count, height, width, 3): several pictures of one size."""


class PhotoViews(NamedTuple):
    """The views of a photo, uint8 (count, side, side, 3), and the texts of the codes in it.

    `notes` is what is to be said of its file.
    """

    views: Pictures
    codes: tuple[str, ...] = ()
    notes: tuple[PhotoNote, ...] = ()


class PictureAndFile(NamedTuple):
    """A picture, uint8 (side, side, 3), and the file that is sent to an embedding server."""

    pixels: NDArray[np.uint8]
    file: bytes


Buffer: TypeAlias = bytes | bytearray | memoryview
Header: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeJob:
    """What to make of a file. The result is uint8 of shape (count, height, width, 3).

    That of `views` is `PhotoViews`, and that of `original` is `PictureAndFile`.

    Attributes:
        result: `whole` is the picture as the model takes it, exactly. `reduced` is the same, but a
            large JPEG is decoded at a reduced size first. `original` is the same with the file that
            is sent to an embedding server that resizes pictures itself. `views` are `count` views
            of a photo. `thumbnail` keeps the aspect ratio, with `side` as the longest side.
        side: the side of the result in pixels.
        resample: the filter that resizes.
        keeps_shape: whether views keep the aspect ratio; see `records.PictureFormat`.
        count: the number of pictures in the result.
        codes: whether the barcodes and QR codes in a photo are read, too.
        box: the part of a photo that its views and codes come from.
    """

    result: Literal["whole", "reduced", "original", "views", "thumbnail"]
    side: int
    resample: Literal["bilinear", "bicubic"] = "bicubic"
    keeps_shape: bool = False
    count: int = 1
    codes: bool = False
    box: PhotoBox = WHOLE

    @property
    def picture_format(self) -> PictureFormat:
        """The side and the filter, as the functions that resize take them."""
        return PictureFormat(side=self.side, resample=self.resample, keeps_shape=self.keeps_shape)

    def header(self) -> Header:
        """Return the header of this job's message."""
        return asdict(self)


def whole(picture_format: PictureFormat) -> DecodeJob:
    """Return the job that makes a picture for the model from every pixel of the file."""
    return DecodeJob(result="whole", side=picture_format.side, resample=picture_format.resample)


def reduced(picture_format: PictureFormat) -> DecodeJob:
    """Return the job that makes a picture for the model, with short cuts for large JPEGs."""
    return DecodeJob(result="reduced", side=picture_format.side, resample=picture_format.resample)


def original(side: int) -> DecodeJob:
    """Return the job that makes a picture of `side` pixels, and the file that is sent."""
    return DecodeJob(result="original", side=side)


def photo_views(count: int, picture_format: PictureFormat, *, codes: bool = False) -> DecodeJob:
    """Return the job that cuts views out of a photo, and may read the codes in it."""
    return DecodeJob(
        result="views",
        side=picture_format.side,
        resample=picture_format.resample,
        keeps_shape=picture_format.keeps_shape,
        count=count,
        codes=codes,
    )


def thumbnail(side: int) -> DecodeJob:
    """Return the job that shrinks a picture to at most `side` pixels per side."""
    return DecodeJob(result="thumbnail", side=side)


def send(channel: socket.socket, header: Header, body: Buffer = b"") -> None:
    """Send a message.

    Raises:
        OSError: the other process has ended, or does not read in time.
    """
    encoded = json.dumps(header).encode()
    channel.sendall(_LENGTHS.pack(len(encoded), len(body)) + encoded)
    channel.sendall(body)


def receive(channel: socket.socket) -> tuple[dict[str, object], bytearray]:
    """Receive the header and the body of a message.

    Raises:
        EOFError: the other process has ended.
        OSError: the other process does not answer in time.
        ValueError: this is not a message.
    """
    header_size, body_size = _LENGTHS.unpack(_read(channel, _LENGTHS.size))
    if header_size > _MAX_HEADER or body_size > _MAX_BODY:
        raise ValueError("a message of a decoder process is too long")
    header = json.loads(_read(channel, header_size))
    if not isinstance(header, dict):
        raise ValueError("a message has no header")  # noqa: TRY004 - bad content, not a bad call
    return header, _read(channel, body_size)


def _read(channel: socket.socket, size: int) -> bytearray:
    content = bytearray(size)
    unread = memoryview(content)
    while unread:
        count = channel.recv_into(unread)
        if not count:
            raise EOFError
        unread = unread[count:]
    return content
