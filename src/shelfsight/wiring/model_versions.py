"""Whose vectors there are: those in use, those built beside them, those kept from before."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from shelfsight.errors import ModelError
from shelfsight.postgres.connection import Database
from shelfsight.records import Due, ModelPair, Selection
from shelfsight.settings import Settings
from shelfsight.wiring.database import catalog

if TYPE_CHECKING:
    from shelfsight.storage.versions.vector_versions import ModelCount

Notify = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorVersion:
    """Vectors by which models, and how many products are due in it.

    `lost` products failed beside, and have a vector in use that they lack there. `since` is when
    what is kept from before was replaced.
    """

    made: "tuple[ModelCount, ...]"
    due: int
    lost: int = 0
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorVersions:
    """What there is. `configured` are the models of the settings; None with a server."""

    in_use: VectorVersion
    staged: VectorVersion | None
    previous: VectorVersion | None
    configured: ModelPair | None

    @property
    def replaced(self) -> "tuple[ModelCount, ...]":
        """The vectors in use that the configured models would replace."""
        ours = self.configured
        if ours is None:
            return ()
        return tuple(
            one for one in self.in_use.made if one.model not in (None, getattr(ours, one.kind))
        )


def read_models(settings: Settings, database: Database) -> VectorVersions:
    """What is in use, beside, and kept.

    Raises:
        SchemaError: `shelfsight init` has not run.
    """
    from shelfsight.storage.versions import vector_versions

    found = vector_versions.existing_schemas(database)
    staged = previous = None
    if vector_versions.STAGED_SCHEMA in found:
        with closing(vector_versions.open_staged(database)) as new:
            staged = replace(_read(settings, new), lost=vector_versions.count_lost(database))
    if vector_versions.PREVIOUS_SCHEMA in found:
        with closing(vector_versions.open_previous(database)) as old:
            previous = replace(_read(settings, old), since=vector_versions.switched_at(database))
    return VectorVersions(
        in_use=_read(settings, database),
        staged=staged,
        previous=previous,
        configured=_configured(settings),
    )


def _read(settings: Settings, database: Database) -> VectorVersion:
    from shelfsight.storage.versions.vector_versions import count_by_model

    return VectorVersion(made=count_by_model(database), due=_due(settings, database))


def _due(settings: Settings, database: Database) -> int:
    return catalog(settings, database).due(Selection()).products


def _configured(settings: Settings) -> ModelPair | None:
    """The models that a run in this process would have, without loading them."""
    from shelfsight.embedding.model_specs import PAIRS, for_torch

    if settings.embedding_server_url is not None:
        return None
    image, text = PAIRS[settings.models]
    if settings.backend == "torch":
        image, text = for_torch(image), for_torch(text)
    return ModelPair(image=f"{image.name}@{image.revision}", text=f"{text.name}@{text.revision}")


def switch_models(
    settings: Settings, database: Database, notify: Notify, *, incomplete: bool
) -> None:
    """Put what is built beside in the place of what is in use, which is kept.

    Raises:
        ModelError: products are due or lost beside, and not `incomplete`.
        SchemaError: nothing is built beside, or what was before is still kept.
        DatabaseError: the role may not, or another transaction is in the way.
    """
    from shelfsight.storage.index.build import BuildLogger
    from shelfsight.storage.versions import switch as generation_switch
    from shelfsight.storage.versions import vector_versions

    with closing(vector_versions.open_staged(database)) as new:
        due = _due(settings, new)
    lost = vector_versions.count_lost(database)
    if (due or lost) and not incomplete:
        raise ModelError(
            f"{due} products are due in the staged set, and {lost} failed there that have a vector"
            " in use; go on with shelfsight backfill --staged --all, or switch all the same:"
            " --incomplete"
        )
    _notify_pointing(generation_switch.switch(database, BuildLogger(notify)), notify)
    notify("Switched. Undo: shelfsight models --rollback; drop the old: shelfsight models --forget")
    notify("A server of scans that has the old models answers 503 now: start it with the new ones")
    if left := _due(settings, database):
        notify(f"{left} products are due: shelfsight backfill --all")


def roll_back_models(settings: Settings, database: Database, notify: Notify) -> None:
    """Put what was before back in use; what was in use is beside again.

    Raises:
        SchemaError: nothing is kept, or other vectors are being built beside.
        DatabaseError: the role may not, or another transaction is in the way.
    """
    from shelfsight.storage.versions import switch as generation_switch

    _notify_pointing(generation_switch.roll_back(database), notify)
    notify("Rolled back: what was in use is staged again (shelfsight models --switch)")
    if left := _due(settings, database):
        notify(f"{left} products have changed since and are due: shelfsight backfill --all")


def forget_models(database: Database) -> None:
    """Drop what is kept from before.

    Raises:
        SchemaError: nothing is, or something else depends on it.
    """
    from shelfsight.storage.versions import vector_versions

    vector_versions.drop_previous(database)


def discard_models(database: Database) -> None:
    """Drop what is built beside.

    Raises:
        SchemaError: nothing is, or something else depends on it.
    """
    from shelfsight.storage.versions import vector_versions

    vector_versions.drop_staged(database)


@contextmanager
def vector_version(database: Database, *, staged: bool) -> Iterator[Database]:
    """The database as it is, or with the vectors beside in the place of those in use."""
    from shelfsight.storage.versions.vector_versions import STAGED_SCHEMA

    if not staged:
        yield database
        return
    with closing(Database(database.url, schema=STAGED_SCHEMA)) as new:
        yield new


def prepare_staged(database: Database, models: ModelPair) -> None:
    """See that vectors of these models can be built where the database puts them.

    Raises:
        ModelError: they are in use already, or others have begun to be built beside.
        DatabaseError: the role may not; says what to ask for.
    """
    from shelfsight.storage.versions.vector_versions import prepare_staged as prepare

    if database.schema is not None:
        with closing(Database(database.url)) as in_use:
            prepare(in_use, models).close()


def count_due(settings: Settings, database: Database, selection: Selection) -> Due:
    """How many products are due: beside those in use all, as long as nothing is there."""
    from shelfsight.storage.versions.vector_versions import existing_schemas

    with closing(Database(database.url)) as in_use:
        if database.schema in {None, *existing_schemas(in_use)}:
            return catalog(settings, database).due(selection)
        return catalog(settings, in_use).due(replace(selection, skip_existing=False))


def _notify_pointing(names: list[str], notify: Notify) -> None:
    for name in names:
        notify(f"{name} goes on reading the old table: create it again")
