"""The two health checks: whether scans can be answered now, and whether a restart would help."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from threading import Thread
from time import monotonic

from psycopg import sql
from pydantic import BaseModel

from shelfsight import __version__
from shelfsight.errors import ModelError, ModelMismatchError, ServerError
from shelfsight.postgres.connection import Transactions
from shelfsight.records import Failure
from shelfsight.serving.callers import CALLER
from shelfsight.serving.scan_api.context import ScanContext
from shelfsight.serving.scan_api.problems import unavailable
from shelfsight.serving.scan_api.scan_models import LoadedModels, ScanModels
from shelfsight.serving.scan_api.single_flight import SingleFlightCache
from shelfsight.serving.thread_pool import ThreadPool
from shelfsight.storage.vectors.model_check import checked_table, refuse_others

CACHE_SECONDS = 1.0
"""Seconds for which a result is cached, so that frequent checks cause little load."""

CHECK_SECONDS = 4.0
"""Seconds after which a check that has not ended is a problem."""

SLOW = f"within {CHECK_SECONDS:g} s"

MODELS_SECONDS = 60.0
"""Seconds after which the models of all stored vectors are read again; a switch is seen at once."""

BLOCKED_SECONDS = 60.0
"""Seconds beyond the time limit of a scan. Threads that are all busy longer are stuck for good."""


class HealthProblem(BaseModel):
    """What keeps scans from being answered: a stable word for programs, and a text for people.

    The words are those of the 503 responses, and `threads_busy`.
    """

    kind: str
    detail: str


class Readiness(BaseModel):
    """The response of `/ready`. `notes` tell what happens to the models (`FOLLOW_MODELS`)."""

    ready: bool
    problems: list[HealthProblem]
    notes: list[str] = []


class ServiceHealth(BaseModel):
    """The response of `/health`. `problems` are those that a restart would end.

    `models` are those that answer scans now, and `notes` tell what happens to the models.
    """

    status: str
    models: dict[str, str]
    problems: list[str]
    notes: list[str] = []
    uptime: float
    version: str


class HealthCheck:
    """Checks the database, the stored vectors, the models, and the threads for scans."""

    def __init__(self, context: ScanContext) -> None:
        self._models = context.models
        self._threads = context.threads
        self._blocked_seconds = context.config.seconds + BLOCKED_SECONDS
        self._started = monotonic()
        self._model_check = _Check(
            partial(_check_models, context.models), "model_away", f"no vector was made {SLOW}"
        )
        self._checks = (
            _Check(
                partial(_check_database, context.database),
                "database_away",
                f"the database did not answer {SLOW}",
            ),
            _Check(
                _StoredModels(context.database, self._models).check,
                "too_slow",
                f"the stored vectors could not be read {SLOW}",
            ),
            self._model_check,
        )
        self._problems: SingleFlightCache[None, list[HealthProblem]] = SingleFlightCache(
            CACHE_SECONDS
        )

    async def ready(self) -> Readiness:
        """Report whether scans can be answered now; a result of the last second is reused."""
        problems = await self._problems.get(None, self._find_problems)
        notes = list(self._models.notes)
        return Readiness(ready=not problems, problems=problems, notes=notes)

    async def health(self) -> ServiceHealth:
        """Report what a restart would end, as far as it is known now; nothing is waited for."""
        self._checking = asyncio.create_task(self.ready())  # for the next report
        self._checking.add_done_callback(_ignore_error)
        problems = []
        blocked = self._threads.blocked_seconds()
        if blocked > self._blocked_seconds:
            count = self._threads.size
            problems.append(f"all {count} threads for scans have hung for {blocked:.0f} s")
        # An embedding server is not restarted with this process, but models in it are.
        error = self._model_check.error
        if isinstance(error, ModelError) and not isinstance(error, ServerError):
            problems.append("the models in this process have failed")
        models = self._models.current.embedder.models
        return ServiceHealth(
            status="unhealthy" if problems else "healthy",
            models={"image": models.image, "text": models.text},
            problems=problems,
            notes=list(self._models.notes),
            uptime=round(monotonic() - self._started, 3),
            version=__version__,
        )

    async def _find_problems(self) -> list[HealthProblem]:
        checks = (check.problem() for check in self._checks)
        found = await asyncio.gather(*checks, _threads_problem(self._threads))
        problems = {problem.kind: problem for problem in found if problem is not None}
        if "database_away" in problems:
            problems.pop("too_slow", None)  # the vectors could not be read for the same reason
        return list(problems.values())


class _Check:
    """One blocking check, in a thread of its own. While it hangs, it is not started again."""

    def __init__(self, work: Callable[[], None], kind: str, too_slow: str) -> None:
        self._work = work
        self._too_slow = HealthProblem(kind=kind, detail=too_slow)
        self._running: Future[None] | None = None
        self.error: Exception | None = None

    async def problem(self) -> HealthProblem | None:
        """Return what the check finds, or that it does not end; None if all is well."""
        if self._running is None:
            self._running = _in_daemon_thread(self._work)
        if not await _is_done(self._running):
            return self._too_slow
        outcome, self._running = self._running.exception(), None
        self.error = outcome if isinstance(outcome, Exception) else None
        if self.error is None:
            return None
        refusal = unavailable(self.error)
        if refusal is None:
            raise self.error
        return HealthProblem(kind=refusal.kind, detail=str(refusal))


class _StoredModels:
    """Checks which models made the stored vectors: when they were switched, or now and then."""

    def __init__(self, database: Transactions, models: ScanModels) -> None:
        self._database = database
        self._models = models
        self._checked: tuple[int, LoadedModels] | None = None
        self._checked_at = 0.0

    def check(self) -> None:
        """Raise an error if the tables are missing, or other models made the stored vectors."""
        table = self._database.run(checked_table, read_only=True)
        used = self._models.current
        is_new = monotonic() - self._checked_at < MODELS_SECONDS
        if self._checked == (table, used) and is_new:
            return
        self._checked = None
        try:
            table = refuse_others(self._database, used.embedder.models)
        except ModelMismatchError:
            self._models.update()
            if self._models.current is used:
                raise
            used = self._models.current
            table = refuse_others(self._database, used.embedder.models)
        self._checked = (table, used)
        self._checked_at = monotonic()


def _check_database(database: Transactions) -> None:
    database.ask((sql.SQL("SELECT true"), {}))


def _check_models(models: ScanModels) -> None:
    result = models.current.embedder.embed_texts(["ready"], query=True)[0]
    if isinstance(result, Failure):
        raise ModelError(result.message)


async def _threads_problem(threads: ThreadPool) -> HealthProblem | None:
    CALLER.set("health check")  # it takes its turn as one more caller
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await threads.run(_do_nothing)
    except TimeoutError:
        detail = f"none of the {threads.size} threads for scans became free {SLOW}"
        return HealthProblem(kind="threads_busy", detail=detail)
    return None


def _do_nothing() -> None:
    pass


def _ignore_error(task: asyncio.Task[Readiness]) -> None:
    if not task.cancelled():
        task.exception()  # `/ready` reports it


def _in_daemon_thread(work: Callable[[], None]) -> Future[None]:
    """Call `work` in a thread that does not keep the process from ending."""
    call: Future[None] = Future()

    def run() -> None:
        try:
            work()
            call.set_result(None)
        except Exception as error:
            call.set_exception(error)

    Thread(target=run, name="health check", daemon=True).start()
    return call


async def _is_done(call: Future[None]) -> bool:
    """Wait for a call, but not for long; return whether it has ended."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def wake(_call: object) -> None:
        with suppress(RuntimeError):  # the loop has ended before the call
            loop.call_soon_threadsafe(ended.set)

    call.add_done_callback(wake)
    with suppress(TimeoutError):
        async with asyncio.timeout(CHECK_SECONDS):
            await ended.wait()
    return call.done()
