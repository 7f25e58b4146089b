"""Chooses how the catalogue is read: the shop's own tables, or views that a preset defines."""

from collections.abc import Mapping
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
    given = dict(choice.options)
    if record is not None and record.preset == preset.name:
        given = {**record.options, **given}
    create_views = partial(_create_views, preset, given)
    done = schema.create(database, wait, create_views)
    if record is None or record.preset != preset.name:
        database.run(column_memory.forget)  # other columns are read from now on
    done += database.run(partial(_record, preset, given))
    return done + (_follow(database, record) if done else [])


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


def _create_views(preset: Preset, given: Mapping[str, str], connection: Connection) -> list[str]:
    values = {} if preset.reads_tables else preset.values(connection, given)
    return views.create(connection, preset, values)


def _record(preset: Preset, given: Mapping[str, str], connection: Connection) -> list[str]:
    """Record the preset, and fit our tables to its ids."""
    done = catalog_record.fit_ids(connection)
    if preset.reads_tables:
        catalog_record.forget(connection)
        return done
    triggers.drop_from_tables(connection)
    values = preset.values(connection, given)
    changes = [WatchedTable(*change) for change in preset.changes(connection, values)]
    record = CatalogRecord(preset.name, preset.about[0], values, changes)
    if catalog_record.read(connection) != record:
        catalog_record.write(connection, record)
        done.append(f"reads {record.version}, by {preset.name}{settings(values)}")
        done += views.advice(connection, preset, values)
    return done


def _follow(database: Database, before: CatalogRecord | None) -> list[str]:
    """Give the triggers that there are to the tables of the catalogue that is read now."""
    record = database.run(catalog_record.read, read_only=True)
    existing = database.run(base_triggers.existing, read_only=True)
    if not existing or (before and record and before.changes == record.changes):
        return []
    done = base_triggers.drop(database)
    return done + (base_triggers.create(database, record.changes) if record else [])


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
