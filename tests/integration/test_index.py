"""Indexes on a real Postgres: built, measured, interrupted, broken, repaired and dropped."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.errors import DatabaseError, SchemaError
from shelfsight.postgres.connection import Connection, Database, columns, copy_rows
from shelfsight.postgres.statements import trusted
from shelfsight.storage import schema
from shelfsight.storage.embeddings_table import VECTOR_COLUMNS
from shelfsight.storage.index import build as index_build
from shelfsight.storage.index import indexes as index
from shelfsight.storage.index import recall as index_recall
from shelfsight.storage.index.deferred_indexes import LARGE, DeferredIndexes, is_large
from shelfsight.storage.search.search_statement import QUERIES as SEARCH
from tests.integration.test_hosted_postgres import GRANTS, make_role
from tests.shop import rows

NAMES = [one.name for one in index.INDEXES]
ROWS = 30


class RecordingObserver:
    """Records what it is told; calls `act` when a build first waits for writers."""

    def __init__(self, act: Callable[[], None] | None = None) -> None:
        self.lines: list[str] = []
        self.progress: list[index_build.BuildProgress] = []
        self._act = act

    def update(self, progress: index_build.BuildProgress) -> None:
        self.progress.append(progress)
        if self._act and progress.phase.startswith("waiting for writers before build"):
            act, self._act = self._act, None
            act()

    def notify(self, message: str) -> None:
        self.lines.append(message)


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def unit_rows(count: int, width: int) -> np.ndarray:
    found = np.random.default_rng(width).standard_normal((count, width), np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def fill(database: Database, count: int, *, copies: int = 1) -> None:
    """Store random vectors, `copies` of each; every tenth row has no picture."""
    table = "CREATE TEMPORARY TABLE given (id text, image vector, text vector) ON COMMIT DROP"
    image, text = unit_rows(count, 768), unit_rows(count, 1024)

    def work(connection: Connection) -> None:
        connection.execute(table)
        copy_rows(
            connection,
            trusted("COPY given FROM STDIN (FORMAT BINARY)"),
            ("text", "vector", "vector"),
            (
                (f"{n + 1:032x}", image[n // copies] if n % 10 else None, text[n // copies])
                for n in range(count)
            ),
        )
        connection.execute('INSERT INTO "ProductVariants" ("Id") SELECT id::uuid FROM given')
        connection.execute(
            'INSERT INTO "ProductEmbeddings" ("ProductVariantId", "ImageEmbedding",'
            ' "TextEmbedding", "CombinedEmbedding", "ProductText", "SourceHash")'
            " SELECT id::uuid, image, text, coalesce(image, subvector(text, 1, 768)),"
            " 'product ' || id, 'given' FROM given"
        )

    database.run(work)


def states(database: Database) -> dict[str, str]:
    return {one.index.name: one.state for one in index.read(database)}


def built(database: Database) -> RecordingObserver:
    heard = RecordingObserver()
    index_build.build(database, heard)
    return heard


@contextmanager
def writing(database: Database) -> Iterator[psycopg.Connection]:
    """Open a transaction that has written to the table and stays open."""
    with psycopg.connect(database.url) as connection:
        connection.execute('UPDATE "ProductEmbeddings" SET "SourceType" = NULL')
        yield connection
        connection.rollback()


def test_missing_indexes_are_built_once_and_have_a_high_recall(
    database: Database,
) -> None:
    fill(database, 1_000)
    assert set(states(database).values()) == {"missing"}
    heard = RecordingObserver()
    assert index_build.build(database, heard) == NAMES
    assert heard.lines[0].startswith("1000 products are searched fast without indexes")
    assert [line.split(" in ")[0] for line in heard.lines[1:]] == [f"Built {n}" for n in NAMES]
    assert {one.name for one in heard.progress} <= set(NAMES)
    assert index_build.build(database, heard) == []
    found = index.read(database)
    assert [(one.state, one.rows) for one in found] == [
        ("valid", 900),
        *[("valid", 1_000)] * 3,
    ]
    assert min(one.size for one in found) > 8_192
    assert min(index_recall.measure(database, one)[0].value for one in found[:3]) >= 0.95
    head, *measured = index_recall.tune(database)
    assert head.startswith("Recall@10")
    assert [line.split(":")[0].strip() for line in measured] == NAMES[:3]


def test_a_search_uses_the_ef_search_that_the_build_has_measured(database: Database) -> None:
    fill(database, 6_000)
    statement = SEARCH["indexes"]
    poor = (
        'CREATE INDEX shelfsight_image_hnsw ON "ProductEmbeddings" USING hnsw'
        ' (("ImageEmbedding"::halfvec(768)) halfvec_cosine_ops) WITH (m = 4, ef_construction = 8)'
        ' WHERE "SourceHash" IS NOT NULL'
    )
    database.run(lambda c: c.execute(trusted(poor)))
    database.run_alone(lambda c: c.execute("ANALYZE"), {})
    assert database.ask((statement, {})) == [(6_000, {NAMES[0]: None})]
    measured = index_recall.measure(database, index.read(database)[0])
    assert [one.ef_search for one in measured] == list(index_recall.EF_SEARCH)
    assert measured[0].value < measured[-1].value < index_recall.WANTED_RECALL
    (_, line) = index_recall.tune(database)
    assert line.endswith(" with hnsw.ef_search 800")
    assert database.ask((statement, {})) == [(6_000, {NAMES[0]: 800})]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=4))
def test_the_least_ef_search_with_enough_recall_is_chosen(values: list[float]) -> None:
    measured = [
        index_recall.Recall(ef_search, value)
        for ef_search, value in zip(index_recall.EF_SEARCH, values, strict=False)
    ]
    chosen = index_recall.choose(measured)
    better = [one for one in measured if one.value >= index_recall.WANTED_RECALL]
    assert chosen.value >= min(max(values), index_recall.WANTED_RECALL)
    assert all(chosen.ef_search <= one.ef_search for one in better)


def test_recall_lets_products_with_the_same_picture_stand_for_each_other(
    database: Database,
) -> None:
    fill(database, 300, copies=10)
    built(database)
    image = index.read(database)[0]
    assert {one.value for one in index_recall.measure(database, image)} == {1.0}


def test_ten_rows_have_no_recall_at_ten_and_no_rows_have_no_time(
    database: Database,
) -> None:
    built(database)
    assert list(index_recall.tune(database)) == []
    assert [index_recall.exact_milliseconds(database, one) for one in index.read(database)] == [
        None
    ] * 4
    fill(database, 10)
    assert list(index_recall.tune(database)) == []
    times = [index_recall.exact_milliseconds(database, one) for one in index.read(database)]
    assert min(time for time in times[:3] if time is not None) > 0
    assert times[3] is None


@pytest.mark.parametrize("kind", ["vector", "halfvec"])
def test_the_searches_of_shelfsight_use_the_indexes(database: Database, kind: str) -> None:
    fill(database, ROWS)
    widths = {one.column: one.width for one in index.INDEXES if one.width}
    for column, width in widths.items():
        change = f'ALTER TABLE "ProductEmbeddings" ALTER "{column}" TYPE {kind}({width})'
        database.run(lambda c, change=change: c.execute(change))
    built(database)
    plain = "SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off"
    queries = [
        f'WHERE e."SourceHash" <> \'\' ORDER BY e."{column}"::halfvec({width})'
        f" <=> array_fill(1, ARRAY[{width}])::halfvec LIMIT 5"
        for column, width in widths.items()
    ]
    words = "to_tsvector('simple', coalesce(e.\"ProductText\", ''))"
    queries.append(
        f"WHERE e.\"SourceHash\" <> '' AND {words} @@ plainto_tsquery('simple', 'product')"
    )

    def plan(connection: Connection, query: str) -> str:
        connection.execute(plain)
        explain = f'EXPLAIN SELECT FROM "ProductEmbeddings" AS e {query}'
        return str(connection.execute(explain).fetchall())

    for name, query in zip(NAMES, queries, strict=True):
        assert name in database.run(lambda c, query=query: plan(c, query))


def test_the_statement_of_the_docs_changes_a_table_to_half_precision_with_its_indexes(
    database: Database,
) -> None:
    """The table has the types of an older release first."""
    upgrades = (Path(__file__).parents[2] / "docs/upgrades.md").read_text()
    (statement,) = re.findall(r"```sql\n(ALTER TABLE[^`]+halfvec[^`]+)```", upgrades)
    assert vector_types(database) == {"halfvec"}
    to_vector = statement.replace("halfvec", "vector").replace("MAIN", "EXTERNAL")
    database.run(lambda c: c.execute(trusted(to_vector)))
    assert vector_types(database) == {"vector"}
    fill(database, ROWS)
    built(database)
    database.run(lambda c: c.execute(trusted(statement)))
    assert vector_types(database) == {"halfvec"}
    assert [one.state for one in index.read(database)] == ["valid"] * len(NAMES)


def vector_types(database: Database) -> set[str]:
    found = database.run(lambda c: columns(c, "ProductEmbeddings"))
    return {found[name].partition("(")[0] for name in VECTOR_COLUMNS}


def test_an_index_left_by_a_broken_build_is_reported_and_built_again(
    database: Database,
) -> None:
    fill(database, ROWS)
    built(database)
    database.run(
        lambda c: c.execute(
            "UPDATE pg_index SET indisvalid = false"
            " WHERE indexrelid = 'shelfsight_text_hnsw'::regclass"
        )
    )
    found = index.read(database)
    assert [one.state for one in found] == ["valid", "invalid", "valid", "valid"]
    assert "shelfsight_text_hnsw" in index.advice(found)
    heard = RecordingObserver()
    assert index_build.build(database, heard) == ["shelfsight_text_hnsw"]
    assert "shelfsight_text_hnsw: dropping what an unfinished build left" in heard.lines
    assert set(states(database).values()) == {"valid"}


def test_ctrl_c_ends_a_build_and_drops_the_unfinished_index(database: Database) -> None:
    fill(database, ROWS)
    with writing(database) as writer:

        class Interrupted(RecordingObserver):
            def notify(self, message: str) -> None:
                super().notify(message)
                if "is not built" in message:
                    writer.rollback()

        heard = Interrupted(press_ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            index_build.build(database, heard)
    assert heard.lines[1:] == [
        "shelfsight_image_hnsw is not built; go on with: shelfsight index build",
        "shelfsight_image_hnsw: dropping what an unfinished build left",
    ]
    assert "(process " in heard.progress[-1].phase
    assert set(states(database).values()) == {"missing"}


def test_an_unfinished_index_that_stays_after_ctrl_c_is_dropped_by_the_next_build(
    database: Database,
) -> None:
    fill(database, ROWS)
    heard = RecordingObserver(press_ctrl_c)
    with writing(database), pytest.raises(KeyboardInterrupt):
        index_build.build(database, heard)
    assert "the next build does it" in heard.lines[-1]
    assert states(database)["shelfsight_image_hnsw"] == "invalid"
    built(database)
    assert set(states(database).values()) == {"valid"}


def test_a_second_build_at_the_same_time_is_refused(database: Database) -> None:
    fill(database, ROWS)
    refused: list[str] = []
    with writing(database) as writer:

        def build_too() -> None:
            try:
                with closing(Database(database.url)) as other:
                    index_build.build(other, RecordingObserver())
            except DatabaseError as error:
                refused.append(str(error))
            finally:
                writer.rollback()

        assert index_build.build(database, RecordingObserver(build_too)) == NAMES
    assert refused == ["shelfsight_image_hnsw is being built already; see: shelfsight index status"]


def test_a_build_that_the_server_stops_leaves_no_unfinished_index(database: Database) -> None:
    fill(database, ROWS)
    with writing(database) as writer:

        def cancel() -> None:
            rows(
                database_of_its_own,
                "SELECT pg_cancel_backend(pid) FROM pg_stat_progress_create_index"
                " WHERE datname = current_database()",
            )
            writer.rollback()

        with (
            closing(Database(database.url)) as database_of_its_own,
            pytest.raises(DatabaseError, match="stopped a query"),
        ):
            index_build.build(database, RecordingObserver(cancel))
    assert set(states(database).values()) == {"missing"}


def test_only_our_indexes_are_dropped(database: Database) -> None:
    fill(database, ROWS)
    built(database)
    database.run(lambda c: c.execute('CREATE INDEX mine ON "ProductEmbeddings" ("SourceType")'))
    assert index.drop(database) == NAMES
    assert index.drop(database) == []
    assert set(states(database).values()) == {"missing"}
    assert rows(database, "SELECT count(*) FROM pg_class WHERE relname = 'mine'") == [(1,)]


def test_a_role_that_does_not_own_the_table_is_told_the_owner(database: Database) -> None:
    built(database)
    role = make_role(database, "no_owner", *GRANTS)
    with closing(Database(role)) as limited:
        for work in (index.drop, built):
            with pytest.raises(DatabaseError, match=r"not own .* as postgres"):
                work(limited)
        assert set(states(limited).values()) == {"valid"}


def test_a_table_that_cannot_have_these_indexes_is_named(url: str) -> None:
    with closing(Database(url)) as database:
        with pytest.raises(SchemaError, match="shelfsight init"):
            built(database)
        schema.create(database)
        for change in (
            'ALTER TABLE "ProductEmbeddings" RENAME TO base',
            'CREATE VIEW "ProductEmbeddings" AS SELECT * FROM base',
        ):
            database.run(lambda c, change=change: c.execute(change))
        with pytest.raises(SchemaError, match="no plain table"):
            built(database)


def test_a_build_gets_memory_for_its_graph_and_never_less_than_the_server_setting(
    database: Database,
) -> None:
    (image, *_, words) = index.read(database)

    def memory(one: index.IndexState, rows: int) -> int:
        sized = partial(index_build.build_settings, replace(one, rows=rows))
        ask = "SELECT pg_size_bytes(current_setting('maintenance_work_mem')) >> 20"
        settings = database.run(sized, read_only=True)
        return int(database.run_alone(lambda c: c.execute(ask).fetchall(), settings)[0][0])

    assert memory(image, 10) == memory(words, 10) == 64
    assert 200 < memory(image, 100_000) < 300


def test_session_settings_are_added_to_those_in_the_url(url: str) -> None:
    def shown(connection: Connection) -> list[str]:
        names = ("statement_timeout", "lock_timeout", "work_mem")
        return [connection.execute(f"SHOW {name}").fetchall()[0][0] for name in names]

    with closing(Database(f"{url}&options=-c%20work_mem%3D7MB")) as database:
        given = {"statement_timeout": "61s", "lock_timeout": "62s"}
        assert database.run_alone(shown, given) == ["61s", "62s", "7MB"]
        assert database.run_alone(shown, {}) == ["0", "0", "7MB"]


def test_a_deferred_load_runs_without_indexes_and_restores_them_afterwards(
    database: Database,
) -> None:
    fill(database, ROWS)
    built(database)
    kept = [name for name in NAMES if name != "shelfsight_words"]
    database.run_alone(lambda c: c.execute("DROP INDEX shelfsight_words"), {})
    heard = RecordingObserver()
    with DeferredIndexes(database, kept, heard):
        assert set(states(database).values()) == {"missing"}
    assert states(database) == dict.fromkeys(kept, "valid") | {"shelfsight_words": "missing"}
    assert "run: shelfsight index build" in heard.lines[0]
    assert heard.lines[-1].startswith("  shelfsight_combined_hnsw: ")


def test_a_failed_deferred_load_restores_the_indexes_and_raises_its_own_error(
    database: Database,
) -> None:
    fill(database, ROWS)
    built(database)
    with (
        pytest.raises(SchemaError, match="the load"),
        DeferredIndexes(database, NAMES, RecordingObserver()),
    ):
        raise SchemaError("the load")
    assert set(states(database).values()) == {"valid"}


def test_a_deferred_load_stopped_at_once_reports_the_missing_indexes(
    database: Database,
) -> None:
    built(database)
    heard = RecordingObserver()
    with pytest.raises(KeyboardInterrupt), DeferredIndexes(database, NAMES, heard):
        raise KeyboardInterrupt
    assert heard.lines[-1] == "The indexes are not built again; run: shelfsight index build"
    assert set(states(database).values()) == {"missing"}


def test_a_deferred_load_whose_indexes_cannot_be_built_again_fails(
    database: Database,
) -> None:
    built(database)
    heard = RecordingObserver()
    with (
        pytest.raises(SchemaError, match="shelfsight init"),
        DeferredIndexes(database, NAMES, heard),
    ):
        database.run(lambda c: c.execute('DROP TABLE "ProductEmbeddings"'))
    assert heard.lines[-1].startswith("The indexes are not built again: the database is not")


@given(products=st.integers(0, 10**7), stored=st.integers(0, 10**8))
def test_a_load_is_large_if_it_is_many_products_and_a_big_share_of_the_shop(
    products: int, stored: int
) -> None:
    assert is_large(products, stored) == (products > LARGE and 5 * products > stored)


def test_an_old_pgvector_is_refused_before_anything_is_built_and_scans_go_on(
    database: Database,
) -> None:
    """Only the version that the catalogue names is old here: that is all that may decide."""
    fill(database, ROWS)
    index_build.build(database, RecordingObserver(), [NAMES[0]])
    old = "UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'"
    database.run(lambda connection: connection.execute(old))

    with pytest.raises(SchemaError, match=r"older than 0\.8"):
        index_build.build(database, RecordingObserver())

    assert [one.state for one in index.read(database)].count("valid") == 1
    search = SEARCH["indexes"]
    ((_, names),) = database.run(lambda connection: connection.execute(search).fetchall())
    assert names == {}
