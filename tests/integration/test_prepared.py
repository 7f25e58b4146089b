"""Plans that Postgres keeps of what is asked often, where it is connected to directly."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import psycopg
import pytest
from psycopg import sql

from shelfsight.postgres.connection import Database
from shelfsight.scan.matching import Filters, SearchQuery
from shelfsight.storage.search.product_search import PostgresProductSearch
from shelfsight.testing import direction
from tests.shop import backfill_all, fill, rows

WHO = sql.SQL("SELECT a FROM who"), {}


@pytest.fixture
def asked(database: Database) -> Iterator[Database]:
    """A connection that has prepared a question about a table."""
    database.run(lambda c: c.execute("CREATE TABLE who AS SELECT 1 AS a"))
    with closing(Database(database.url)) as another:
        assert another.ask(WHO, prepare=True) == [(1,)]
        assert kept(another) == [WHO[0].as_string()]
        yield another


def kept(database: Database) -> list[str]:
    return [text for (text,) in rows(database, "SELECT statement FROM pg_prepared_statements")]


def test_only_what_asks_for_it_is_prepared(asked: Database) -> None:
    for _ in range(10):
        asked.ask((sql.SQL("SELECT a + 1 FROM who"), {}))
        rows(asked, "SELECT a + 2 FROM who")
    assert len(kept(asked)) == 1


def test_a_column_of_another_type_since_is_read_all_the_same(asked: Database) -> None:
    with closing(Database(asked.url)) as other:
        other.run(lambda c: c.execute("ALTER TABLE who ALTER a TYPE text"))
    for _ in range(3):
        assert asked.ask(WHO, prepare=True) == [("1",)]
    assert len(kept(asked)) == 1


def test_a_statement_that_is_gone_is_asked_unprepared(asked: Database) -> None:
    """As with a pooler that passes for Postgres, and then has another connection answer."""
    asked.run(lambda c: c.execute("DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$"))
    for _ in range(3):
        assert asked.ask(WHO, prepare=True) == [(1,)]
    assert kept(asked) == []


def test_what_fails_leaves_nothing_prepared(asked: Database) -> None:
    for _ in range(5):
        with pytest.raises(psycopg.errors.DivisionByZero):
            asked.ask((sql.SQL("SELECT 1 / %(x)s::int FROM who"), {"x": 0}), prepare=True)
    assert kept(asked) == []
    assert asked.ask(WHO, prepare=True) == [(1,)]
    assert len(kept(asked)) == 1


def test_a_connection_after_a_lost_one_prepares_anew(asked: Database) -> None:
    ((pid,),) = rows(asked, "SELECT pg_backend_pid()")
    with closing(Database(asked.url)) as other:
        rows(other, f"SELECT pg_terminate_backend({pid}, 5000)")
    assert asked.ask(WHO, prepare=True) == [(1,)]
    assert len(kept(asked)) == 1


def test_only_a_search_that_is_planned_alike_for_all_values_is_prepared(
    database: Database,
) -> None:
    """A plan for any owner would be a bad one for an owner of half the products."""
    fill(database, 20)
    backfill_all(database)
    text = direction(b"query", 1024)
    search_query = SearchQuery(column="text", vector=text, text=text)
    with closing(Database(database.url)) as another:
        search = PostgresProductSearch(another)
        search.candidates(replace(search_query, words="Product 7"), Filters(), 5)
        search.candidates(search_query, Filters(owner="owner"), 5)
        assert kept(another) == []
        for seed in (b"1", b"2", b"3"):
            vector = direction(seed, 1024)
            search.candidates(SearchQuery(column="text", vector=vector, text=vector), Filters(), 5)
            assert len(kept(another)) == 1
