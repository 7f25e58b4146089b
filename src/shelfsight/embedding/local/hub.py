"""Finds the files of a model: in MODEL_DIR, in the hub's cache or, by a download, on the hub."""

import hashlib
from dataclasses import replace
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from shelfsight.errors import ModelError
from shelfsight.models.specs import HubFiles, ModelSpec, PackagedModel, Spec
from shelfsight.records import BRANCH, model_identity

_REACH_TIMEOUT = 10.0
"""Seconds for the first request to the hub; the download itself may take long."""

_HUB_ERRORS: tuple[type[Exception], ...] = (OSError, *HfHubHTTPError.__bases__)
"""`HfHubHTTPError`'s base is the error of the HTTP client, which differs by version."""


def model_folder(spec: ModelSpec, hub: HubFiles, model_dir: Path | None) -> Path:
    """Return the folder with the files of `hub`, laid out as in its repository.

    With `model_dir` it is `model_dir / spec.name`. Otherwise it is a snapshot in the hub's cache;
    if that lacks a file, it is downloaded first, with a progress bar.

    Raises:
        ModelError: a file is missing from `model_dir`, or cannot be downloaded.

    """
    if model_dir is not None:
        folder = _folder_in(model_dir, spec)
        if missing := _missing(folder, hub):
            raise ModelError(
                f"MODEL_DIR: {folder} lacks {', '.join(missing)} of {hub.repository}; "
                "put the repository's files there, in its folders"
            )
        return folder
    return _cached(spec, hub) or _downloaded(spec, hub)


def _cached(spec: ModelSpec, hub: HubFiles) -> Path | None:
    """Return the cached snapshot if it is complete; no network, so it never gets newer."""
    try:
        folder = _snapshot(spec, hub, offline=True)
    except LocalEntryNotFoundError:
        return None
    return None if _missing(folder, hub) else folder


def with_revision_of_files(spec: Spec, hub: HubFiles, folder: Path, model_dir: Path | None) -> Spec:
    """Return the row with the revision of the files that `model_folder` found.

    A row that names a commit keeps it. In place of `BRANCH` comes the commit of the hub's snapshot
    or, of files in `model_dir`, `sha256:` and 40 hex digits of their hash. Hashing takes 2 to 5
    seconds a gigabyte, each time the model is loaded.
    """
    if spec.revision != BRANCH:
        return spec
    return replace(spec, revision=_revision_of(hub, folder, model_dir))


def identity_without_download(spec: ModelSpec, model_dir: Path | None) -> str:
    """Return the identity that loading a model would give; the name alone if that is not known yet.

    It is not known of a branch that was not downloaded, or whose files `model_dir` lacks.
    """
    if isinstance(spec.source, PackagedModel) or spec.revision != BRANCH:
        return spec.identity
    if model_dir is None:
        folder = _cached(spec, spec.source)
    else:
        own = _folder_in(model_dir, spec)
        folder = None if _missing(own, spec.source) else own
    if folder is None:
        return spec.name
    return model_identity(spec.name, _revision_of(spec.source, folder, model_dir))


def _revision_of(hub: HubFiles, folder: Path, model_dir: Path | None) -> str:
    # The hub's cache names the folder of a snapshot after its commit.
    return folder.name if model_dir is None else _hash_of_files(folder, hub)


def _hash_of_files(folder: Path, hub: HubFiles) -> str:
    total = hashlib.sha256()
    for name in sorted((hub.graph, *hub.others)):
        with (folder / name).open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return f"sha256:{total.hexdigest()[:40]}"


def _folder_in(model_dir: Path, spec: ModelSpec) -> Path:
    return model_dir.expanduser() / spec.name


def files_to_download(spec: ModelSpec) -> list[str]:
    """List the files that the hub's cache lacks; `[]` for a model that needs no hub."""
    if isinstance(spec.source, PackagedModel):
        return []
    try:
        return _missing(_snapshot(spec, spec.source, offline=True), spec.source)
    except LocalEntryNotFoundError:
        return [spec.source.graph, *spec.source.others]


def _downloaded(spec: ModelSpec, hub: HubFiles) -> Path:
    try:
        # Ask once first: without an answer the download would retry for half a minute.
        HfApi().model_info(hub.repository, revision=spec.revision, timeout=_REACH_TIMEOUT)
        folder = _snapshot(spec, hub, offline=False)
        missing = _missing(folder, hub)
        reason = f"it has no {', '.join(missing)}"
    except _HUB_ERRORS as error:
        missing = [hub.graph]
        reason = str(error).partition("\n")[0] or type(error).__name__
    if missing:
        raise ModelError(
            f"the model {spec.name} cannot be fetched ({hub.repository}: {reason}); "
            "use --models lite, a folder with the files (MODEL_DIR) "
            "or an embedding server (EMBEDDING_SERVER_URL)"
        )
    return folder


def _snapshot(spec: ModelSpec, hub: HubFiles, *, offline: bool) -> Path:
    return Path(
        snapshot_download(
            hub.repository,
            revision=spec.revision,
            allow_patterns=[hub.graph, *hub.others],
            local_files_only=offline,
        )
    )


def _missing(folder: Path, hub: HubFiles) -> list[str]:
    return [name for name in (hub.graph, *hub.others) if not (folder / name).is_file()]
