"""What a worker asks of its parent, and what the parent asks of it."""

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable

from shelfsight.serving.workers.channel import Channel, answer_calls
from shelfsight.serving.workers.merged_metrics import merge

OwnMetrics = Callable[[], bytes]
"""Returns the metrics of this process in the text format of Prometheus."""

Scrape = Callable[[], Awaitable[bytes]]
"""Returns the metrics of all processes in that format."""


class WorkerLink:
    """The connection of worker `number` to its parent. Workers are counted from 1.

    Calls over `state` are answered at once. Those over `scrape` may wait for other workers. Over
    `asked` the parent asks this worker.
    """

    def __init__(
        self, number: int, *, state: socket.socket, scrape: socket.socket, asked: socket.socket
    ) -> None:
        self.number = number
        self.call = Channel(state).call
        self._scrape = Channel(scrape)
        self._asked = asked
        self._own_metrics: OwnMetrics = bytes

    def notify(self, line: str) -> None:
        """Tell people something; of workers that all find the same, only the first one does."""
        if self.number == 1:
            self.call("notify", line)

    def tell_failure(self, message: str) -> None:
        """Tell the parent why this worker ends."""
        self.call("failed", message)

    def share_metrics(self, own: OwnMetrics) -> Scrape:
        """Let the other workers read the metrics of this one; return what reads those of all."""
        self._own_metrics = own
        return self._all_metrics

    def tell_started(self) -> None:
        """Tell the parent that this worker serves requests; call it from the event loop.

        From now on the parent's calls are answered, and the worker stops when its parent has ended.
        """
        self._answering = asyncio.create_task(self._answer())
        self.call("started")

    async def _answer(self) -> None:
        await answer_calls(self._asked, {"metrics": self._own_metrics})
        os.kill(os.getpid(), signal.SIGTERM)

    async def _all_metrics(self) -> bytes:
        return merge(await asyncio.to_thread(self._scrape.call, "metrics"))
