"""Finds the files of a model in MODEL_DIR or in the hub's cache, or downloads them from the hub.

The hub's client takes long to import, so only the functions that need it import it: the lite pair
starts faster without.
"""

import hashlib
from dataclasses import replace
from pathlib import Path

from shelfsight.embedding.local.file_content import content_of
from shelfsight.embedding.local.hub_download import download, missing_files, snapshot
from shelfsight.errors import ModelError
from shelfsight.models.specs import HubFiles, ModelSpec, PackagedModel, Spec
from shelfsight.records import BRANCH, model_identity, revision_of_files

_SHA256_DIGITS = 64


def model_folder(spec: ModelSpec, hub: HubFiles, model_dir: Path | None) -> Path:
    """Return the folder that holds the files of `hub`, with the same paths as in the repository.

    With `model_dir` it is the model's own folder there. Otherwise it is a snapshot in the hub's
    cache. If the snapshot lacks a file, the files are downloaded first, with a progress bar. Files
    that were downloaded, and those in `model_dir`, are checked; see `check_files`.

    Raises:
        ModelError: a file is missing from `model_dir`, is broken, or cannot be downloaded.

    """
    if model_dir is not None:
        folder = _folder_in(model_dir, spec)
        if missing := missing_files(folder, hub):
            raise ModelError(
                f"MODEL_DIR: {folder} lacks {', '.join(missing)} of {hub.repository}; "
                "put the repository's files there, in its folders"
            )
        _require_whole(folder, hub)
        return folder
    return _cached(spec, hub) or _downloaded(spec, hub)


def check_files(spec: ModelSpec, model_dir: Path | None) -> None:
    """Check the files of a model, if they are there and do not come with a package.

    None may have zeros where weights should be, and those from the hub have the SHA-256 that the
    hub told. Reading them takes 2 to 5 seconds for each gigabyte, once for each file.

    Raises:
        ModelError: a file is broken.
    """
    if isinstance(spec.source, PackagedModel):
        return
    folder = _cached(spec, spec.source) if model_dir is None else _folder_in(model_dir, spec)
    if folder is not None and not missing_files(folder, spec.source):
        _require_whole(folder, spec.source)


def _downloaded(spec: ModelSpec, hub: HubFiles) -> Path:
    """Download a model; a broken file is removed, so that the next download fetches it again."""
    folder = download(spec, hub)
    for name in _names(hub):
        path = folder / name
        if reason := _fault(path):
            path.resolve().unlink()
            path.unlink(missing_ok=True)
            raise ModelError(
                f"{path} was broken, and is removed: {reason}; run the same again, or see whether"
                " a proxy changes what it passes on"
            )
    return folder


def _require_whole(folder: Path, hub: HubFiles) -> None:
    for name in _names(hub):
        if reason := _fault(folder / name):
            raise ModelError(
                f"{folder / name} is broken: {reason};"
                f" delete it, and get it again from {hub.repository}"
            )


def _fault(path: Path) -> str | None:
    """Return what is wrong with a file; the hub's cache names a large file after its SHA-256."""
    content = content_of(path)
    published = path.resolve().name
    if content.has_gap:
        return "it has zeros where weights should be"
    if len(published) == _SHA256_DIGITS and published != content.sha256:
        return f"its SHA-256 is {content.sha256}, but the hub's is {published}"
    return None


def _cached(spec: ModelSpec, hub: HubFiles) -> Path | None:
    """Return the snapshot in the hub's cache; None if a file is missing from it.

    The network is not used, so a snapshot that is complete never gets newer.
    """
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = snapshot(spec, hub, offline=True)
    except LocalEntryNotFoundError:
        return None
    return None if missing_files(folder, hub) else folder


def with_revision_of_files(spec: Spec, hub: HubFiles, folder: Path, model_dir: Path | None) -> Spec:
    """Return the model's row with the revision of the files that `model_folder` found.

    If the row names `BRANCH`, the revision becomes the commit of the hub's snapshot. For files in
    `model_dir` it tells of their hash: after the commit that the row names, as in
    `records.revision_of_files`, or as `sha256:` and 40 hex digits. Hashing takes 2 to 5 seconds for
    each gigabyte, once for each file.
    """
    return replace(spec, revision=_revision_of(spec, hub, folder, model_dir))


def graph_file(spec: ModelSpec, model_dir: Path | None) -> Path | None:
    """Return the graph of a model from the hub; None if it is not there, or is packaged."""
    if isinstance(spec.source, PackagedModel):
        return None
    folder = _cached(spec, spec.source) if model_dir is None else _folder_in(model_dir, spec)
    if folder is None or missing_files(folder, spec.source):
        return None
    return folder / spec.source.graph


def identity_without_download(spec: ModelSpec, model_dir: Path | None) -> str:
    """Return the identity that loading a model would give; the name alone if that is not known yet.

    It is not known of a branch that was not downloaded, or whose files `model_dir` lacks.
    """
    is_known = spec.revision != BRANCH and model_dir is None
    if isinstance(spec.source, PackagedModel) or is_known:
        return spec.identity
    if model_dir is None:
        folder = _cached(spec, spec.source)
    else:
        own = _folder_in(model_dir, spec)
        folder = None if missing_files(own, spec.source) else own
    if folder is None:
        return spec.name
    return model_identity(spec.name, _revision_of(spec, spec.source, folder, model_dir))


def _revision_of(spec: ModelSpec, hub: HubFiles, folder: Path, model_dir: Path | None) -> str:
    if model_dir is not None:
        digits = _hash_of_files(folder, hub)
        if spec.revision == BRANCH:
            return f"sha256:{digits[:40]}"
        return revision_of_files(spec.revision, digits)
    # The hub's cache names the folder of a snapshot after its commit.
    return folder.name if spec.revision == BRANCH else spec.revision


def _hash_of_files(folder: Path, hub: HubFiles) -> str:
    total = hashlib.sha256()
    for name in sorted(_names(hub)):
        total.update(bytes.fromhex(content_of(folder / name).sha256))
    return total.hexdigest()


def _folder_in(model_dir: Path, spec: ModelSpec) -> Path:
    return model_dir.expanduser() / (spec.folder or spec.name)


def files_to_download(spec: ModelSpec) -> list[str]:
    """List the files that the hub's cache lacks; `[]` for a model that is not from the hub."""
    if isinstance(spec.source, PackagedModel):
        return []
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return missing_files(snapshot(spec, spec.source, offline=True), spec.source)
    except LocalEntryNotFoundError:
        return [spec.source.graph, *spec.source.others]


def _names(hub: HubFiles) -> tuple[str, ...]:
    return (hub.graph, *hub.others)
