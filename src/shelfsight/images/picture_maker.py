"""Makes pictures for the image model of downloaded files, within a budget of memory."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from weakref import finalize

from shelfsight.images.decoder.pool import DecoderPool
from shelfsight.images.decoder.protocol import original, reduced
from shelfsight.images.memory_budget import MemoryBudget
from shelfsight.images.sent_picture import MAX_SENT_BYTES
from shelfsight.images.truncated_jpeg import is_truncated
from shelfsight.records import Picture, PictureFile, PictureFormat

SENT_MEMORY = 512_000_000
"""Bytes of picture files that wait to be sent to an embedding server; a single page may have
more."""

NAMED_TRUNCATED = 10
"""Number of truncated pictures that are named, each in a line."""

_COLOR_SIDE = 224
"""The side of the pixels of whose colours the histogram is made, where the file is sent."""


class PictureMaker:
    """Decodes files for a picture format. `notify` is told of truncated pictures.

    If the format keeps the shape, each picture has the file that is sent, too.
    """

    def __init__(
        self,
        picture_format: PictureFormat,
        decoders: DecoderPool,
        notify: Callable[[str], None],
    ) -> None:
        self._sends_files = picture_format.keeps_shape
        self._job = original(_COLOR_SIDE) if self._sends_files else reduced(picture_format)
        self._memory = MemoryBudget(SENT_MEMORY)
        self._decoders = decoders
        self._notify = notify
        self._truncated = 0

    @contextmanager
    def memory_for(self, pictures: int) -> Iterator[None]:
        """Wait until there is memory for the files of so many pictures, if they are to be sent.

        It is given back at the end; then each picture holds the memory that its file takes.

        Raises:
            CancelledError: this was closed.
        """
        count = pictures * MAX_SENT_BYTES
        if not self._sends_files or not count:
            yield
            return
        self._memory.reserve(count)
        try:
            yield
        finally:
            self._memory.release(count)

    async def make(self, file: PictureFile, data: bytes, address: str) -> Picture:
        """Decode a file; `address` is what people are shown.

        Raises:
            UnusablePictureError: it cannot be decoded.
        """
        picture = await self._decoded(file, data)
        if is_truncated(data):
            self._note_truncated(address)
        return picture

    def close(self) -> None:
        """Let nobody wait for memory any more."""
        self._memory.close()

    async def _decoded(self, file: PictureFile, data: bytes) -> Picture:
        if not self._sends_files:
            pixels = await asyncio.wrap_future(self._decoders.submit(self._job, data))
            return Picture(file=file, pixels=pixels[0])
        found = await asyncio.wrap_future(self._decoders.submit_original(self._job, data))
        picture = Picture(file=file, pixels=found.pixels, sent=found.file)
        self._memory.hold(len(found.file))
        finalize(picture, self._memory.release, len(found.file)).atexit = False
        return picture

    def _note_truncated(self, address: str) -> None:
        self._truncated += 1
        if self._truncated > NAMED_TRUNCATED:
            return
        last = self._truncated == NAMED_TRUNCATED
        self._notify(
            f"{address} is truncated, and was read without its last bytes"
            + ("; others like it are not named" if last else "")
        )
