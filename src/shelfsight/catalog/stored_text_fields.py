"""Tells which parts the stored texts were made of, so that an upgrade changes none of them."""

from typing import NamedTuple

import psycopg

from shelfsight.catalog.content import parse_text_fields
from shelfsight.catalog.selection import QUERIES
from shelfsight.errors import SchemaError
from shelfsight.postgres.connection import Connection, fetch_as
from shelfsight.records import FIRST_TEXT_FIELDS, TextField


class _Stored(NamedTuple):
    fields: str


def stored_text_fields(connection: Connection) -> tuple[TextField, ...] | None:
    """Return the parts that most stored texts were made of; None if no text is stored.

    Once the parts have been chosen, those texts count that were made of the parts chosen.

    Raises:
        SchemaError: `"ProductEmbeddings"` is missing, or cannot be read.
    """
    try:
        rows = fetch_as(_Stored, connection, QUERIES["stored_text_fields"].format())
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
        raise SchemaError(f"{error.diag.message_primary}; run: shelfsight init") from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise SchemaError(f"the shop's tables cannot be read: {error}") from error
    return (parse_text_fields(rows[0].fields) or FIRST_TEXT_FIELDS) if rows else None
