"""Chooses how the catalogue is read: the shop's own tables, or views that a preset defines."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from psycopg.rows import class_row

from shelfsight.catalog import column_memory
from shelfsight.catalog.views import preset as presets
from shelfsight.catalog.views import views
from shelfsight.catalog.views.columns import QUERIES
from shelfsight.catalog.views.preset import Preset
from shelfsight.catalog.views.unknown_shop import refuse_other_shop, settings
from shelfsight.postgres.connection import Connection, Database, columns
from shelfsight.postgres.statements import trusted
from shelfsight.records import CatalogChoice
from shelfsight.scan.matching import Filters
from shelfsight.storage import catalog_record, schema
from shelfsight.storage.catalog_record import CatalogRecord, WatchedTable
from shelfsight.storage.changes import base_triggers, triggers
from shelfsight.storage.migrations.apply import Notify
from shelfsight.storage.search.filters import FilterSql

_Values = Callable[[Connection], dict[str, str]]
"""Returns the value of each option of a preset."""

SAMPLE_SIZE = 3
"""How many products `shelfsight catalog` shows."""


class SampleProduct(NamedTuple):
    """A product as the catalogue gives it."""

    id: str
    title: str | None
    image_url: str | None


class _Counts(NamedTuple):
    products: int
    pictures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogReport:
    """What is read: the preset and its options, counts, and some products.

    `preset` is None if the shop's own tables are read as they are, or views that it has made.
    """

    preset: str | None
    version: str
    options: Mapping[str, str]
    products: int
    pictures: int
    sample: tuple[SampleProduct, ...]


def prepare(
    database: Database,
    choice: CatalogChoice | None = None,
    *,
    new_shop: bool = False,
    wait: Notify | None = None,
) -> list[str]:
    """Create what is missing so that the chosen catalogue can be read; see `Shop.init`.

    Returns:
        What was done, as lines for people.

    Raises:
        PresetError: the preset does not fit.
        NoCatalogError: the database holds a shop under other names, and there is no choice.
        SchemaError, DatabaseError: as in `schema.create`.
    """
    record = database.run(catalog_record.read, read_only=True)
    if choice is None and record is not None and record.preset in presets.shipped():
        choice = CatalogChoice(name=record.preset)
    if choice is None:
        if not new_shop:
            database.run(refuse_other_shop, read_only=True)
        return schema.create(database, wait)
    preset = presets.load(choice.name)
    before = record.options if record is not None and record.preset == preset.name else {}
    values = partial(preset.values, given=choice.options, before=before)
    done = schema.create(database, wait, partial(_create_views, preset, values))
    chosen = database.run(partial(_record_of, preset, values), read_only=True)
    if record is None or record.preset != preset.name:
        database.run(column_memory.forget)  # other columns are read from now on
    if done or chosen != record:
        done += _adopt(database, preset, chosen)
    return done


def statements(database: Database, choice: CatalogChoice) -> list[str]:
    """Return the SQL statements with which a choice is set up, and execute none.

    Raises:
        PresetError: the preset does not fit.
    """
    preset = presets.load(choice.name)

    def work(connection: Connection) -> list[str]:
        values = preset.values(connection, choice.options)
        return views.statements(connection, preset, values)

    return database.run(work, read_only=True)


def set_triggers(database: Database, *, wanted: bool) -> list[str]:
    """Create or drop the triggers on the tables that are read, or on those behind the views.

    Returns what was done, as lines for people.

    Raises:
        DatabaseError: the role lacks a privilege, or another transaction keeps a table locked.
        SchemaError: the catalogue is read through views that no preset made.
    """
    record = database.run(catalog_record.read, read_only=True)
    if not wanted:
        dropped = [f"dropped {name}" for name in triggers.drop(database)]
        return dropped + base_triggers.drop(database)
    if record is None:
        return [f"created {name}" for name in triggers.create(database)]
    return base_triggers.create(database, record.changes)


def report(database: Database) -> CatalogReport:
    """Return what is read.

    Raises:
        SchemaError: the catalogue cannot be read.
    """
    return database.run(_report, read_only=True)


def _create_views(preset: Preset, values: _Values, connection: Connection) -> list[str]:
    return views.create(connection, preset, {} if preset.reads_tables else values(connection))


def _record_of(preset: Preset, values: _Values, connection: Connection) -> CatalogRecord | None:
    if preset.reads_tables:
        return None
    options = values(connection)
    changes = [WatchedTable(*change) for change in preset.changes(connection, options)]
    return CatalogRecord(preset.name, preset.about[0], options, changes)


def _adopt(database: Database, preset: Preset, chosen: CatalogRecord | None) -> list[str]:
    """Record what is read from now on, and fit the queue and its triggers to it.

    Triggers go first: with ids of another type, they would make statements of the shop fail.
    """
    had_triggers = bool(database.run(base_triggers.existing, read_only=True))
    done = base_triggers.drop(database)
    if chosen is not None:
        database.run(triggers.drop_from_tables)
    done += database.run(partial(_record, preset, chosen))
    if had_triggers and chosen is not None:
        done += base_triggers.create(database, chosen.changes)
    return done


def _record(preset: Preset, chosen: CatalogRecord | None, connection: Connection) -> list[str]:
    done = catalog_record.fit_ids(connection)
    if chosen is None:
        catalog_record.forget(connection)
        return done
    catalog_record.write(connection, chosen)
    done.append(f"reads {chosen.version}, by {preset.name}{settings(chosen.options)}")
    return done + views.advice(connection, preset, chosen.options)


def _report(connection: Connection) -> CatalogReport:
    found = columns(connection, "ProductVariants")
    in_shop = FilterSql(Filters(), partial(columns, connection)).condition
    record = catalog_record.read(connection)
    cursor = connection.cursor(row_factory=class_row(_Counts))
    (counts,) = cursor.execute(QUERIES["counts"].format(in_shop=in_shop)).fetchall()
    has_position = "Position" in columns(connection, "ProductImages")
    sample = QUERIES["sample"].format(
        in_shop=in_shop,
        title=trusted('v."Title"' if "Title" in found else "NULL"),
        is_other=trusted(
            'i."Id"::text IS DISTINCT FROM v."ImageId"::text'
            if "ImageId" in found
            else "NULL::bool"
        ),
        position=trusted('i."Position"' if has_position else "NULL::int"),
    )
    shown = connection.cursor(row_factory=class_row(SampleProduct))
    return CatalogReport(
        preset=record.preset if record else None,
        version=record.version if record else presets.load("sssync").about[0],
        options=record.options if record else {},
        products=counts.products,
        pictures=counts.pictures,
        sample=tuple(shown.execute(sample, {"limit": SAMPLE_SIZE}).fetchall()),
    )
