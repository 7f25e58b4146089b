"""The parent of the workers: starts them, replaces those that end, and stops them all."""

import asyncio
import logging
import os
import pickle
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from shelfsight.errors import ServerError
from shelfsight.serving.workers.channel import Handlers, answer_calls, receive, send
from shelfsight.serving.workers.link import WorkerLink

FIRST_DELAY, LONGEST_DELAY = 1.0, 30.0
"""Seconds until a worker is replaced; they double each time it ends soon again."""

STEADY_SECONDS = 60.0
"""A worker that has lived this long is replaced after `FIRST_DELAY` again."""

SCRAPE_SECONDS = 2.0
"""Seconds in which a worker has to give its metrics; without them they are left out."""

KILL_SECONDS = 2.0
"""Seconds beyond the time to stop after which workers that still live are killed."""

_LOG = logging.getLogger("shelfsight.serving")

Serve = Callable[[socket.socket, WorkerLink], None]
"""Serves a socket in a worker process until it is told to stop. It must be possible to pickle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPlan:
    """Which workers there are: `count` of them, each running `serve` on the socket `bound`.

    They have `stop_seconds` to end. `handlers` answer their calls. `notify` is told a line for
    people, at last `greeting`, once all of them serve.
    """

    serve: Serve
    bound: socket.socket
    count: int
    stop_seconds: float
    notify: Callable[[str], None]
    greeting: str
    handlers: Handlers = field(default_factory=dict)


def run_workers(plan: WorkerPlan) -> None:
    """Keep the workers going until SIGTERM or SIGINT; then stop them and return.

    A second SIGINT cuts the requests in progress at once.

    Raises:
        ServerError: no worker can start, or requests were cut.
    """
    asyncio.run(_Supervisor(plan).run())


class _Worker:
    """A worker process, as its parent sees it."""

    def __init__(self, process: asyncio.subprocess.Process, asked: "_Asked") -> None:
        self.process = process
        self.asked = asked
        self.answering: list[asyncio.Task[None]] = []
        self.has_started = False
        self.failure = ""
        self.began = monotonic()

    def signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)

    @property
    def reason(self) -> str:
        """Why the process has ended."""
        status = self.process.returncode or 0
        if self.failure:
            return self.failure
        return f"killed by {signal.Signals(-status).name}" if status < 0 else f"status {status}"


class _Asked:
    """The channel over which the parent asks a worker for its metrics."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._lock = asyncio.Lock()
        self._late: asyncio.Task[bytes] | None = None

    async def metrics(self) -> bytes | None:
        """Return the metrics of the worker; None if it does not answer in time."""
        async with self._lock:
            if self._late is not None and not await _is_done(self._late):
                return None
            with suppress(ConnectionError):
                send(self._writer, ["metrics"])
            self._late = asyncio.create_task(receive(self._reader))
            if not await _is_done(self._late):
                return None
            answer, self._late = self._late, None
            return None if answer.exception() else answer.result()

    def close(self) -> None:
        """Close the channel, because the worker has ended."""
        self._writer.close()


class _Supervisor:
    def __init__(self, plan: WorkerPlan) -> None:
        self._plan = plan
        self._workers: dict[int, _Worker] = {}
        self._stop = asyncio.Event()
        self._was_greeted = False
        self._failure: str | None = None

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        numbers = range(1, self._plan.count + 1)
        keepers = [asyncio.create_task(self._keep(number)) for number in numbers]
        stopping = asyncio.create_task(self._stop_all())
        try:
            await asyncio.gather(*keepers)
        finally:
            stopping.cancel()
            for worker in self._workers.values():
                worker.signal(signal.SIGKILL)
        if self._failure is not None:
            raise ServerError(self._failure)

    def _on_signal(self, number: int) -> None:
        if self._stop.is_set() and number == signal.SIGINT:
            for worker in self._workers.values():
                worker.signal(signal.SIGINT)
        self._stop.set()

    async def _stop_all(self) -> None:
        """Once told to stop, tell the workers so; kill those that still live at the end."""
        await self._stop.wait()
        self._plan.bound.close()  # so that new clients are refused instead of waiting
        began = monotonic()
        while monotonic() < began + self._plan.stop_seconds + KILL_SECONDS:
            for worker in self._workers.values():
                worker.signal(signal.SIGTERM)  # again and again: it may not have listened yet
            await asyncio.sleep(1)
        for worker in self._workers.values():
            worker.failure = (
                f"a worker did not stop within {self._plan.stop_seconds:g} s and was killed"
            )
            worker.signal(signal.SIGKILL)

    async def _keep(self, number: int) -> None:
        """Start a worker, and another one each time it ends, until told to stop."""
        delay = FIRST_DELAY
        while not self._stop.is_set():
            worker = await self._start(number)
            await worker.process.wait()
            worker.asked.close()
            del self._workers[number]
            if self._stop.is_set():
                self._note_end(worker)
                return
            if not worker.has_started and not any(w.has_started for w in self._workers.values()):
                self._failure = self._failure or f"no worker can start: {worker.reason}"
                self._stop.set()
                return
            if monotonic() - worker.began > STEADY_SECONDS:
                delay = FIRST_DELAY
            _LOG.warning(
                "worker %d has ended (%s); it starts again in %g s", number, worker.reason, delay
            )
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._stop.wait()
            delay = min(2 * delay, LONGEST_DELAY)

    async def _start(self, number: int) -> _Worker:
        pairs = [socket.socketpair() for _ in range(3)]
        descriptors = [self._plan.bound.fileno(), *(theirs.fileno() for _, theirs in pairs)]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "shelfsight.serving.workers.child"),
            *map(str, (number, *descriptors)),
            stdin=asyncio.subprocess.PIPE,
            pass_fds=descriptors,
            env=_environment(),
            process_group=0,  # Ctrl-C reaches only the parent, which tells the workers
        )
        for _, theirs in pairs:
            theirs.close()
        state, scrape, asked = (ours for ours, _ in pairs)
        worker = _Worker(process, _Asked(*await asyncio.open_connection(sock=asked)))
        self._workers[number] = worker
        handlers = self._handlers(worker)
        worker.answering = [
            asyncio.create_task(answer_calls(end, handlers)) for end in (state, scrape)
        ]
        if process.stdin is not None:
            process.stdin.write(pickle.dumps(self._plan.serve))
            process.stdin.close()
        return worker

    def _handlers(self, worker: _Worker) -> Handlers:
        def started() -> None:
            worker.has_started = True
            is_complete = len(self._workers) == self._plan.count
            if is_complete and all(one.has_started for one in self._workers.values()):
                self._greet()

        def failed(message: str) -> None:
            worker.failure = message

        return {
            **self._plan.handlers,
            "started": started,
            "failed": failed,
            "notify": self._plan.notify,
            "metrics": self._metrics,
        }

    def _greet(self) -> None:
        if not self._was_greeted:
            self._was_greeted = True
            self._plan.notify(self._plan.greeting)

    async def _metrics(self) -> dict[str, bytes]:
        workers = {number: one for number, one in self._workers.items() if one.has_started}
        texts = await asyncio.gather(*(worker.asked.metrics() for worker in workers.values()))
        by_worker = zip(workers, texts, strict=True)
        return {str(number): text for number, text in sorted(by_worker) if text is not None}

    def _note_end(self, worker: _Worker) -> None:
        # SIGTERM ends a worker that has not begun to serve, or that is about to end by itself
        if worker.failure or worker.process.returncode not in (0, -signal.SIGTERM):
            self._failure = self._failure or worker.reason


async def _is_done(task: "asyncio.Task[bytes]") -> bool:
    await asyncio.wait([task], timeout=SCRAPE_SECONDS)
    return task.done()


def _environment() -> dict[str, str]:
    """Return an environment in which modules are found where this process finds them."""
    path = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    return {**os.environ, "PYTHONPATH": path}
