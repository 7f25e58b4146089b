"""Finds the stored products that are near to what is sought."""

from collections.abc import Callable, Mapping
from functools import partial
from time import monotonic
from typing import Any

import numpy as np
import psycopg
from pgvector import Vector as PgVector

from shelfsight.errors import FilterError
from shelfsight.postgres.connection import Connection, Query, Rows, Transactions, columns
from shelfsight.records import ModelPair, Vector
from shelfsight.scan.matching import Candidate, Filters, Means, SearchQuery
from shelfsight.storage.search.filters import FilterSql
from shelfsight.storage.search.search_cache import SearchCache
from shelfsight.storage.search.search_rows import SearchRow
from shelfsight.storage.search.search_statement import (
    FEW,
    QUERIES,
    Indexes,
    count_chosen,
    shape,
    statement,
    values,
)
from shelfsight.storage.vectors.model_check import refuse_others

MEAN_OF = 10_000
"""How many stored pictures the catalogue's mean is taken over."""

_REMEMBERED = 5_000
"""Scans after which their mean forgets the oldest: phones and shops change."""

_REFUSED = (
    psycopg.DataError,
    psycopg.errors.UndefinedFunction,  # the column's type cannot be compared with such a value
    psycopg.errors.CannotCoerce,
    UnicodeEncodeError,  # half of a surrogate pair is no character
)


class PostgresProductSearch:
    """`seams.ProductSearch` over `"ProductEmbeddings"` and the shop's tables."""

    def __init__(self, database: Transactions, timer: Callable[[], float] = monotonic) -> None:
        self._database = database
        self._cache = SearchCache(timer)
        self._models = ModelPair(image="", text="")
        self._table: int | None = None

    def require(self, models: ModelPair) -> None:
        """Refuse queries of other models than those that made the stored vectors.

        Raises:
            SchemaError: the columns are missing or of other dimensions.
            ModelMismatchError: other models made the stored vectors.
        """
        self._models = models
        ask = partial(refuse_others, self._database, models)
        self._table = self._cache.get(("models", models), ask)

    def candidates(
        self, search_query: SearchQuery, filters: Filters, limit: int
    ) -> list[Candidate]:
        """The `limit` products nearest to what is sought, and those that its words name.

        Never fewer than `limit` where so many pass the filters and have that vector.

        Raises:
            FilterError: the shop's tables have no such column.
            ModelMismatchError: others were switched to since `require`.
        """
        rows = self._nearest(search_query, filters, limit)
        if not rows or self._table in (None, rows[0].table_oid):
            return list({row.id: row.candidate() for row in rows}.values())
        self._cache.clear()  # all of it was learnt of another table
        self.require(self._models)
        return self.candidates(search_query, filters, limit)

    def is_empty(self, filters: Filters) -> bool:
        """Whether nothing is stored that passes the filters.

        Raises:
            FilterError: the shop's tables have no such column.
        """
        return not self._run("any", {}, FilterSql(filters, self._columns))

    def vectors(self, id_: str, filters: Filters) -> SearchQuery | None:
        """What to look for to find products like this one; None where there is none to be seen.

        Raises:
            FilterError: the shop's tables have no such column.
        """
        chosen = FilterSql(filters, self._columns)
        rows = self._run("vectors", {"id": id_}, chosen)
        if not rows:
            return None
        image, text, combined = map(_array, rows[0])
        if image is not None and text is not None and combined is not None:
            return SearchQuery(column="combined", vector=combined, image=image, text=text)
        if image is not None:
            return SearchQuery(column="image", vector=image, image=image)
        return None if text is None else SearchQuery(column="text", vector=text, text=text)

    def means(self, owner: str | None) -> Means | None:
        """The means of an owner's catalogue and scans, or of all; None without a catalogue."""
        means = self._cache.get(("mean", owner), partial(self._catalogue_mean, owner))
        if not means or not self._columns("ScanMeans"):
            return None
        (catalogue,) = means
        values = {"owner": owner or "", "model": self._models.image}
        rows = self._cache.get(("scans", owner), partial(self._run, "scans_mean", values))
        if not rows:
            return Means(catalogue=catalogue)
        ((scans, count),) = rows
        return Means(catalogue=catalogue, scans=_array(scans), count=count)

    def learn(self, owner: str | None, image: Vector) -> None:
        """Let the vector of a scan's photo count in the mean of the scans."""
        if not self._columns("ScanMeans"):
            return
        values = {
            "owner": owner or "",
            "model": self._models.image,
            "image": image,
            "remembered": _REMEMBERED,
        }

        def work(connection: Connection) -> list[tuple[Any, ...]]:
            return connection.execute(QUERIES["learn"], values, binary=True).fetchall()

        self._cache.put(("scans", owner), self._database.run(work))

    def _nearest(self, search_query: SearchQuery, filters: Filters, limit: int) -> list[SearchRow]:
        """The rows of `search`; an index that gives too few of the nearest is not believed."""
        chosen = FilterSql(filters, self._columns)
        indexes = self._cache.get("indexes", self._indexes)
        asked = values(search_query, chosen, limit)

        def compared(*, by_index: bool) -> list[SearchRow]:
            find_words = indexes.find_words
            form = shape(search_query, chosen, limit, by_index=by_index, find_words=find_words)
            query = self._cache.get(form, partial(statement, form, chosen)), asked
            return [SearchRow._make(row) for row in self._ask(query, prepare=form.has_one_plan)]

        if indexes.has(f"{search_query.column}_hnsw") and not self._are_few(
            indexes, filters, chosen
        ):
            rows = compared(by_index=True)
            if sum(row.is_near for row in rows) == limit:
                return rows
        return compared(by_index=False)

    def _indexes(self) -> Indexes:
        for rows, names in self._ask((QUERIES["indexes"], {})):
            return Indexes(rows=rows, names=names)
        return Indexes(rows=0, names=())

    def _are_few(self, indexes: Indexes, filters: Filters, chosen: FilterSql) -> bool:
        if chosen.is_all or indexes.are_few:
            return indexes.are_few

        def count() -> int:
            return int(self._ask(count_chosen(chosen))[0][0])

        # an owner asks again and again; of other filters there is no end
        is_owners = filters == Filters(owner=filters.owner)
        return (self._cache.get(("count", filters.owner), count) if is_owners else count()) <= FEW

    def _catalogue_mean(self, owner: str | None) -> tuple[Vector, ...]:
        """The mean, or nothing where there is no picture."""
        chosen = FilterSql(Filters(owner=owner), self._columns)
        mean = _array(self._run("catalogue_mean", {"limit": MEAN_OF}, chosen)[0][0])
        return () if mean is None else (mean,)

    def _columns(self, table: str) -> dict[str, str]:
        def ask() -> dict[str, str]:
            return self._database.run(partial(columns, table=table), read_only=True)

        return self._cache.get(("columns", table), ask)

    def _run(self, name: str, about: Mapping[str, object], chosen: FilterSql | None = None) -> Rows:
        if chosen is None:
            return self._ask((QUERIES[name], about))
        query = QUERIES[name].format(join=chosen.join, chosen=chosen.chosen)
        return self._ask((query, {**about, **chosen.values}))

    def _ask(self, query: Query, *, prepare: bool = False) -> Rows:
        try:
            return self._database.ask(query, prepare=prepare)
        except _REFUSED as error:
            said = error.diag.message_primary if isinstance(error, psycopg.Error) else None
            raise FilterError(f"products cannot be chosen like this: {said or error}") from error


def _array(stored: PgVector | None) -> Vector | None:
    return None if stored is None else np.asarray(stored.to_numpy(), dtype=np.float32)
