"""Checks that the shelfsight version of a worker on another machine is compatible with this one."""

from collections.abc import Mapping

from shelfsight import __version__
from shelfsight.errors import EngineError

PROTOCOL = 1
"""Version of the calls from the driver to `ray_worker.Worker`; increase it when a call changes."""

_WHAT_TO_DO = (
    "install the same version on every machine of the cluster, or with the job's runtime_env"
)


def own_release() -> dict[str, object]:
    """Return the version and the protocol number of the shelfsight that runs in this process.

    The result is a plain dict, because other releases must be able to read it. Keys may be added in
    later releases, but never renamed.
    """
    return {"version": __version__, "protocol": PROTOCOL}


def require_compatible(worker: Mapping[str, object]) -> None:
    """Refuse a worker whose major or minor version, or whose protocol, differs from this process.

    Keys that this release does not know are ignored. A worker without a version or a protocol is
    refused.

    Raises:
        EngineError: the worker is not compatible. The message names both versions and what to do.
    """
    own = own_release()
    if _compared(worker) != _compared(own):
        raise EngineError(
            f"a Ray worker has {_described(worker)}, but this command has {_described(own)}:"
            f" {_WHAT_TO_DO}"
        )


def cannot_start(reason: str) -> EngineError:
    """The error for a worker that cannot tell its version.

    The most likely reason is that shelfsight is not installed there.
    """
    return EngineError(
        f"a Ray worker cannot start {_described(own_release())}: {_WHAT_TO_DO} ({reason})"
    )


def _compared(release: Mapping[str, object]) -> tuple[list[str], object]:
    """Return what must be equal in both processes: major and minor version, and protocol."""
    return str(release.get("version")).split(".")[:2], release.get("protocol")


def _described(release: Mapping[str, object]) -> str:
    version = release.get("version", "of an unknown version")
    protocol = release.get("protocol", "unknown")
    return f"shelfsight {version} (worker protocol {protocol})"
