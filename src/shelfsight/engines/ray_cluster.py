"""Starts workers on a Ray cluster and replaces lost workers. Only this file imports Ray.

Ray starts the workers on machines, and reports the workers that were lost. The assignment of work
to workers and their progress are recorded in the ledger only, as for any other worker.
"""

import logging
import math
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Literal

import ray
from ray.exceptions import OutOfMemoryError, RayActorError, RayError, RayTaskError

from shelfsight.backfill.runs import Run
from shelfsight.engines.cluster_options import ClusterOptions
from shelfsight.engines.compatibility import cannot_start, require_compatible
from shelfsight.engines.ray_worker import OpenPipeline, Worker
from shelfsight.errors import EngineError, ShelfsightError
from shelfsight.records import ModelPair

Notify = Callable[[str], None]

_POLL_SECONDS = 1.0
"""Seconds that one poll waits for a worker to finish a call."""

_TIMEOUT = 10.0
"""Seconds to wait for a cluster to accept a connection, for slow workers to report their version,
and for workers to finish their batch when the pool closes."""

_MAX_LOSSES = 3
"""How many losses per worker are accepted as long as no page is stored."""

_LOST = (RayActorError, OutOfMemoryError)
"""Errors that Ray raises for a lost worker; OutOfMemoryError: Ray ended it to free memory."""

_CPUS_PER_WORKER = 0.01
"""A worker may use all cores. It requests a few because Ray then spreads workers over machines."""

_OBJECT_STORE_BYTES = 100_000_000
"""Memory that Ray may reserve on this machine: little, because no product travels through Ray."""

_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
"""Turns off usage statistics, and a warning about a later version of Ray."""


@dataclass(slots=True, eq=False)
class _WorkerHandle:
    """What the driver knows about one worker.

    `call` is the call in progress, or None if the worker is idle. `messages` is a pending call of
    `take_messages`.
    """

    actor: Any
    call: Any
    messages: Any
    phase: Literal["checking", "opening", "idle", "working"] = "checking"


class WorkerPool:
    """A fixed number of workers on a cluster. A worker that is lost is replaced."""

    def __init__(
        self, open_pipeline: OpenPipeline, options: ClusterOptions, notify: Notify
    ) -> None:
        machines = sum(node["Alive"] for node in ray.nodes())
        size = options.worker_count(machines, ray.cluster_resources().get("GPU", 0))
        self._actors = ray.remote(Worker).options(
            num_cpus=_CPUS_PER_WORKER,
            num_gpus=options.gpus_per_worker,
            max_concurrency=2,
            scheduling_strategy="SPREAD",
        )
        self._open_arguments = (open_pipeline, math.ceil(size / machines))
        self._notify = notify
        self._last_message = ""
        self._models: ModelPair | None = None
        self._run: Run | None = None
        self._is_done = self._is_stopping = False
        self._losses = 0
        self._workers = [self._start_worker() for _ in range(size)]

    def models(self) -> ModelPair:
        """Wait until a worker has loaded its models, and return the identities of these models.

        Workers that are still starting then get a few seconds to report their version, so that an
        incompatible worker is refused before any work begins.

        Raises:
            ShelfsightError: the models cannot be loaded, or a worker is not compatible.
        """
        while self._models is None:
            self.poll()
        deadline = monotonic() + _TIMEOUT
        while monotonic() < deadline and any(w.phase == "checking" for w in self._workers):
            self.poll()
        return self._models

    def start_run(self, run: Run) -> None:
        """Let all workers work on a run, including workers that start later."""
        self._run = run
        for worker in self._workers:
            if worker.phase == "idle":
                self._start_work(worker)

    def stop(self) -> None:
        """Let each worker stop after its current batch; remove the workers that are not working."""
        self._is_stopping = True
        for worker in self._workers:
            worker.actor.stop.remote()
        self._workers = [worker for worker in self._workers if worker.phase == "working"]

    def poll(self) -> None:
        """Wait up to a second until a worker is ready, done or lost, and react to that.

        Raises:
            ShelfsightError: a worker ended with an error, or too many workers were lost.
        """
        pending = [worker.call for worker in self._workers if worker.call is not None]
        finished, _ = ray.wait(pending, timeout=_POLL_SECONDS)
        for worker in list(self._workers):
            if worker.call in finished:
                self._handle_result(worker)
        for worker in self._workers:
            self._forward_messages(worker)

    def note_progress(self) -> None:
        """Reset the count of lost workers, because a stored page shows that workers can work."""
        self._losses = 0

    @property
    def is_over(self) -> bool:
        """Whether the run is complete or, after `stop`, whether all workers have stopped."""
        return not self._workers if self._is_stopping else self._is_done

    def close(self) -> None:
        """Stop the workers; wait a few seconds for them to finish their current batch."""
        self.stop()
        working = [worker.call for worker in self._workers]
        if working:
            ray.wait(working, num_returns=len(working), timeout=_TIMEOUT)

    def _start_worker(self) -> _WorkerHandle:
        actor = self._actors.remote()
        return _WorkerHandle(actor, actor.release.remote(), actor.take_messages.remote())

    def _start_work(self, worker: _WorkerHandle) -> None:
        worker.call, worker.phase = worker.actor.work.remote(self._run), "working"

    def _handle_result(self, worker: _WorkerHandle) -> None:
        try:
            with _plain_errors(worker):
                result = ray.get(worker.call)
        except _LOST as error:
            self._replace(worker, error)
            return
        if worker.phase == "checking":
            require_compatible(result)
            worker.call = worker.actor.open.remote(*self._open_arguments)
            worker.phase = "opening"
        elif worker.phase == "opening":
            self._set_models(result)
            worker.call, worker.phase = None, "idle"
            if self._run is not None:
                self._start_work(worker)
        else:
            self._forward_messages(worker)
            self._workers.remove(worker)
            self._is_done = True

    def _set_models(self, models: ModelPair) -> None:
        if self._models not in {None, models}:
            raise EngineError(
                f"the workers have different models, {self._models} and {models}: install the same"
                " version of shelfsight on every machine"
            )
        self._models = models

    def _replace(self, worker: _WorkerHandle, error: RayError) -> None:
        ray.kill(worker.actor)
        if self._is_stopping:
            self._workers.remove(worker)
            return
        self._losses += 1
        if self._losses > _MAX_LOSSES * len(self._workers):
            raise EngineError(f"Ray loses one worker after another: {_line(error)}") from None
        self._notify("A worker was lost; another takes its place")
        self._workers[self._workers.index(worker)] = self._start_worker()

    def _forward_messages(self, worker: _WorkerHandle) -> None:
        """Show a worker's messages; a message that several workers send in a row appears once."""
        ready, _ = ray.wait([worker.messages], timeout=0)
        if not ready:
            return
        try:
            messages = ray.get(worker.messages)
        except _LOST:  # the worker is lost; its call in progress will report that
            return
        except RayTaskError:
            if worker.phase == "checking":  # the call in progress will report this error
                return
            raise
        worker.messages = worker.actor.take_messages.remote()
        for message in messages:
            if message != self._last_message:
                self._notify(message)
            self._last_message = message


@contextmanager
def open_worker_pool(
    open_pipeline: OpenPipeline, options: ClusterOptions, notify: Notify
) -> Iterator[WorkerPool]:
    """Start workers on a cluster and yield their pool; stop them when the context ends.

    Raises:
        EngineError: there is no cluster at the address, or it has too few GPUs.
    """
    with _connected(options.address):
        pool = WorkerPool(open_pipeline, options, notify)
        try:
            yield pool
        finally:
            pool.close()


@contextmanager
def _connected(address: str | None) -> Iterator[None]:
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address is None:
        options |= {"include_dashboard": False, "object_store_memory": _OBJECT_STORE_BYTES}
    # Ray prints advice for its own users, which is hidden; our own output is not redirected.
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        try:
            _check_reachable(address)
            ray.init(address or "local", **options)
        except (OSError, RuntimeError, ValueError, RayError) as error:
            place = address or "this machine"
            raise EngineError(f"no Ray at {place}: {_line(error)}; see: ray status") from None
        try:
            yield
        finally:
            ray.shutdown()


def _check_reachable(address: str | None) -> None:
    """Fail quickly if nothing listens at the address; Ray would try for a minute or more."""
    if address is not None:
        host, _, port = address.rpartition(":")
        socket.create_connection((host, int(port)), timeout=_TIMEOUT).close()


@contextmanager
def _plain_errors(worker: _WorkerHandle) -> Iterator[None]:
    """Raise a worker's `ShelfsightError` unchanged, and other errors with the worker's traceback.

    Any error other than the loss of the worker, while it reports its version, means that it is not
    compatible.
    """
    try:
        yield
    except RayTaskError as error:
        if worker.phase == "checking":
            raise cannot_start(_line(error)) from None
        if isinstance(error.cause, ShelfsightError):
            raise error.cause from None
        raise
    except RayActorError as error:
        if error.actor_init_failed:
            raise cannot_start(_line(error)) from None
        raise


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
