"""Checks everything that a run needs; says what is wrong and what to do about it."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from shelfsight.embedding.local.weights_memory import WeightsInMemory
from shelfsight.errors import SchemaError, SelectionError, ShelfsightError
from shelfsight.models.choice import pair_of
from shelfsight.models.descriptions import describe, widths_of
from shelfsight.models.specs import for_torch
from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection, Database
from shelfsight.settings import Settings
from shelfsight.storage import rights, schema
from shelfsight.storage.calibrations import calibration_in_use
from shelfsight.storage.migrations import version as schema_version
from shelfsight.storage.status import read as read_status
from shelfsight.wiring.database import (
    database_name,
    home,
    open_any_version,
    postgres_catalog,
)
from shelfsight.wiring.embedder import (
    check_model_files,
    files_to_download,
    models_name,
    open_embedder,
    weights_in_memory,
)
from shelfsight.wiring.product_text import text_summary

LOW_DISK = 1_000_000_000
"""Free bytes below which to warn: enough for about 80,000 products of about 12 kB each."""

PGVECTOR_BUGS = (
    ((0, 8, 2), "a parallel build of an HNSW index may write beyond its memory"),
    ((0, 8, 3), "VACUUM may corrupt an HNSW index"),
    ((0, 8, 4), "VACUUM of an HNSW index may fail"),
)
"""Bugs of pgvector; each entry has the version that fixed the bug, and then the bug."""

_MISSING_INDEXES = """
    SELECT "table", "column", "reader",
      CASE WHEN c.relkind = 'p' THEN 'CREATE INDEX' ELSE 'CREATE INDEX CONCURRENTLY' END
    FROM (VALUES ('"ProductImages"', 'ProductVariantId', -1, 'each page of a backfill'),
                 ('"ProductVariants"', 'UserId', 10000, 'each scan with the key of an owner'))
      AS wanted("table", "column", "min_rows", "reader")
    JOIN pg_class AS c ON c.oid = to_regclass("table") AND c.reltuples >= "min_rows"
      AND c.relkind IN ('r', 'm', 'p')
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = "column" AND NOT a.attisdropped
    WHERE NOT EXISTS (
      SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indkey[0] = a.attnum)
"""
"""Select lookup columns of the shop that have no index in a table of at least `min_rows` rows.

Postgres counts the rows of a table that was never analyzed as -1. Views are left out, because they
can have no index.
"""

_MISSING_RIGHTS = """
    SELECT 'USAGE', 'SCHEMA shelfsight' WHERE NOT has_schema_privilege('shelfsight', 'USAGE')
    UNION ALL
    SELECT "right", "name"
    FROM (
      SELECT to_regclass("name"), "name", "is_read"
      FROM (VALUES ('"ProductVariants"', true), ('"ProductImages"', true),
                   ('"Products"', true), ('"ProductEmbeddings"', false)) AS shop("name", "is_read")
      UNION ALL
      SELECT c.oid, format('%I.%I', nspname, relname), relname IN ('SchemaVersion', 'Catalog')
      FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
      WHERE nspname = 'shelfsight' AND relkind = 'r'
    ) AS t("table", "name", "is_read")
    CROSS JOIN (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) AS r("right")
    WHERE ("right" = 'SELECT' OR NOT "is_read") AND NOT has_table_privilege("table", "right")
    UNION ALL
    SELECT 'EXECUTE', 'FUNCTION ' || p.oid::regprocedure
    FROM pg_proc AS p JOIN pg_class AS t
      ON t.relnamespace = p.pronamespace AND t.relname = p.proname
    WHERE p.pronamespace = to_regnamespace('shelfsight') AND t.relkind = 'v'
      AND NOT has_function_privilege(p.oid, 'EXECUTE')
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check. Unless the verdict is `ok`, `advice` says what to do."""

    subject: str
    verdict: Literal["ok", "warning", "wrong"]
    what: str
    advice: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """Check database, pgvector, tables, rights, models or embedding server, and disk."""
    try:
        with open_any_version(settings) as database:
            yield from examine_database(database, settings)
    except ShelfsightError as error:
        yield Finding(subject="database", verdict="wrong", what=str(error))
    models = _check_models(settings)
    yield models
    if models.verdict == "ok" and (weights := weights_in_memory(settings)) is not None:
        yield _memory_of_models(weights)
    if settings.database_url is None:
        yield _check_disk(home(settings))


def examine_database(database: Database, settings: Settings) -> Iterator[Finding]:
    """Check the database, pgvector, the tables, and what this role may do with them."""
    version = database.run(partial(_fetch_text, query="SHOW server_version"), read_only=True)
    where = database_name(settings)
    yield Finding(subject="database", verdict="ok", what=f"PostgreSQL {version}, {where}")
    yield database.run(_check_pgvector, read_only=True)
    tables = database.run(_check_tables, read_only=True)
    yield tables
    if tables.verdict == "wrong":
        return
    found = database.run(_check_rights, read_only=True)
    yield found
    yield database.run(_check_access, read_only=True)
    if found.verdict == "ok":
        catalog = _check_catalog(database, settings)
        yield catalog
        if catalog.verdict == "wrong":
            return
    stored = read_status(database)
    made_by = ", ".join(stored.models) or "nothing is embedded yet"
    what = f"{stored.total} products embedded ({made_by})"
    yield Finding(subject="embeddings", verdict="ok", what=what)
    if found.verdict == "ok" and stored.total:
        yield _check_calibration(database)


def _check_pgvector(connection: Connection) -> Finding:
    subject = "pgvector"
    version = _fetch_text(
        connection, "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
    )
    if version is None:
        what, advice = "the extension vector is not there", "run: shelfsight init"
        return Finding(subject=subject, verdict="wrong", what=what, advice=advice)
    number = tuple(int(part) for part in version.split("."))
    bugs = [bug for fixed, bug in PGVECTOR_BUGS if number < fixed]
    if bugs:
        what = f"{version}: {'; '.join(bugs)}"
        advice = "update pgvector to 0.8.4 or newer, then: ALTER EXTENSION vector UPDATE"
        return Finding(subject=subject, verdict="warning", what=what, advice=advice)
    return Finding(subject=subject, verdict="ok", what=version)


def _check_tables(connection: Connection) -> Finding:
    subject = "tables"
    try:
        if schema_version.is_readable(connection):  # otherwise `_check_rights` says so
            schema_version.check(connection)
        schema.check(connection)
    except SchemaError as error:
        return Finding(subject=subject, verdict="wrong", what=str(error))
    if unindexed := connection.execute(_MISSING_INDEXES).fetchall():
        what = "; ".join(
            f'{table} has no index on "{column}": {reader} reads all of it'
            for table, column, reader, _ in unindexed
        )
        advice = "; ".join(
            f'{create} ON {table} ("{column}")' for table, column, _, create in unindexed
        )
        return Finding(subject=subject, verdict="warning", what=what, advice=advice)
    return Finding(subject=subject, verdict="ok", what="all there, vectors of the right dimensions")


def _check_rights(connection: Connection) -> Finding:
    missing = [
        f"{right} ON {table}" for right, table in connection.execute(_MISSING_RIGHTS).fetchall()
    ]
    if not missing:
        return Finding(subject="rights", verdict="ok", what="may read the shop and write vectors")
    role = _fetch_text(connection, "SELECT current_user")
    advice = "; ".join(f"GRANT {right} TO {role}" for right in missing)
    what = f"the role {role} lacks {', '.join(missing)}"
    return Finding(subject="rights", verdict="wrong", what=what, advice=advice)


def _check_access(connection: Connection) -> Finding:
    """Check that other roles cannot use our tables, and that this role sees the vectors."""
    subject = "access"
    if rights.are_vectors_hidden(connection):
        role = _fetch_text(connection, "SELECT current_user")
        what = f'row-level security hides all of "ProductEmbeddings" from the role {role}'
        advice = f'CREATE POLICY shelfsight ON "ProductEmbeddings" TO {role} USING (true)'
        return Finding(subject=subject, verdict="wrong", what=what, advice=advice)
    if found := rights.open_tables(connection):
        what = "; ".join(what for what, _ in found)
        advice = "; ".join(cure for _, cure in found)
        return Finding(subject=subject, verdict="warning", what=what, advice=advice)
    return Finding(subject=subject, verdict="ok", what="no other role may change our tables")


def _check_catalog(database: Database, settings: Settings) -> Finding:
    subject = "catalogue"
    catalog = postgres_catalog(settings, database)
    try:
        catalog.check()
    except (SchemaError, SelectionError) as error:
        return Finding(subject=subject, verdict="wrong", what=str(error))
    texts = text_summary(settings, catalog.text_fields())
    what = f"products can be read as a backfill does; texts are {texts}"
    return Finding(subject=subject, verdict="ok", what=what)


def _check_calibration(database: Database) -> Finding:
    """Say where the probabilities of matches come from."""
    subject = "calibration"
    advice = "run: shelfsight calibrate, so that matches have a probability and may be high"
    found = calibration_in_use(database)
    if found is None:
        return Finding(subject=subject, verdict="ok", what="no product has both vectors yet")
    if found.calibration is None:
        return Finding(subject=subject, verdict="warning", what=str(found), advice=advice)
    return Finding(subject=subject, verdict="ok", what=str(found))


def _check_models(settings: Settings) -> Finding:
    subject = "models" if settings.embedding_server_url is None else "embedding server"
    name = models_name(settings)
    try:
        if absent := files_to_download(settings):
            what = f"{name}: {len(absent)} files would be downloaded, such as {absent[0]}"
            advice = "where no hub is reachable: MODEL_DIR, EMBEDDING_SERVER_URL, or --models lite"
            return Finding(subject=subject, verdict="warning", what=what, advice=advice)
        check_model_files(settings)
        with open_embedder(settings, lambda _message: None) as embedder:
            made = embedder.models
    except ShelfsightError as error:
        return Finding(subject=subject, verdict="wrong", what=str(error))
    what = f"{name}: {made.image}, {made.text}"
    if settings.embedding_server_url is None:
        pair = pair_of(settings.chosen_models)
        if settings.backend == "torch":
            pair = replace(pair, image=for_torch(pair.image), text=for_torch(pair.text))
        row = describe(settings.chosen_models, pair)
        widths = f"{widths_of(pair.image)} and {widths_of(pair.text)}"
        what = f"{what}; {widths}; licence {row.licence}; download {row.download}"
        what = f"{what}; good for {row.use}" if row.use else what
    return Finding(subject=subject, verdict="ok", what=what)


def _memory_of_models(weights: WeightsInMemory) -> Finding:
    """Say whether the weights of the models are held in memory, or stay in their files."""
    where = "are held in memory" if weights.fit else "stay in their files, which is slower"
    sizes = f"models need {weights.needed / 1e9:.1f} GB"
    if weights.available is not None:
        sizes = f"{weights.available / 1e9:.1f} GB available, {sizes}"
    return Finding(subject="memory", verdict="ok", what=f"weights {where}: {sizes}")


def _check_disk(home: Path) -> Finding:
    free = shutil.disk_usage(home if home.exists() else home.anchor).free
    what = f"{free / 1e9:.1f} GB free at {home}"
    if free >= LOW_DISK:
        return Finding(subject="disk", verdict="ok", what=what)
    advice = "a product takes about 12 kB; make room, or set SHELFSIGHT_HOME"
    return Finding(subject="disk", verdict="warning", what=what, advice=advice)


def _fetch_text(connection: Connection, query: str) -> str | None:
    row = connection.execute(statements.trusted(query)).fetchone()
    return None if row is None or not row[0] else str(row[0])
