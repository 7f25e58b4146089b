"""Frequent queries are prepared on direct connections to Postgres, and only there."""

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
    """A connection that has prepared a query about a table."""
    database.run(lambda c: c.execute("CREATE TABLE who AS SELECT 1 AS a"))
    with closing(Database(database.url)) as another:
        assert another.ask(WHO, prepare=True) == [(1,)]
        assert kept(another) == [WHO[0].as_string()]
        yield another


def kept(database: Database) -> list[str]:
    return [text for (text,) in rows(database, "SELECT statement FROM pg_prepared_statements")]


def test_only_queries_that_request_it_are_prepared(asked: Database) -> None:
    for _ in range(10):
        asked.ask((sql.SQL("SELECT a + 1 FROM who"), {}))
        rows(asked, "SELECT a + 2 FROM who")
    assert len(kept(asked)) == 1


def test_a_prepared_query_survives_a_change_of_a_column_type(asked: Database) -> None:
    with closing(Database(asked.url)) as other:
        other.run(lambda c: c.execute("ALTER TABLE who ALTER a TYPE text"))
    for _ in range(3):
        assert asked.ask(WHO, prepare=True) == [("1",)]
    assert len(kept(asked)) == 1


def test_a_query_whose_prepared_statement_is_gone_runs_unprepared(asked: Database) -> None:
    """As with a pooler that looks like Postgres and then uses another server connection."""
    asked.run(lambda c: c.execute("DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$"))
    for _ in range(3):
        assert asked.ask(WHO, prepare=True) == [(1,)]
    assert kept(asked) == []


def test_a_failing_query_leaves_nothing_prepared(asked: Database) -> None:
    for _ in range(5):
        with pytest.raises(psycopg.errors.DivisionByZero):
            asked.ask((sql.SQL("SELECT 1 / %(x)s::int FROM who"), {"x": 0}), prepare=True)
    assert kept(asked) == []
    assert asked.ask(WHO, prepare=True) == [(1,)]
    assert len(kept(asked)) == 1


def test_a_new_connection_prepares_again(asked: Database) -> None:
    ((pid,),) = rows(asked, "SELECT pg_backend_pid()")
    with closing(Database(asked.url)) as other:
        rows(other, f"SELECT pg_terminate_backend({pid}, 5000)")
    assert asked.ask(WHO, prepare=True) == [(1,)]
    assert len(kept(asked)) == 1


def test_only_searches_whose_plan_fits_all_values_are_prepared(
    database: Database,
) -> None:
    """A generic plan would be bad for an owner of half the products."""
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
