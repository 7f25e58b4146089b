"""The health check: queries the database and embeds a text, to test that both work."""

import asyncio
from functools import partial
from time import monotonic

from pydantic import BaseModel

from shelfsight import __version__
from shelfsight.errors import ShelfsightError
from shelfsight.ports import Embedder
from shelfsight.postgres.connection import Connection, Transactions
from shelfsight.records import Failure
from shelfsight.serving.scan_api.single_flight import SingleFlightCache
from shelfsight.serving.thread_pool import ThreadPool

CACHE_SECONDS = 5.0
"""Seconds for which a result is cached, so that frequent checks cause little load."""

CHECK_SECONDS = 5.0
"""Seconds after which a check that has not succeeded counts as failed."""


class ServiceHealth(BaseModel):
    """The response: `status` is healthy or unhealthy, and `problems` lists the failed checks."""

    status: str
    models: dict[str, str]
    problems: list[str]
    uptime: float
    version: str


class HealthCheck:
    """Checks the database and the models, in separate threads."""

    def __init__(self, database: Transactions, embedder: Embedder) -> None:
        self._checks = {
            "the database cannot be used": partial(_check_database, database),
            "the models cannot be used": partial(_check_models, embedder),
        }
        self._models = embedder.models
        self._threads = ThreadPool(2, "health")
        self._started = monotonic()
        self._problems: SingleFlightCache[None, list[str]] = SingleFlightCache(CACHE_SECONDS)

    async def check(self) -> ServiceHealth:
        """Report the health; a result of the last few seconds is reused."""
        problems = await self._problems.get(None, self._find_problems)
        return ServiceHealth(
            status="unhealthy" if problems else "healthy",
            models={"image": self._models.image, "text": self._models.text},
            problems=problems,
            uptime=round(monotonic() - self._started, 3),
            version=__version__,
        )

    def close(self) -> None:
        """Stop the threads that run the checks."""
        self._threads.close()

    async def _find_problems(self) -> list[str]:
        found = await asyncio.gather(*map(self._problem, self._checks))
        return [problem for problem in found if problem]

    async def _problem(self, name: str) -> str:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                is_well = await self._threads.run(self._checks[name])
        except (ShelfsightError, TimeoutError):
            return name
        return "" if is_well else name


def _check_database(database: Transactions) -> bool:
    def work(connection: Connection) -> bool:
        return connection.execute("SELECT true").fetchone() is not None

    return database.run(work, read_only=True)


def _check_models(embedder: Embedder) -> bool:
    return not isinstance(embedder.embed_texts(["ready"], query=True)[0], Failure)
