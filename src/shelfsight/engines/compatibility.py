"""Checks that a worker on another machine runs a release of shelfsight that fits this one."""

from collections.abc import Mapping

from shelfsight import __version__
from shelfsight.errors import EngineError

PROTOCOL = 1
"""Version of the calls between the driver and `ray_worker.Worker`; raise it when one changes."""

_WHAT_TO_DO = (
    "install the same version on every machine of the cluster, or with the job's runtime_env"
)


def own_release() -> dict[str, object]:
    """The version and the protocol of the shelfsight that runs in this process.

    A plain dict, because every release must be able to read it: fields may be added, never renamed.
    """
    return {"version": __version__, "protocol": PROTOCOL}


def require_compatible(worker: Mapping[str, object]) -> None:
    """Refuse a worker that has another major.minor version or protocol than this process.

    Fields that this release does not know are ignored; a missing one does not fit.

    Raises:
        EngineError: the worker does not fit. Its line names both versions and what to do.
    """
    own = own_release()
    if _compared(worker) != _compared(own):
        raise EngineError(
            f"a Ray worker has {_described(worker)}, but this command has {_described(own)}:"
            f" {_WHAT_TO_DO}"
        )


def cannot_start(reason: str) -> EngineError:
    """The error for a worker that cannot even tell its version, most likely since it lacks it."""
    return EngineError(
        f"a Ray worker cannot start {_described(own_release())}: {_WHAT_TO_DO} ({reason})"
    )


def _compared(release: Mapping[str, object]) -> tuple[list[str], object]:
    """What must be equal: the major and minor numbers, and the protocol."""
    return str(release.get("version")).split(".")[:2], release.get("protocol")


def _described(release: Mapping[str, object]) -> str:
    version = release.get("version", "of an unknown version")
    protocol = release.get("protocol", "unknown")
    return f"shelfsight {version} (worker protocol {protocol})"
