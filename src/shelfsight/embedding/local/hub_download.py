"""Downloads the files of a model from the Hugging Face hub into its cache.

The hub's client takes long to import, so only the functions that need it import it: the lite pair
starts faster without.
"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies

from shelfsight.errors import ModelError
from shelfsight.models.specs import HubFiles, ModelSpec

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo

_REACH_TIMEOUT = 10.0
"""Seconds to wait for the first answer of the hub. The download itself may take longer."""

_NOT_ALLOWED = frozenset({401, 403})


def download(spec: ModelSpec, hub: HubFiles) -> Path:
    """Download the files that the hub's cache lacks, with a progress bar; return their folder.

    Raises:
        ModelError: the hub does not answer or refuses, a file is not there, or the disk is full.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    # The base class of `HfHubHTTPError` is an error of its HTTP client, which differs by version.
    hub_errors: tuple[type[Exception], ...] = (OSError, *HfHubHTTPError.__bases__)
    try:
        # Ask once first: if the hub did not answer, a download would retry for 30 s.
        info = HfApi().model_info(
            hub.repository, revision=spec.revision, timeout=_REACH_TIMEOUT, files_metadata=True
        )
        _check_room(spec, hub, info)
        folder = snapshot(spec, hub, offline=False)
    except hub_errors as error:
        raise _cannot_fetch(spec, hub, _reason(error)) from None
    if missing := missing_files(folder, hub):
        raise _cannot_fetch(spec, hub, f"it has no {', '.join(missing)}")
    return folder


def snapshot(spec: ModelSpec, hub: HubFiles, *, offline: bool) -> Path:
    """Return the folder of a snapshot in the hub's cache; unless `offline`, complete it first.

    Raises:
        LocalEntryNotFoundError: it is not there, and `offline`.
    """
    from huggingface_hub import snapshot_download

    return Path(
        snapshot_download(
            hub.repository,
            revision=spec.revision,
            allow_patterns=[hub.graph, *hub.others],
            local_files_only=offline,
        )
    )


def missing_files(folder: Path, hub: HubFiles) -> list[str]:
    """Return the names of the files that a folder lacks."""
    return [name for name in (hub.graph, *hub.others) if not (folder / name).is_file()]


def _check_room(spec: ModelSpec, hub: HubFiles, info: "ModelInfo") -> None:
    """Refuse a download for which the disk has no room."""
    from huggingface_hub.constants import HF_HUB_CACHE

    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    size = sum(sizes.get(name, 0) for name in (hub.graph, *hub.others))
    cache = Path(HF_HUB_CACHE)
    existing = next(folder for folder in (cache, *cache.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    if size > free:
        raise _cannot_fetch(
            spec,
            hub,
            f"it takes {size / 1e9:.1f} GB, and {cache} has {free / 1e9:.1f} GB free:"
            " make room, or set HF_HOME",
        )


def _reason(error: Exception) -> str:
    """Return why the hub could not be asked, and what would help."""
    first_line = str(error).partition("\n")[0] or type(error).__name__
    response = getattr(error, "response", None)
    if response is None and (proxy := _proxy()):
        return f"the proxy {proxy} does not answer: {first_line}"
    if getattr(response, "status_code", None) in _NOT_ALLOWED:
        return f"{first_line}: set HF_TOKEN to a token that may read it"
    return first_line


def _proxy() -> str | None:
    """Return the host of the proxy that the environment names, without a password."""
    proxies = getproxies()
    parts = urlsplit(proxies.get("https") or proxies.get("http") or proxies.get("all") or "")
    return parts.netloc.rpartition("@")[2] or None


def _cannot_fetch(spec: ModelSpec, hub: HubFiles, reason: str) -> ModelError:
    return ModelError(
        f"the model {spec.name} cannot be fetched ({hub.repository}: {reason}); "
        "use --models lite, a folder with the files (MODEL_DIR) "
        "or an embedding server (EMBEDDING_SERVER_URL)"
    )
