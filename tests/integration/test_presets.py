"""Options of presets reach the SQL as they were given, and every preset can be loaded."""

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from shelfsight.catalog.views.preset import Preset, load, shipped
from shelfsight.postgres.connection import Connection, Database

VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
NAMES = VALUES.filter(lambda name: name and "." not in name)
OPTIONS = """
VALUES ('value', 'text', '', ''), ('column', 'column', '', ''), ('table', 'table', '', '')"""
ECHO = Preset(
    "echo",
    {
        "options": OPTIONS,
        "ProductVariants": "SELECT {value}, {column}, '{}', '{unknown}' FROM {table}",
    },
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=VALUES, column=NAMES, table=NAMES)
def test_any_value_and_any_name_can_be_given(
    database: Database, value: str, column: str, table: str
) -> None:
    given_options = {"value": value, "column": column, "table": table}

    def undone(connection: Connection) -> list[tuple[object, ...]]:
        found: list[tuple[object, ...]] = []
        with connection.transaction() as transaction:
            create = sql.SQL("CREATE TEMP TABLE {} AS SELECT 7 AS {}")
            connection.execute(create.format(sql.Identifier(table), sql.Identifier(column)))
            options = ECHO.values(connection, given_options)
            select = ECHO.select("ProductVariants", connection, options)
            found = connection.execute(select.encode()).fetchall()
            raise psycopg.Rollback(transaction)
        return found

    assert database.run(undone) == [(value, 7, "{}", "{unknown}")]


@pytest.mark.parametrize("name", shipped())
def test_a_preset_says_what_it_reads(name: str) -> None:
    preset = load(name)
    assert preset.about[0]
    assert preset.reads_tables == (name == "sssync")
    assert preset.reads_tables or {"options", "changes"} <= preset.statements.keys()
