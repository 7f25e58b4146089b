"""Finds the files of a model in MODEL_DIR or in the hub's cache, or downloads them from the hub.

The hub's client takes long to import, so only the functions that need it import it: the lite pair
starts faster without.
"""

import hashlib
from dataclasses import replace
from pathlib import Path

from shelfsight.embedding.local.file_digest import file_digest
from shelfsight.errors import ModelError
from shelfsight.models.specs import HubFiles, ModelSpec, PackagedModel, Spec
from shelfsight.records import BRANCH, model_identity

_REACH_TIMEOUT = 10.0
"""Seconds to wait for the first answer of the hub. The download itself may take longer."""


def model_folder(spec: ModelSpec, hub: HubFiles, model_dir: Path | None) -> Path:
    """Return the folder that holds the files of `hub`, with the same paths as in the repository.

    With `model_dir` the folder is `model_dir / spec.name`. Otherwise it is a snapshot in the hub's
    cache. If the snapshot lacks a file, the files are downloaded first, with a progress bar.

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
    """Return the snapshot in the hub's cache; None if a file is missing from it.

    The network is not used, so a snapshot that is complete never gets newer.
    """
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = _snapshot(spec, hub, offline=True)
    except LocalEntryNotFoundError:
        return None
    return None if _missing(folder, hub) else folder


def with_revision_of_files(spec: Spec, hub: HubFiles, folder: Path, model_dir: Path | None) -> Spec:
    """Return the model's row with the revision of the files that `model_folder` found.

    A row that names a commit keeps it. If the row names `BRANCH`, the revision becomes the commit
    of the hub's snapshot. For files in `model_dir` it becomes `sha256:` and 40 hex digits of the
    files' hash. Hashing takes 2 to 5 seconds for each gigabyte, once for each file.
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
        total.update(file_digest(folder / name))
    return f"sha256:{total.hexdigest()[:40]}"


def _folder_in(model_dir: Path, spec: ModelSpec) -> Path:
    return model_dir.expanduser() / spec.name


def files_to_download(spec: ModelSpec) -> list[str]:
    """List the files that the hub's cache lacks; `[]` for a model that is not from the hub."""
    if isinstance(spec.source, PackagedModel):
        return []
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return _missing(_snapshot(spec, spec.source, offline=True), spec.source)
    except LocalEntryNotFoundError:
        return [spec.source.graph, *spec.source.others]


def _downloaded(spec: ModelSpec, hub: HubFiles) -> Path:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    # The base class of `HfHubHTTPError` is an error of its HTTP client, which differs by version.
    hub_errors: tuple[type[Exception], ...] = (OSError, *HfHubHTTPError.__bases__)
    try:
        # Ask once first: if the hub did not answer, a download would retry for 30 s.
        HfApi().model_info(hub.repository, revision=spec.revision, timeout=_REACH_TIMEOUT)
        folder = _snapshot(spec, hub, offline=False)
        missing = _missing(folder, hub)
        reason = f"it has no {', '.join(missing)}"
    except hub_errors as error:
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
    from huggingface_hub import snapshot_download

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
