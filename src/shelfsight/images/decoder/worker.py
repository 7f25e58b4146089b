"""The main program of a decoder process: decodes one file after another, within limits.

It is started as `python -m shelfsight.images.decoder.worker`, with a socket as standard input and
the options as JSON. It ends when the other end of the socket is closed.
"""

import json
import os
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from shelfsight.images.decode import decode, decode_picture, pixels, resized
from shelfsight.images.decoder.limits import DecoderLimits
from shelfsight.images.decoder.protocol import (
    Buffer,
    DecodeJob,
    Header,
    PhotoViews,
    PictureAndFile,
    Pictures,
    receive,
    send,
)
from shelfsight.images.photo_box import PhotoBox
from shelfsight.images.photo_views import photo_views, views_and_codes
from shelfsight.images.sent_picture import MAX_SENT_SIDE, sent_file
from shelfsight.images.unusable import UnusablePictureError

Decoded = Pictures | PhotoViews | PictureAndFile


class Decoder:
    """Decodes files as jobs ask."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="photo view")
        self._results: dict[str, Callable[[bytes, DecodeJob], Decoded]] = {
            "whole": _whole,
            "reduced": _reduced,
            "original": _original,
            "views": self._views,
            "thumbnail": _thumbnail,
        }

    def decode(self, data: bytes, job: DecodeJob) -> Decoded:
        """Return what the job asks for; see `DecodeJob`.

        Raises:
            UnusablePictureError: as in `images.decode`.
            MemoryError: decoding takes more memory than is allowed.
        """
        return self._results[job.result](data, job)

    def _views(self, data: bytes, job: DecodeJob) -> PhotoViews:
        box = PhotoBox(*job.box)
        if not job.codes:
            views = photo_views(data, job.count, job.picture_format, self._threads.map, box)
            return PhotoViews(np.stack(views))
        map_views = self._threads.map
        views, codes = views_and_codes(data, job.count, job.picture_format, map_views, box)
        return PhotoViews(np.stack(views), codes)


def _whole(data: bytes, job: DecodeJob) -> Pictures:
    return resized(decode_picture(data), job.picture_format)[np.newaxis]


def _reduced(data: bytes, job: DecodeJob) -> Pictures:
    return pixels(data, job.picture_format)[np.newaxis]


def _original(data: bytes, job: DecodeJob) -> PictureAndFile:
    picture = decode_picture(data, min_side=MAX_SENT_SIDE)
    return PictureAndFile(resized(picture, job.picture_format), sent_file(data, picture))


def _thumbnail(data: bytes, job: DecodeJob) -> Pictures:
    picture = decode(data, min_side=job.side)
    picture.thumbnail((job.side, job.side), Image.Resampling.LANCZOS)
    return np.asarray(picture)[np.newaxis]


def main() -> None:
    """Decode what the other process sends, until it closes the socket."""
    limits = DecoderLimits(**json.loads(sys.argv[1]))
    channel = socket.socket(fileno=os.dup(sys.stdin.fileno()))
    _limit_process(limits)
    clock = _CpuClock(limits)
    decoder = Decoder()
    send(channel, {"ready": True})
    _silence_stderr()
    while True:
        try:
            header, data = receive(channel)
        except (EOFError, OSError):
            return
        clock.start()
        reply, body = _answer(decoder, header, data, limits)
        clock.stop()
        send(channel, reply, body)


def _answer(
    decoder: Decoder, header: dict[str, object], data: bytearray, limits: DecoderLimits
) -> tuple[Header, Buffer]:
    try:
        found = decoder.decode(bytes(data), DecodeJob(**header))  # type: ignore[arg-type]
        return _reply(found)
    except UnusablePictureError as error:
        return {"failure": [error.failure.kind, error.failure.message]}, b""
    except MemoryError:
        mega = limits.memory_bytes // 1_000_000
        message = f"decoding the picture takes more than {mega:,} MB of memory"
        return {"failure": ["too_much_memory", message]}, b""
    except Exception:  # the other process raises it
        return {"bug": traceback.format_exc()}, b""


def _reply(found: Decoded) -> tuple[Header, Buffer]:
    if isinstance(found, PhotoViews):
        return {"shape": found.views.shape, "codes": found.codes}, _bytes(found.views)
    if isinstance(found, PictureAndFile):
        header = {"shape": (1, *found.pixels.shape), "file": len(found.file)}
        return header, b"".join((_bytes(found.pixels), found.file))
    return {"shape": found.shape}, _bytes(found)


def _bytes(pictures: Pictures) -> memoryview:
    return np.ascontiguousarray(pictures).data.cast("B")


def _limit_process(limits: DecoderLimits) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other process decides when this one ends
    Image.MAX_IMAGE_PIXELS = None  # memory and time are limited instead
    for kind in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        resource.setrlimit(kind, (0, 0))
    if sys.platform == "linux":
        Path("/proc/self/oom_score_adj").write_text("1000")  # the first to go if memory is short
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        size = pages * resource.getpagesize() + limits.memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (size, size))


class _CpuClock:
    """Limits the processor time of a picture, and reports on standard output if it takes long.

    A handler in Python would only run once the decoder returns. Python's own handler, in C, writes
    the signal's number to the wake-up file descriptor at once.
    """

    def __init__(self, limits: DecoderLimits) -> None:
        self._limits = limits
        report = sys.stdout.fileno()
        os.set_blocking(report, False)
        signal.set_wakeup_fd(report, warn_on_full_buffer=False)
        signal.signal(signal.SIGPROF, lambda *_: None)

    def start(self) -> None:
        """Allow the processor time of one picture, from now on."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        end = int(used.ru_utime + used.ru_stime + self._limits.cpu_seconds) + 1
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (end, hard))
        signal.setitimer(signal.ITIMER_PROF, self._limits.quick_seconds or 0)

    def stop(self) -> None:
        """Stop the report of a picture that takes long."""
        signal.setitimer(signal.ITIMER_PROF, 0)


def _silence_stderr() -> None:
    """Drop what C libraries print about broken files."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stderr.fileno())
    os.close(nothing)


if __name__ == "__main__":
    main()
