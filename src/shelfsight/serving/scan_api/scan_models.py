"""The models that scans use."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from shelfsight.errors import ModelMismatchError
from shelfsight.ports import Embedder
from shelfsight.scan.scanner import Scanner
from shelfsight.serving.scan_api.photo_input import ReadPhoto

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedModels:
    """A pair of models, with what reads photos for it and scans with it.

    `cached_answers` returns how many facts about the database its scanner keeps.
    """

    embedder: Embedder
    scanner: Scanner
    read_photo: ReadPhoto
    cached_answers: Callable[[], int]


class ScanModels:
    """Has the models that scans use now, as `current`; here they stay the same.

    `notes` tell people what happens to the models.
    """

    def __init__(self, first: LoadedModels) -> None:
        self.current = first
        self.notes: tuple[str, ...] = ()

    def cached_answers(self) -> int:
        """Return how many facts about the database the scanner in use keeps."""
        return self.current.cached_answers()

    def update(self) -> None:
        """Take the models that made the vectors in use, if they are others than before."""


async def scan_with(
    models: ScanModels, work: Callable[[LoadedModels], Awaitable[Result]]
) -> Result:
    """Do `work` with the models in use; once more if these were switched meanwhile.

    Raises:
        ModelMismatchError: other models made the stored vectors, and they are not known here.
    """
    used = models.current
    try:
        return await work(used)
    except ModelMismatchError:
        await asyncio.to_thread(models.update)
        if models.current is used:
            raise
    return await work(models.current)
