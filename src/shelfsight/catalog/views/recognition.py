"""Looks at a database that shelfsight does not know yet: which platform's tables does it hold?"""

from collections.abc import Mapping
from dataclasses import dataclass

from shelfsight.catalog.views.columns import QUERIES
from shelfsight.catalog.views.preset import Preset, load, shipped
from shelfsight.postgres.connection import Connection

_TITLES = ("title", "name", "productname", "producttitle", "label")
_PICTURES = (
    *("image", "imageurl", "images", "imageurls", "img", "picture", "pictureurl", "pictures"),
    *("photo", "photourl", "photos", "thumbnail", "thumbnailurl", "url", "src", "filename"),
)
_DESCRIPTIONS = ("description", "details", "body", "bodyhtml", "text", "longdescription")
_IDS = ("id", "uuid", "productid", "itemid", "sku", "code")

_LIKELY = 5
"""How many tables are named at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A table that may hold products or pictures, with the columns that suggest so.

    A column is None if the table has none that may be it.
    """

    table: str
    id: str | None
    title: str | None
    description: str | None
    picture: str | None

    def __str__(self) -> str:
        parts = {"title": self.title, "description": self.description, "picture": self.picture}
        listed = [f'{name} in "{column}"' for name, column in parts.items() if column]
        return f"{self.table} ({', '.join(listed)})"

    @property
    def is_whole(self) -> bool:
        """Whether the table alone may be read as a catalogue."""
        return None not in (self.id, self.title, self.picture)


def recognised(connection: Connection) -> list[Preset]:
    """Return the presets whose tables the database has.

    A preset is left out if all its proofs are among those of another one.
    """
    presets = [load(name) for name in shipped()]
    proofs = {preset.name: preset.recognised_by(connection) for preset in presets}
    return [
        preset
        for preset in presets
        if proofs[preset.name] and not any(proofs[preset.name] < other for other in proofs.values())
    ]


def shop_tables(connection: Connection) -> dict[str, dict[str, str]]:
    """Return the tables and views that are not ours: their columns with types, by table."""
    tables: dict[str, dict[str, str]] = {}
    for table, column, type_ in connection.execute(QUERIES["shop_tables"]).fetchall():
        tables.setdefault(table, {})[column] = type_
    return tables


def candidates(tables: Mapping[str, Mapping[str, str]]) -> list[Candidate]:
    """Return the tables that may hold products or pictures, the likeliest first."""
    found = [_candidate(table, columns) for table, columns in tables.items()]
    likely = [one for one in found if one.picture or (one.title and one.description)]
    likely.sort(key=lambda one: (not one.is_whole, one.title is None, one.picture is None))
    return likely[:_LIKELY]


def _candidate(table: str, columns: Mapping[str, str]) -> Candidate:
    by_letters = {name.replace("_", "").lower(): name for name in columns}

    def first(names: tuple[str, ...]) -> str | None:
        return next((by_letters[name] for name in names if name in by_letters), None)

    return Candidate(
        table=table,
        id=first(_IDS),
        title=first(_TITLES),
        description=first(_DESCRIPTIONS),
        picture=first(_PICTURES),
    )
