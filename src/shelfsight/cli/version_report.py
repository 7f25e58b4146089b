"""The sets of vectors in the database: in use, staged, previous; for `shelfsight models`."""

from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime

from shelfsight.embedding.local.hub import identity_without_download
from shelfsight.models.choice import pair_of
from shelfsight.models.specs import for_torch
from shelfsight.postgres.connection import Database
from shelfsight.records import ModelPair, Selection, model_name, stored_identities
from shelfsight.settings import Settings
from shelfsight.storage.versions import vector_versions
from shelfsight.wiring.database import postgres_catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorVersion:
    """One set of vectors: the models that made it, and how many products are due in it.

    `lost` counts the products of the staged set that have a vector in use, but failed in the staged
    set. `since` is when the previous set was replaced.
    """

    made: tuple[vector_versions.ModelCount, ...]
    due: int
    lost: int = 0
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorVersions:
    """All sets of vectors in the database.

    `configured` are the models in the settings, or None if an embedding server has the models.
    """

    in_use: VectorVersion
    staged: VectorVersion | None
    previous: VectorVersion | None
    configured: ModelPair | None

    @property
    def replaced(self) -> tuple[vector_versions.ModelCount, ...]:
        """The vectors in use that a run with the configured models would replace."""
        ours = self.configured
        if ours is None:
            return ()
        return tuple(
            one
            for one in self.in_use.made
            if one.model is not None and not _may_be(one.model, getattr(ours, one.kind))
        )


def read_versions(settings: Settings, database: Database) -> VectorVersions:
    """Read which sets of vectors exist, and how complete each set is.

    Raises:
        SchemaError: `shelfsight init` was not run.
    """
    schemas = vector_versions.existing_schemas(database)
    staged = previous = None
    if vector_versions.STAGED_SCHEMA in schemas:
        with closing(vector_versions.open_staged(database)) as new:
            lost = vector_versions.count_lost(database)
            staged = replace(_read(settings, new), lost=lost)
    if vector_versions.PREVIOUS_SCHEMA in schemas:
        with closing(vector_versions.open_previous(database)) as old:
            since = vector_versions.switched_at(database)
            previous = replace(_read(settings, old), since=since)
    return VectorVersions(
        in_use=_read(settings, database),
        staged=staged,
        previous=previous,
        configured=_configured(settings),
    )


def count_all_due(settings: Settings, database: Database) -> int:
    """Count the products that are due in the set of vectors that this database reads."""
    return postgres_catalog(settings, database).due(Selection()).products


def _read(settings: Settings, database: Database) -> VectorVersion:
    return VectorVersion(
        made=vector_versions.count_by_model(database), due=count_all_due(settings, database)
    )


def _configured(settings: Settings) -> ModelPair | None:
    """Return the models that a run in this process would load; None with an embedding server."""
    if settings.embedding_server_url is not None:
        return None
    pair = pair_of(settings.chosen_models)
    image, text = pair.image, pair.text
    if settings.backend == "torch":
        image, text = for_torch(image), for_torch(text)
    return ModelPair(
        image=identity_without_download(image, settings.model_dir),
        text=identity_without_download(text, settings.model_dir),
    )


def _may_be(stored: str, configured: str) -> bool:
    """Return whether the configured model may be the one that made the stored vectors.

    Before a model is downloaded its commit is not known: then only the names are compared.
    """
    if model_name(configured) == configured:
        return model_name(stored) == configured
    return stored in stored_identities(configured)
