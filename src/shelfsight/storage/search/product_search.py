"""Finds the stored products that are nearest to a query."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import Any, TypeVar

import numpy as np
import psycopg
from pgvector import Vector as PgVector
from psycopg import sql

from shelfsight.errors import FilterError, SchemaError
from shelfsight.models.calibration import Calibration
from shelfsight.models.color_histogram import NAME as COLOR_HISTOGRAM
from shelfsight.postgres.connection import Connection, Query, Rows, Transactions, columns
from shelfsight.postgres.session import OWN_SCHEMA
from shelfsight.records import (
    COLOR_WIDTH,
    IMAGE_WIDTH,
    Feature,
    Modality,
    ModelPair,
    Vector,
    stored_identities,
)
from shelfsight.scan.matching import Candidate, Coverage, Filters, Means, SearchQuery
from shelfsight.storage import schema
from shelfsight.storage.calibrations import CalibrationStore
from shelfsight.storage.search.confirmed_photos import confirmed_search
from shelfsight.storage.search.filters import FilterSql
from shelfsight.storage.search.search_cache import SearchCache
from shelfsight.storage.search.search_rows import SearchRow
from shelfsight.storage.search.search_statement import (
    COLUMNS,
    EXACT_SEARCH_ROWS,
    QUERIES,
    ConfirmedSearch,
    Indexes,
    build_statement,
    confirmed_parameters,
    count_query,
    parameters,
    statement_shape,
)
from shelfsight.storage.vectors.model_check import refuse_others

_FEATURES: Mapping[Feature, tuple[str, int]] = {
    "image": ("ImageEmbedding", IMAGE_WIDTH),
    "color": ("ColorHistogram", COLOR_WIDTH),
}
"""The column and the width of each feature of a picture."""

MEAN_SAMPLE = 10_000
"""How many stored image vectors are averaged for the mean of a catalogue."""

_SCAN_MEAN_WINDOW = 5_000
"""After this many scans the mean becomes a moving average: older scans count less and less, because
phones and shops change."""

_REFUSED_VALUES = (
    psycopg.DataError,
    psycopg.errors.UndefinedFunction,  # the column's type cannot be compared with the value's type
    psycopg.errors.CannotCoerce,
    UnicodeEncodeError,  # half of a surrogate pair
)
"""The errors that Postgres or psycopg raises if the value of a filter does not fit its column."""

_GONE = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn)
"""The errors that Postgres raises if the shop has dropped or renamed a table or a column."""

Result = TypeVar("Result")


class PostgresProductSearch:
    """Implements `scan.ports.ProductSearch` on `"ProductEmbeddings"` and the shop's tables.

    Facts about the database (tables, indexes, models, means) are kept in a `SearchCache`. The
    shop's times without a zone are in `time_zone`. Without `colors`, no product has any, and
    without `confirmed` no photos were confirmed.
    """

    def __init__(
        self,
        database: Transactions,
        timer: Callable[[], float] = monotonic,
        *,
        time_zone: str = "UTC",
        colors: bool = True,
        confirmed: bool = True,
    ) -> None:
        self._database = database
        self._time_zone = time_zone
        self._colors = colors
        self._confirmed = confirmed
        self._calibrations = CalibrationStore(database)
        self._cache = SearchCache(timer)
        self._models = ModelPair(image="", text="")
        self._table_oid: int | None = None

    @property
    def cached_answers(self) -> int:
        """The number of facts in the cache; at most `search_cache.MAX_ANSWERS`."""
        return len(self._cache)

    def require(self, models: ModelPair) -> None:
        """Check that these models made the stored vectors; call this before the first search.

        Raises:
            SchemaError: columns are missing or have other dimensions.
            ModelMismatchError: other models made the stored vectors.
        """
        self._models = models
        check = partial(refuse_others, self._database, models)
        self._table_oid = self._cache.get(("models", models), check)

    def candidates(
        self, search_query: SearchQuery, filters: Filters, limit: int
    ) -> list[Candidate]:
        """Return the `limit` nearest products, and those that the query's words match.

        The result has `limit` products or more, unless fewer of them pass the filters and have a
        vector of the kind that is searched.

        Raises:
            FilterError: the shop's tables lack a column of a filter, or its value does not fit.
            ModelMismatchError: vectors of other models were switched into use after the call of
                `require`.
        """
        rows = self._fresh(lambda: self._search(search_query, filters, limit))
        if not rows or self._table_oid in (None, rows[0].table_oid):
            return list({row.id: row.candidate() for row in rows}.values())
        self._cache.clear()  # the cache describes the table that was in use before the switch
        self.require(self._models)
        return self.candidates(search_query, filters, limit)

    def coverage(self, filters: Filters) -> Coverage:
        """Return what there is to find among the products that pass the filters.

        Raises:
            FilterError: the shop's tables lack a column of a filter, or its value does not fit.
        """
        ((products, embedded, image, text),) = self._fresh(
            lambda: self._run("coverage", {}, FilterSql(filters, self._columns, self._time_zone))
        )
        return Coverage(products=products, embedded=embedded, image=image, text=text)

    def vectors(self, id_: str, filters: Filters) -> SearchQuery | None:
        """Return a query that finds products similar to the product `id_`.

        None if the product does not exist, does not pass the filters, or has no vector.

        Raises:
            FilterError: the shop's tables lack a column of a filter, or its value does not fit.
        """
        rows = self._fresh(
            lambda: self._run(
                "vectors", {"id": id_}, FilterSql(filters, self._columns, self._time_zone)
            )
        )
        if not rows:
            return None
        image, text, combined = map(_array, rows[0])
        if image is not None and text is not None and combined is not None:
            return SearchQuery(column="combined", vector=combined, image=image, text=text)
        if image is not None:
            return SearchQuery(column="image", vector=image, image=image)
        return None if text is None else SearchQuery(column="text", vector=text, text=text)

    def means(self, owner: str | None, feature: Feature = "image") -> Means | None:
        """Return the mean of a feature in a catalogue, and its mean in the catalogue's scans.

        The catalogue is that of the owner, or the whole catalogue if `owner` is None. The result is
        None if no product of the catalogue has this feature.
        """
        if feature == "color" and not self._colors:
            return None
        column, width = _FEATURES[feature]
        if column not in self._columns("ProductEmbeddings"):
            return None
        read = partial(self._catalogue_mean, owner, column)
        means = self._cache.get(("mean", feature, owner), read)
        if not means or not self._has_scan_means:
            return None
        (catalogue,) = means
        values = {"owner": owner or "", "model": self._feature_model(feature)}
        rows = self._cache.get(("scans", feature, owner), partial(self._run, "scans_mean", values))
        if not rows:
            return Means(catalogue=catalogue)
        ((scans, count),) = rows
        return Means(catalogue=catalogue, scans=scans.to_numpy()[:width], count=count)

    def calibration(self) -> Calibration | None:
        """Return what was fitted on this shop's own pictures for the models of `require`."""

        def load() -> tuple[Calibration | None]:
            return (self._calibrations.load(self._models),)

        (calibration,) = self._cache.get(("calibration", self._models), load)
        return calibration

    def learn(self, owner: str | None, vector: Vector, feature: Feature = "image") -> None:
        """Add a feature of a scanned photo to its mean in the owner's scans."""
        if not self._has_scan_means:
            return
        values = {
            "owner": owner or "",
            "model": self._feature_model(feature),
            # the column has the width of image vectors
            "vector": np.pad(vector, (0, IMAGE_WIDTH - len(vector))),
            "window": _SCAN_MEAN_WINDOW,
        }

        def work(connection: Connection) -> list[tuple[Any, ...]]:
            return connection.execute(QUERIES["learn"], values, binary=True).fetchall()

        self._cache.put(("scans", feature, owner), self._database.run(work))

    def _fresh(self, ask: Callable[[], Result]) -> Result:
        """Call `ask`; if a table or column is gone that the cache knows, once more without it.

        Raises:
            SchemaError: the shop's tables or the vectors cannot be read.
        """
        try:
            return ask()
        except _GONE:
            self._cache.clear()
        try:
            return ask()
        except _GONE as error:
            reason = error.diag.message_primary
            raise SchemaError(f"{reason}; see: shelfsight doctor") from error

    def _search(self, search_query: SearchQuery, filters: Filters, limit: int) -> list[SearchRow]:
        """Search by the index, or exactly if there is no index or it finds less than `limit`."""
        filter_sql = FilterSql(filters, self._columns, self._time_zone)
        indexes = self._cache.get("indexes", self._indexes)
        ef_search = indexes.ef_search_of(search_query.column)
        values = parameters(search_query, filter_sql, limit, ef_search)
        find_words, confirmed = indexes.find_words, self._confirmed_search(search_query)
        if confirmed != "none":
            values |= confirmed_parameters(search_query, filters.owner)
            values["image_models"] = stored_identities(self._models.image)

        def search(*, by_index: bool) -> list[SearchRow]:
            shape = statement_shape(
                search_query, filter_sql, limit, by_index=by_index, find_words=find_words
            )
            vector_type = self._vector_type(search_query.column)
            shape = replace(shape, vector_type=vector_type, confirmed=confirmed)
            statement = self._cache.get(shape, partial(build_statement, shape, filter_sql))
            rows = self._ask((statement, values), prepare=shape.has_one_plan)
            return [SearchRow._make(row) for row in rows]

        has_index = indexes.has(f"{search_query.column}_hnsw")
        if has_index and not self._are_few(indexes, filters, filter_sql):
            rows = search(by_index=True)
            if sum(row.is_near for row in rows) == limit:
                return rows
        return search(by_index=False)

    def _confirmed_search(self, search_query: SearchQuery) -> ConfirmedSearch:
        """Return how to find the nearest confirmed photos: not at all if there are none."""
        if not (self._confirmed and search_query.confirmed and search_query.image is not None):
            return "none"
        find = partial(confirmed_search, self._ask, self._models)
        found = self._cache.get(("confirmed", self._models.image), find)
        return found[0] if found else "none"

    def _indexes(self) -> Indexes:
        for rows, ef_search in self._ask((QUERIES["indexes"], {})):
            return Indexes(rows=rows, ef_search=ef_search)
        return Indexes(rows=0, ef_search={})

    def _are_few(self, indexes: Indexes, filters: Filters, filter_sql: FilterSql) -> bool:
        """Return whether so few products pass the filters that an exact search is better."""
        if filter_sql.is_unfiltered or indexes.are_rows_few:
            return indexes.are_rows_few

        # an owner scans again and again, so this count is reused; other filters vary without end
        is_cached = filters == Filters(owner=filters.owner)
        few = indexes.exact_rows_of_owner if is_cached else EXACT_SEARCH_ROWS

        def count() -> int:
            return int(self._ask(count_query(filter_sql, few + 1))[0][0])

        passing = self._cache.get(("count", filters.owner), count) if is_cached else count()
        return passing <= few

    def _catalogue_mean(self, owner: str | None, column: str) -> tuple[Vector, ...]:
        """Return a tuple with the mean, or an empty tuple if the column has no value."""
        filter_sql = FilterSql(Filters(owner=owner), self._columns)
        rows = self._run("catalogue_mean", {"limit": MEAN_SAMPLE}, filter_sql, column=column)
        mean = _array(rows[0][0])
        return () if mean is None else (mean,)

    def _feature_model(self, feature: Feature) -> str:
        """Return the name under which the mean of a feature of scans is stored."""
        return self._models.image if feature == "image" else COLOR_HISTOGRAM

    def _vector_type(self, modality: Modality) -> str:
        """Return the type of the column of these vectors, `halfvec` or `vector`."""
        column, _ = COLUMNS[modality]
        return self._columns("ProductEmbeddings").get(column, "vector").partition("(")[0]

    def _columns(self, table: str) -> dict[str, str]:
        def read() -> dict[str, str]:
            return self._database.run(partial(columns, table=table), read_only=True)

        return self._cache.get(("columns", table), read)

    @property
    def _has_scan_means(self) -> bool:
        read = partial(columns, table="ScanMeans", schema=OWN_SCHEMA)
        return bool(self._cache.get("scan means", lambda: self._database.run(read, read_only=True)))

    def _run(
        self,
        name: str,
        values: Mapping[str, object],
        filter_sql: FilterSql | None = None,
        **names: str,
    ) -> Rows:
        if filter_sql is None:
            return self._ask((QUERIES[name], values))
        identifiers = {name: sql.Identifier(column) for name, column in names.items()}
        statement = QUERIES[name].format(
            join=filter_sql.join, condition=filter_sql.condition, **identifiers
        )
        return self._ask((statement, {**values, **filter_sql.values}))

    def _ask(self, query: Query, *, prepare: bool = False) -> Rows:
        try:
            return self._database.ask(query, prepare=prepare)
        except _REFUSED_VALUES as error:
            if isinstance(error, psycopg.errors.UndefinedFunction):
                self._database.run(schema.check, read_only=True)  # ids may have got another type
            reason = error.diag.message_primary if isinstance(error, psycopg.Error) else None
            raise FilterError(f"products cannot be chosen like this: {reason or error}") from error


def _array(stored: PgVector | None) -> Vector | None:
    return None if stored is None else np.asarray(stored.to_numpy(), dtype=np.float32)
