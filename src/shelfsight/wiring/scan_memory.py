"""Measures what the models of a scan server take, and divides the rest of its memory."""

import resource
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shelfsight.errors import SettingsError
from shelfsight.ports import Embedder
from shelfsight.records import ModelPicture
from shelfsight.settings import Settings
from shelfsight.wiring.embedder import Notify
from shelfsight.wiring.listening import Listen

if TYPE_CHECKING:
    from shelfsight.serving.scan_api.memory_plan import MemoryPlan

_LONGEST_TEXT = "word " * 800
"""As long as the words of a scan may be."""


def plan_memory(
    settings: Settings, embedder: Embedder, notify: Notify, listen: Listen
) -> "MemoryPlan":
    """Return the usual limits or, with `MEMORY`, smaller ones; then tell how it was divided.

    Of several workers each has an equal part of the memory and of the cores.

    Raises:
        SettingsError: `MEMORY` is too small for the models, or `FOLLOW_MODELS` is set, too.
    """
    from shelfsight.serving.scan_api.memory_plan import MemoryPlan, describe, divide

    if settings.memory is not None and settings.follow_models:
        raise SettingsError(
            "MEMORY is divided for one pair of models, and FOLLOW_MODELS loads a second one: leave"
            " one of them out"
        )
    if settings.memory is None:
        return MemoryPlan(decoder_count=listen.cores)
    models = _models_bytes(embedder, settings.scan_views)
    photo = settings.scan_views * 3 * embedder.picture_format.side**2
    size = settings.memory // listen.workers
    try:
        plan = divide(size, models=models, photo=photo, cores=listen.cores)
    except SettingsError as error:
        if listen.workers == 1:
            raise
        raise SettingsError(f"for each of {listen.workers} workers {error}") from None
    each = "" if listen.workers == 1 else "each worker: "
    notify(each + describe(plan, models=models, photo=photo))
    return plan


def _models_bytes(embedder: Embedder, views: int) -> int:
    """Measure the resident bytes of this process once all threads have run the models.

    The largest scan runs alone, then twice at the same time: the difference is what each further
    thread takes.
    """
    from shelfsight.embedding.local.run_threads import RUNS_AT_ONCE

    side = embedder.picture_format.side
    photo: list[ModelPicture] = [np.full((side, side, 3), 128, np.uint8)] * views

    def scan(_number: int = 0) -> None:
        embedder.embed_images(photo)
        embedder.embed_texts([_LONGEST_TEXT], query=True)

    scan()
    alone = _resident_bytes()
    with ThreadPoolExecutor(2) as two:
        list(two.map(scan, range(2)))
    return alone + (RUNS_AT_ONCE - 1) * max(0, _resident_bytes() - alone)


def _resident_bytes() -> int:
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in bytes on macOS
