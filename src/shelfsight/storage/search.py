"""Finds the stored products that are near to what is sought."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from time import monotonic
from typing import Any, TypeVar, cast

import numpy as np
import psycopg
from pgvector import Vector as PgVector
from psycopg import sql

from shelfsight.database import Connection, Transactions, Work, columns
from shelfsight.errors import FilterError
from shelfsight.matching import Candidate, Filters, Means, Sought
from shelfsight.records import ModelPair, Vector
from shelfsight.storage.filters import Chosen
from shelfsight.storage.nearest import QUERIES, Indexes, nearest
from shelfsight.storage.stored_models import refuse_others

FEW_TEXTS = 20_000
"""So many rows, or fewer, are searched for words without an index."""

NAMED = 50
"""How many products that share all words become candidates."""

MEAN_OF = 10_000
"""How many stored pictures the catalogue's mean is taken over."""

_REMEMBERED = 5_000
"""Scans after which their mean forgets the oldest: phones and shops change."""

FRESH = 60.0
"""Seconds for which what was learnt about tables, models and means is not asked again."""

_LONGEST_CODE = 64

_SHOWN = {
    "product_id": "ProductId",
    "title": "Title",
    "description": "Description",
    "sku": "Sku",
    "price": "Price",
}

_FIELDS = (
    "id",
    *_SHOWN,
    "image_url",
    "image_score",
    "text_score",
    "word_score",
    "is_code",
)

Asked = TypeVar("Asked")


class PostgresProductSearch:
    """`seams.ProductSearch` over `"ProductEmbeddings"` and the shop's tables."""

    def __init__(self, database: Transactions) -> None:
        self._database = database
        self._answers: dict[object, tuple[float, Any]] = {}
        self._model = ""

    def require(self, models: ModelPair) -> None:
        """Refuse queries of other models than those that made the stored vectors.

        Raises:
            SchemaError: the columns are missing or of other dimensions.
            ModelMismatchError: other models made the stored vectors.
        """
        self._model = models.image
        self._fresh(("models", models), partial(refuse_others, self._database, models))

    def candidates(self, sought: Sought, filters: Filters, limit: int) -> list[Candidate]:
        """The `limit` products nearest to what is sought, and those that its words name.

        Never fewer than `limit` where so many pass the filters and have that vector.

        Raises:
            FilterError: the shop's tables have no such column.
        """
        chosen = Chosen(filters, self._columns)

        def work(connection: Connection) -> list[Candidate]:
            indexes = Indexes(connection, limit)
            ids = nearest(connection, indexes, sought, chosen, limit)
            if sought.words:
                ids += _named(connection, indexes, sought.words, chosen)
            return _score(connection, list(dict.fromkeys(ids)), sought, chosen)

        return self._read(work)

    def is_empty(self, filters: Filters) -> bool:
        """Whether nothing is stored that passes the filters.

        Raises:
            FilterError: the shop's tables have no such column.
        """
        return not self._run("any", {}, Chosen(filters, self._columns))

    def vectors(self, id_: str, filters: Filters) -> Sought | None:
        """What to look for to find products like this one; None where there is none to be seen.

        Raises:
            FilterError: the shop's tables have no such column.
        """
        chosen = Chosen(filters, self._columns)
        rows = self._run("vectors", {"id": id_}, chosen)
        if not rows:
            return None
        image, text, combined = map(_array, rows[0])
        if image is not None and text is not None and combined is not None:
            return Sought(column="combined", query=combined, image=image, text=text)
        if image is not None:
            return Sought(column="image", query=image, image=image)
        return None if text is None else Sought(column="text", query=text, text=text)

    def means(self, owner: str | None) -> Means | None:
        """The means of an owner's catalogue and scans, or of all; None without a catalogue."""
        means = self._fresh(("mean", owner), partial(self._catalogue_mean, owner))
        if not means or not self._columns("ScanMeans"):
            return None
        (catalogue,) = means
        values = {"owner": owner or "", "model": self._model}
        rows = self._fresh(("scans", owner), partial(self._run, "scans_mean", values))
        if not rows:
            return Means(catalogue=catalogue)
        return Means(catalogue=catalogue, scans=_array(rows[0][0]), count=rows[0][1])

    def learn(self, owner: str | None, image: Vector) -> None:
        """Let the vector of a scan's photo count in the mean of the scans."""
        if not self._columns("ScanMeans"):
            return
        values = {
            "owner": owner or "",
            "model": self._model,
            "image": image,
            "remembered": _REMEMBERED,
        }

        def work(connection: Connection) -> list[tuple[Any, ...]]:
            return connection.execute(QUERIES["learn"], values, binary=True).fetchall()

        self._answers["scans", owner] = monotonic(), self._database.run(work)

    def _catalogue_mean(self, owner: str | None) -> tuple[Vector, ...]:
        """The mean, or nothing where there is no picture."""
        chosen = Chosen(Filters(owner=owner), self._columns)
        mean = _array(self._run("catalogue_mean", {"limit": MEAN_OF}, chosen)[0][0])
        return () if mean is None else (mean,)

    def _columns(self, table: str) -> dict[str, str]:
        def ask() -> dict[str, str]:
            return self._database.run(partial(columns, table=table), read_only=True)

        return self._fresh(("columns", table), ask)

    def _run(
        self, name: str, values: Mapping[str, object], chosen: Chosen | None = None
    ) -> list[tuple[Any, ...]]:
        return self._read(partial(_rows, name=name, values=values, chosen=chosen))

    def _read(self, work: Work[Asked]) -> Asked:
        try:
            return self._database.run(work, read_only=True)
        except psycopg.DataError as error:
            said = error.diag.message_primary
            raise FilterError(f"products cannot be chosen like this: {said}") from error

    def _fresh(self, what: object, ask: Callable[[], Asked]) -> Asked:
        """Ask, unless there was an answer a moment ago."""
        at, known = self._answers.get(what, (-math.inf, None))
        if monotonic() - at <= FRESH:
            return cast(Asked, known)
        answer = ask()
        if answer:
            self._answers[what] = monotonic(), answer
        return answer


def _rows(
    connection: Connection, name: str, values: Mapping[str, object], chosen: Chosen | None
) -> list[tuple[Any, ...]]:
    statement: sql.SQL | sql.Composed = QUERIES[name]
    if chosen is not None:
        statement = QUERIES[name].format(join=chosen.join, chosen=chosen.chosen)
        values = {**values, **chosen.values}
    return connection.execute(statement, values, binary=True).fetchall()


def _named(connection: Connection, indexes: Indexes, words: str, chosen: Chosen) -> list[object]:
    """Products that have all these words, or have them as SKU or barcode."""
    ids: list[object] = []
    if indexes.has("words") or indexes.rows <= FEW_TEXTS:
        values = {"words": words, "limit": NAMED}
        ids += [row[0] for row in _rows(connection, "named", values, chosen)]
    if len(words) <= _LONGEST_CODE:
        statement = QUERIES["coded"].format(
            join=chosen.join, chosen=chosen.chosen, is_code=_is_code(chosen.variants)
        )
        values = {"codes": _codes(words), "limit": NAMED, **chosen.values}
        ids += [row[0] for row in connection.execute(statement, values)]
    return ids


def _score(
    connection: Connection, ids: list[object], sought: Sought, chosen: Chosen
) -> list[Candidate]:
    """Compare each candidate exactly; only what passes the filters comes back."""
    image, centre = sought.image, sought.centre
    if image is not None and centre is not None:
        image = image - centre.scans
    how = "image_score" if centre is None else "centred_score"
    statement = QUERIES["score"].format(
        join=chosen.join,
        chosen=chosen.chosen,
        image_score=QUERIES["no_score" if image is None else how],
        text_score=QUERIES["no_score" if sought.text is None else "text_score"],
        word_score=QUERIES["word_score" if sought.words else "no_score"],
        is_code=_is_code(chosen.variants) if sought.words else sql.SQL("false"),
        **{name: _or_null(chosen.variants, column) for name, column in _SHOWN.items()},
    )
    values = {
        "ids": ids,
        "image": image,
        "mean": centre and centre.catalogue,
        "text": sought.text,
        "words": sought.words,
        "codes": _codes(sought.words or ""),
        **chosen.values,
    }
    rows = connection.execute(statement, values, binary=True).fetchall()
    return [Candidate(**dict(zip(_FIELDS, row, strict=True))) for row in rows]


def _is_code(variants: Mapping[str, str]) -> sql.Composable:
    """The condition that a variant's SKU or barcode is among `codes`."""
    same = [
        sql.SQL("v.{} = ANY(%(codes)s)").format(sql.Identifier(name))
        for name in ("Sku", "Barcode")
        if name in variants
    ]
    return sql.SQL("({})").format(sql.SQL(" OR ").join(same)) if same else sql.SQL("false")


def _codes(words: str) -> list[str]:
    """The ways in which a SKU or a barcode may be written."""
    return list({words, words.upper(), words.lower()})


def _or_null(variants: Mapping[str, str], name: str) -> sql.Composable:
    """A variant's column, or NULL where the table has none."""
    return sql.SQL("v.{}").format(sql.Identifier(name)) if name in variants else sql.SQL("NULL")


def _array(stored: PgVector | None) -> Vector | None:
    return None if stored is None else np.asarray(stored.to_numpy(), dtype=np.float32)
