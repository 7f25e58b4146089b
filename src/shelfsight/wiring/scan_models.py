"""Makes what a scan server's models are taken from: always the same ones, or those in use."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from shelfsight.ports import Embedder
from shelfsight.postgres.pool import DatabasePool
from shelfsight.settings import Settings
from shelfsight.wiring.embedder import open_models

if TYPE_CHECKING:
    from shelfsight.serving.scan_api.scan_models import LoadedModels, ScanModels


@contextmanager
def open_scan_models(
    settings: Settings,
    database: DatabasePool,
    url: str,
    embedder: Embedder,
    prepare: "Callable[[Embedder], LoadedModels]",
) -> "Iterator[ScanModels]":
    """Yield the models of a scan server, of which `embedder` is the first.

    With `FOLLOW_MODELS` they are those that made the vectors in use; others than `embedder` are
    loaded into this process. `prepare` adds to an embedder what scans need besides.
    """
    from shelfsight.serving.scan_api.followed_models import FollowedModels
    from shelfsight.serving.scan_api.scan_models import ScanModels
    from shelfsight.storage.versions.set_models import SetModels

    first = prepare(embedder)
    if not settings.follow_models:
        yield ScanModels(first)
        return

    def load(name: str) -> "LoadedModels":
        chosen = settings.model_copy(update={"models": name})
        return prepare(open_models(chosen, for_scans=True))

    with closing(FollowedModels(first, SetModels(database, url), load)) as followed:
        followed.start()
        yield followed
