"""How models are loaded: at once or when they are first used, and who is told."""

from collections.abc import Callable
from dataclasses import dataclass


def silent(_message: str) -> None:
    """Say nothing: the `notify` of those who show no messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """How a pair of models is loaded.

    Attributes:
        for_scans: the text model is loaded when it is first used, and its weights stay out of this
            process if that can be, because a scan has few words or none.
        notify: is told of each model that takes seconds to load.
    """

    for_scans: bool = False
    notify: Callable[[str], None] = silent


AT_ONCE = Loading()
