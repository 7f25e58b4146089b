"""The workers of a Ray cluster. The only file that imports Ray.

Ray finds them a place and tells who is lost. Who does what, and what is done, stands in the ledger
alone: a worker is one of the run like any other process.
"""

import logging
import math
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayActorError, RayError, RayTaskError

from shelfsight.backfill.runs import Run
from shelfsight.engines.cluster_options import Cluster
from shelfsight.engines.ray_worker import OpenPipeline, Worker
from shelfsight.errors import EngineError, ShelfsightError
from shelfsight.records import ModelPair

Notify = Callable[[str], None]

_TICK = 1.0
"""Seconds between two looks at the ledger and at the workers."""

_PATIENCE = 10.0
"""Seconds that workers get to put down what they have in hand, where the run is over or broken."""

_LOSSES = 3
"""So many times the workers may be lost, all of them, without a page stored in between."""

_LOST = (RayActorError, OutOfMemoryError)
"""What tells that a worker is gone; by the second Ray itself has ended it, to save its machine."""

_SLOT = 0.01
"""Processors that a worker asks Ray for: it may use all, but what asks for none is not spread."""

_OBJECT_STORE = 100_000_000
"""Bytes that Ray may set aside on this machine: no product travels through it."""

_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
"""Ray asks nobody outside, and gives no advice for its later versions."""


@dataclass(slots=True, eq=False)
class _Member:
    """A worker as seen from here: what it is doing (None: waiting for the run), what it says."""

    actor: Any
    doing: Any
    saying: Any
    works: bool = False


class Fleet:
    """The workers of a cluster; one that is lost is replaced."""

    def __init__(self, open_pipeline: OpenPipeline, cluster: Cluster, notify: Notify) -> None:
        nodes = sum(node["Alive"] for node in ray.nodes())
        size = _size(cluster, nodes)
        self._actors = ray.remote(Worker).options(
            num_cpus=_SLOT,
            num_gpus=cluster.gpus_per_worker,
            max_concurrency=2,
            scheduling_strategy="SPREAD",
        )
        self._values = (open_pipeline, math.ceil(size / nodes))
        self._notify = notify
        self._said = ""
        self._models: ModelPair | None = None
        self._run: Run | None = None
        self._is_done = self._stops = False
        self._losses = 0
        self._members = [self._hire() for _ in range(size)]

    def models(self) -> ModelPair:
        """Which models the workers have, once one of them has loaded them.

        Raises:
            ShelfsightError: they cannot be had.
        """
        while self._models is None:
            self.look()
        return self._models

    def work(self, run: Run) -> None:
        """Let all work on this run, and those that come later."""
        self._run = run
        for member in self._members:
            if member.doing is None:
                self._put_to_work(member)

    def stop(self) -> None:
        """Let them end, each after the batch in hand; those that have none are not waited for."""
        self._stops = True
        for member in self._members:
            member.actor.stop.remote()
        self._members = [member for member in self._members if member.works]

    def look(self) -> None:
        """Wait for news a moment, and act on it: a worker is ready, done, or lost.

        Raises:
            ShelfsightError: what has ended a worker, or that too many were lost.
        """
        doing = [member.doing for member in self._members if member.doing is not None]
        news, _ = ray.wait(doing, timeout=_TICK)
        for member in list(self._members):
            if member.doing in news:
                self._take(member)
        for member in self._members:
            self._hear(member)

    def stored(self) -> None:
        """A page was stored: whoever is lost from now on is not a sign that all will be."""
        self._losses = 0

    @property
    def is_over(self) -> bool:
        """Whether nothing is left of the run, or all that were to stop have stopped."""
        return not self._members if self._stops else self._is_done

    def close(self) -> None:
        """Let them put down what they have in hand, for a moment."""
        self.stop()
        working = [member.doing for member in self._members]
        if working:
            ray.wait(working, num_returns=len(working), timeout=_PATIENCE)

    def _hire(self) -> _Member:
        actor = self._actors.remote(*self._values)
        return _Member(actor, actor.open.remote(), actor.said.remote())

    def _put_to_work(self, member: _Member) -> None:
        member.doing, member.works = member.actor.work.remote(self._run), True

    def _take(self, member: _Member) -> None:
        try:
            models = _result(member.doing)
        except _LOST as error:
            self._replace(member, error)
            return
        if member.works:
            self._hear(member)
            self._members.remove(member)
            self._is_done = True
            return
        if self._models not in {None, models}:
            raise EngineError(
                f"the workers have different models, {self._models} and {models}: install the same"
                " version of shelfsight on every machine"
            )
        self._models, member.doing = models, None
        if self._run is not None:
            self._put_to_work(member)

    def _replace(self, member: _Member, error: RayError) -> None:
        ray.kill(member.actor)
        if self._stops:
            self._members.remove(member)
            return
        self._losses += 1
        if self._losses > _LOSSES * len(self._members):
            raise EngineError(f"Ray loses one worker after another: {_line(error)}") from None
        self._notify("A worker was lost; another takes its place")
        self._members[self._members.index(member)] = self._hire()

    def _hear(self, member: _Member) -> None:
        heard, _ = ray.wait([member.saying], timeout=0)
        if not heard:
            return
        try:
            said = ray.get(member.saying)
        except _LOST:  # whatever it was doing tells so, too
            return
        member.saying = member.actor.said.remote()
        for message in said:
            if message != self._said:
                self._notify(message)
            self._said = message


@contextmanager
def open_fleet(open_pipeline: OpenPipeline, cluster: Cluster, notify: Notify) -> Iterator[Fleet]:
    """Workers on a cluster, started there and ended with the context; they load their models.

    Raises:
        EngineError: there is no such cluster, or nothing in it to work with.
    """
    with _connected(cluster.address):
        fleet = Fleet(open_pipeline, cluster, notify)
        try:
            yield fleet
        finally:
            fleet.close()


@contextmanager
def _connected(address: str | None) -> Iterator[None]:
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address is None:
        options |= {"include_dashboard": False, "object_store_memory": _OBJECT_STORE}
    # What Ray prints is for its own users; our output goes to the stream that it began with.
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        try:
            _knock(address)
            ray.init(address or "local", **options)
        except (OSError, RuntimeError, ValueError, RayError) as error:
            place = address or "this machine"
            raise EngineError(f"no Ray at {place}: {_line(error)}; see: ray status") from None
        try:
            yield
        finally:
            ray.shutdown()


def _knock(address: str | None) -> None:
    """Ask whether anybody is there, which Ray does for a minute or more, and then aborts."""
    if address is not None:
        host, _, port = address.rpartition(":")
        socket.create_connection((host, int(port)), timeout=_PATIENCE).close()


def _size(cluster: Cluster, nodes: int) -> int:
    """How many workers there are to be.

    Raises:
        EngineError: not even one.
    """
    if cluster.workers is not None:
        return cluster.workers
    if not cluster.gpus_per_worker:
        return nodes
    there = ray.cluster_resources().get("GPU", 0)
    size = int(there / cluster.gpus_per_worker)
    if not size:
        raise EngineError(
            f"Ray sees {there:g} GPUs here, and a worker takes {cluster.gpus_per_worker:g};"
            " lower --gpus-per-worker, or give --workers to wait for machines that have them"
        )
    return size


def _result(doing: object) -> ModelPair | None:
    """What a worker has come to; a bug in it is raised with the traceback from there."""
    try:
        result: ModelPair | None = ray.get(doing)
    except RayTaskError as error:
        if isinstance(error.cause, ShelfsightError):
            raise error.cause from None
        raise
    return result


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
