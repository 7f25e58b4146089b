"""The SQL condition that a product belongs to an owner: `"UserId"` is one value or an array."""

from psycopg import sql

from shelfsight.postgres import statements

_ONE = sql.SQL("{column} = {owner}::{type}")
_ONE_OF = sql.SQL("{owner}::{type} = ANY({column})")


def belongs_to(column: sql.Composable, type_: str, owner: sql.Composable) -> sql.Composed:
    """Return the condition that `column`, of the SQL type `type_`, is the owner or has it."""
    form = _ONE_OF if type_.endswith("[]") else _ONE
    element = statements.trusted(type_.removesuffix("[]"))
    return form.format(column=column, owner=owner, type=element)
