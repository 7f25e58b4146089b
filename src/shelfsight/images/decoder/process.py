"""One decoder process, as this process sees it: start it, give it a job, end it."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import Final

import numpy as np

from shelfsight.errors import DecoderError
from shelfsight.images.decoder.limits import DecoderLimits
from shelfsight.images.decoder.protocol import (
    DecodeJob,
    PhotoViews,
    PictureAndFile,
    Pictures,
    receive,
    send,
)
from shelfsight.records import Failure, Stage

START_SECONDS = 60.0
"""Seconds in which a decoder process must be ready."""

_GLANCE_MS: Final = 100
"""Milliseconds after which a picture in progress is looked at again: is it cancelled, or late?"""

_MEMORY: Final = {
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "32000000",
    "MALLOC_TRIM_THRESHOLD_": "64000000",
    "MALLOC_TOP_PAD_": "16000000",
}
"""Environment of a decoder process: glibc keeps up to 64 MB of freed memory for the next picture.
If it gave that back each time, a picture of 1,000 x 1,000 would take twice the processor time."""

Outcome = Pictures | PhotoViews | PictureAndFile | Failure


class DecoderProcess:
    """A decoder process. Use it from one thread at a time.

    `is_usable` becomes false when it has ended, or when its next picture should not rely on it.
    """

    def __init__(self, limits: DecoderLimits) -> None:
        """Start a process and wait until it is ready.

        Raises:
            DecoderError: no process can be started.
        """
        self._limits = limits
        self.is_usable = True
        self._late_at = 0.0
        self._channel, theirs = socket.socketpair()
        self._reports, reported = os.pipe()
        os.set_blocking(self._reports, False)
        try:
            self._process = _start(limits, theirs, reported)
        except OSError as error:
            self._channel.close()
            os.close(self._reports)
            raise DecoderError(f"no decoder process can be started: {error}") from error
        finally:
            theirs.close()
            os.close(reported)
        self._wait_until_ready()

    def begin(self, job: DecodeJob, data: bytes) -> None:
        """Send a file to be decoded; its time counts from now on."""
        _drain(self._reports)
        self._late_at = monotonic() + self._limits.wall_seconds
        self._channel.settimeout(self._limits.wall_seconds)
        try:
            send(self._channel, job.header(), data)
        except OSError:
            self.is_usable = False  # its end is noticed when the reply is read

    def wait(self, is_cancelled: Callable[[], bool], *, patient: bool) -> Outcome | None:
        """Wait for the outcome of the file that was sent; None if nobody needs it any more.

        Unless `patient`, None is also returned once the file has taken its `quick_seconds`.

        Raises:
            RuntimeError: the decoder process has a bug.
        """
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        if not patient:
            poll.register(self._reports, select.POLLIN)
        while True:
            ready = [descriptor for descriptor, _ in poll.poll(_GLANCE_MS)]
            if self._channel.fileno() in ready:
                return self._reply()
            if ready or is_cancelled():
                return None
            if monotonic() > self._late_at:
                return self._timed_out()

    def lower_priority(self) -> None:
        """Let other processes go first, for good."""
        os.setpriority(os.PRIO_PROCESS, self._process.pid, 10)

    def is_alive(self) -> bool:
        """Return whether the process can take another file."""
        return self.is_usable and self._process.poll() is None

    def end(self) -> None:
        """Kill the process, whatever it does."""
        self.is_usable = False
        self._process.kill()
        self._process.wait()
        self._channel.close()
        os.close(self._reports)

    def _wait_until_ready(self) -> None:
        self._channel.settimeout(START_SECONDS)
        try:
            receive(self._channel)
        except (EOFError, OSError, ValueError) as error:
            reason = str(error) or f"exit status {self._process.wait()}"
            self.end()
            raise DecoderError(
                f"a decoder process does not start ({reason}):"
                f" try {sys.executable} -c 'import shelfsight.images.decoder.worker'"
            ) from None

    def _reply(self) -> Outcome:
        try:
            header, body = receive(self._channel)
        except TimeoutError:
            return self._timed_out()
        except (EOFError, OSError, ValueError):
            return self._died()
        match header:
            case {"bug": trace}:
                self.end()
                raise RuntimeError(f"a decoder process has a bug:\n{trace}")
            case {"failure": [str(kind), str(message)]}:
                self.is_usable = kind != "too_much_memory"
                return _failure(kind, message)
            case {"shape": [int(count), int(height), int(width), 3]}:
                size = count * height * width * 3
                pictures = np.frombuffer(body, np.uint8, size).reshape(count, height, width, 3)
                if "file" in header:
                    return PictureAndFile(pictures[0].copy(), bytes(body[size:]))
                codes = header.get("codes")
                return PhotoViews(pictures, tuple(codes)) if isinstance(codes, list) else pictures
        self.end()
        raise RuntimeError(f"a decoder process has a bug: it answers {header}")

    def _died(self) -> Failure:
        self.is_usable = False
        self._process.kill()
        status = self._process.wait()
        if status == -signal.SIGXCPU:
            return _failure(
                "too_slow_to_decode",
                "decoding the picture takes more than"
                f" {self._limits.cpu_seconds} s of processor time",
            )
        message = f"the decoder crashed at this picture (exit status {status})"
        return _failure("decoder_crashed", message, retryable=True)

    def _timed_out(self) -> Failure:
        self.is_usable = False
        message = f"decoding the picture was not done in {self._limits.wall_seconds:g} s"
        return _failure("decode_timeout", message, retryable=True)


def _start(
    limits: DecoderLimits, channel: socket.socket, reports: int
) -> "subprocess.Popen[bytes]":
    # A fresh interpreter: forking a process that has threads may copy a lock that is held. In a
    # process group of its own it gets no Ctrl-C; it ends when its socket is closed.
    module = "shelfsight.images.decoder.worker"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
        **_MEMORY,
    }
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, json.dumps(asdict(limits))],
        stdin=channel.fileno(),
        stdout=reports,
        env=environment,
        process_group=0,
    )


def _drain(reports: int) -> None:
    try:
        os.read(reports, 1000)
    except BlockingIOError:
        return


def _failure(kind: str, message: str, *, retryable: bool = False) -> Failure:
    return Failure(stage=Stage.DECODE, kind=kind, message=message, retryable=retryable)
