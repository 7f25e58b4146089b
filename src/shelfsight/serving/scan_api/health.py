"""Whether the database and the models can be used, truthfully: both are asked."""

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
from shelfsight.serving.scan_api.thread_pool import ThreadPool

FRESH = 5.0
"""Seconds for which an answer is kept: whoever looks often is no load, and wakes no server."""

PATIENCE = 5.0
"""Seconds after which what does not answer counts as away."""


class ServiceHealth(BaseModel):
    """`status` is healthy or unhealthy; `problems` says what is away."""

    status: str
    models: dict[str, str]
    problems: list[str]
    uptime: float
    version: str


class HealthCheck:
    """Asks the database for a row and the models for a vector, in threads of its own."""

    def __init__(self, database: Transactions, embedder: Embedder) -> None:
        self._checks = {
            "the database cannot be used": partial(_ask_database, database),
            "the models cannot be used": partial(_ask_models, embedder),
        }
        self._models = embedder.models
        self._workers = ThreadPool(2, "health")
        self._since = monotonic()
        self._problems: SingleFlightCache[None, list[str]] = SingleFlightCache(FRESH)

    async def check(self) -> ServiceHealth:
        """What is well and what is not, as of a few seconds ago."""
        problems = await self._problems.get(None, self._find_problems)
        return ServiceHealth(
            status="unhealthy" if problems else "healthy",
            models={"image": self._models.image, "text": self._models.text},
            problems=problems,
            uptime=round(monotonic() - self._since, 3),
            version=__version__,
        )

    def close(self) -> None:
        """Ask nothing more."""
        self._workers.close()

    async def _find_problems(self) -> list[str]:
        found = await asyncio.gather(*map(self._problem, self._checks))
        return [problem for problem in found if problem]

    async def _problem(self, name: str) -> str:
        try:
            async with asyncio.timeout(PATIENCE):
                well = await self._workers.run(self._checks[name])
        except (ShelfsightError, TimeoutError):
            return name
        return "" if well else name


def _ask_database(database: Transactions) -> bool:
    def work(connection: Connection) -> bool:
        return connection.execute("SELECT true").fetchone() is not None

    return database.run(work, read_only=True)


def _ask_models(embedder: Embedder) -> bool:
    return not isinstance(embedder.embed_texts(["ready"], query=True)[0], Failure)
