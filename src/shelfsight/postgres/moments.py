"""Compares the shop's times with a moment; a time that is stored without a zone needs one."""

import re

from psycopg import sql

from shelfsight.postgres import statements

_WITHOUT_ZONE = re.compile(r"date|timestamp(\(\d\))? without time zone")


def comparison(sign: str, column_type: str, time_zone: str) -> sql.SQL:
    """Return SQL that compares `{column}` by `sign` with `{value}`, a time that has a zone.

    The times of a column without a zone are in `time_zone`, whatever the zone of the session. The
    value is what is converted, so that an index on the column can be used.
    """
    value = "{value}"
    if _WITHOUT_ZONE.fullmatch(column_type):
        zone = sql.Literal(time_zone).as_string()
        value = f"({{value}}::timestamptz AT TIME ZONE {zone})"
    return statements.trusted(f"{{column}} {sign} {value}")
