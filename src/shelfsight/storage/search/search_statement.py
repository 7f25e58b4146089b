"""Builds the SQL statement of a search: nearest neighbours and word matches, all scored exactly.

A search is a single statement, so that a scan costs one round trip and reads no row twice.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from psycopg import sql

from shelfsight.postgres import statements
from shelfsight.postgres.connection import Query
from shelfsight.records import COMBINED_WIDTH, IMAGE_WIDTH, TEXT_WIDTH, Modality, Vector
from shelfsight.scan.matching import SearchQuery
from shelfsight.storage.search.filters import FilterSql, Tables

QUERIES = statements.load("shelfsight.storage.search", "search_statement.sql")

COLUMNS: Mapping[Modality, tuple[str, int]] = {
    "image": ("ImageEmbedding", IMAGE_WIDTH),
    "text": ("TextEmbedding", TEXT_WIDTH),
    "combined": ("CombinedEmbedding", COMBINED_WIDTH),
}
"""The column and the vector width of each modality."""

HNSW_EF_SEARCH = 100
"""The value of pgvector's setting `hnsw.ef_search`, unless `shelfsight index build` has measured
that an index needs a larger one."""

_MAX_EF_SEARCH = 1_000
"""The largest value that pgvector accepts."""

EXACT_SEARCH_ROWS = 5_000
"""A search among at most this many products compares all of them, because an HNSW graph would miss
some."""

_EXACT_OF_ROOT = 20
"""Among more products, an owner's are all compared if that is faster. Comparing n of N products
takes n times 3 microseconds. A graph is followed until 100 of the n are found, which visits
100 N / n products at 20 microseconds. So comparing is faster up to 26 times the root of N."""

WORD_SCAN_ROWS = 20_000
"""In a table with at most this many rows, words are searched for without an index."""

WORD_MATCHES = 50
"""How many products that contain all words of the query become candidates, and how many products
whose SKU or barcode the query is."""

CONFIRMED_MATCHES = 10
"""The products of so many nearest confirmed photos become candidates. Each costs a scan about 30
microseconds."""

EXACT_CONFIRMED = 1_000
"""A search among at most this many confirmed photos compares all of them."""

ConfirmedSearch = Literal["none", "exact", "index"]
"""How the nearest confirmed photos are found, if they count."""

_ZERO_LENGTH = 1e-6
"""A vector whose length is below this is only rounding error."""

_COLOR, _NO_COLOR = 'e."ColorHistogram"', "NULL::vector"

_NO_CONFIRMED = sql.SQL("NULL::float8[]")

_NUMBERS = ("smallint", "integer", "bigint", "numeric", "real", "double precision", "money")

_CANDIDATE_COLUMNS = {
    "product_id": "ProductId",
    "title": "Title",
    "description": "Description",
    "sku": "Sku",
    "link": "Link",
}


@dataclass(frozen=True, slots=True)
class Indexes:
    """Shelfsight's valid indexes, and the estimated row count (-1 if unknown).

    `ef_search` has the name of each index, and the `hnsw.ef_search` that was measured for it.
    """

    rows: int
    ef_search: Mapping[str, int | None]

    def has(self, name: str) -> bool:
        """Return whether there is an index of this name, given without the prefix `shelfsight_`."""
        return f"shelfsight_{name}" in self.ef_search

    def ef_search_of(self, column: Modality) -> int:
        """Return the `hnsw.ef_search` with which the index of this column is searched."""
        return self.ef_search.get(f"shelfsight_{column}_hnsw") or HNSW_EF_SEARCH

    @property
    def exact_rows_of_owner(self) -> int:
        """The most products of an owner among which an exact search is faster than the index."""
        return max(EXACT_SEARCH_ROWS, int(_EXACT_OF_ROOT * math.sqrt(max(0, self.rows))))

    @property
    def are_rows_few(self) -> bool:
        """Whether the table has so few rows that an exact search is better than the index."""
        return 0 <= self.rows <= EXACT_SEARCH_ROWS

    @property
    def find_words(self) -> bool:
        """Whether words are searched for: with an index, or in a table with few rows."""
        return self.has("words") or self.rows <= WORD_SCAN_ROWS


def count_query(filter_sql: FilterSql, limit: int) -> Query:
    """Return a query that counts the products that pass the filters, at the most `limit`."""
    statement = QUERIES["count"].format(join=filter_sql.join, condition=filter_sql.condition)
    return statement, {"count_limit": limit, **filter_sql.values}


@dataclass(frozen=True, slots=True)
class StatementShape:
    """Everything that the text of a search statement depends on; the key of a cached statement.

    `vector_type` is the type of the searched column, `halfvec` or `vector`. `image`, `text`,
    `color` and `words` say how each score is computed. `filters` are the names of the filters that
    are set. With `codes`, products are also found by their SKU or barcode, and with `confirmed` by
    the photos that were confirmed to show them.
    """

    tables: Tables
    limit: int
    column: Modality
    vector_type: str
    image: Literal["no_score", "image_score", "centred_score"]
    text: Literal["no_score", "text_score"]
    color: Literal["no_score", "color_score"]
    words: bool
    codes: bool
    confirmed: ConfirmedSearch
    filters: frozenset[str]
    by_index: bool
    find_words: bool

    @property
    def has_one_plan(self) -> bool:
        """Whether Postgres can use the same plan for all values of the parameters.

        With filters or words it cannot: some values select few rows, and others select many.
        """
        return not self.filters and not self.words


def statement_shape(
    search_query: SearchQuery,
    filter_sql: FilterSql,
    limit: int,
    *,
    by_index: bool,
    find_words: bool,
) -> StatementShape:
    """Return the shape of a search without confirmed photos, in columns that `init` made."""
    score: Literal["image_score", "centred_score"]
    score = "image_score" if search_query.centre is None else "centred_score"
    return StatementShape(
        tables=filter_sql.tables,
        limit=limit,
        column=search_query.column,
        vector_type="halfvec",
        image="no_score" if search_query.image is None else score,
        text="no_score" if search_query.text is None else "text_score",
        color="no_score" if search_query.color is None else "color_score",
        words=bool(search_query.words),
        codes=bool(search_query.codes),
        confirmed="none",
        filters=frozenset(filter_sql.values),
        by_index=by_index,
        find_words=find_words,
    )


def build_statement(shape: StatementShape, filter_sql: FilterSql) -> sql.SQL:
    """Build a statement that returns rows like `SearchRow`; two rows may have the same product.

    The limit is written into the text, not passed as a parameter: Postgres reuses no plan whose
    cost it cannot estimate.
    """
    composed = QUERIES["search"].format(
        sources=sql.SQL(" UNION ALL ").join(_sources(shape, filter_sql)),
        centred=QUERIES["centred"] if shape.image == "centred_score" else sql.SQL(""),
        image_score=QUERIES[shape.image],
        text_score=QUERIES[shape.text],
        word_score=QUERIES["word_score" if shape.words else "no_score"],
        color_score=QUERIES[shape.color],
        confirmed=_NO_CONFIRMED
        if shape.confirmed == "none"
        else QUERIES["confirmed_scores"].format(of_owner=QUERIES["of_owner"]),
    )
    return statements.trusted(composed.as_string())


def parameters(
    search_query: SearchQuery,
    filter_sql: FilterSql,
    limit: int,
    ef_search: int = HNSW_EF_SEARCH,
) -> dict[str, object]:
    """Return the parameters of the statement. Its parameter `ef_search` is at least `limit`."""
    image, centre, words = search_query.image, search_query.centre, search_query.words
    color = search_query.color
    return {
        "query": search_query.vector,
        "ef_search": str(min(max(ef_search, limit), _MAX_EF_SEARCH)),
        "word_matches": WORD_MATCHES,
        "image": image if image is None or centre is None else _centred(image, centre.scans),
        "mean": centre and centre.catalogue,
        "uncentred_image": image,
        "text": search_query.text,
        "color": color and color.photo - color.centre.scans,
        "color_mean": color and color.centre.catalogue,
        "words": words,
        "codes": list(search_query.codes),
        **filter_sql.values,
    }


def confirmed_parameters(search_query: SearchQuery, owner: str | None) -> dict[str, object]:
    """Return the parameters that compare a photo with those that were confirmed."""
    if search_query.image is None:
        return {}
    image, centre = search_query.image, search_query.centre
    mean = 0 * image if centre is None else centre.scans
    photo = image if centre is None else _centred(image, mean)
    photo = photo / math.sqrt(photo @ photo)
    return {
        "confirmed_owner": owner,
        "confirmed_matches": CONFIRMED_MATCHES,
        "photo": photo,
        "photo_mean": mean,
        "photo_offset": -float(photo @ mean),
        "mean_square": float(mean @ mean),
    }


def _sources(shape: StatementShape, filter_sql: FilterSql) -> Sequence[sql.Composed]:
    """Return the subqueries that find candidates: nearest neighbours, word matches, code matches.

    A code is a SKU or a barcode.
    """
    name, width = COLUMNS[shape.column]
    column = sql.Identifier(name)
    distance = QUERIES["index_distance" if shape.by_index else "exact_distance"].format(
        column=column, width=sql.Literal(width), type=statements.trusted(shape.vector_type)
    )
    variants = filter_sql.variants
    columns = QUERIES["columns"].format(
        is_code=_is_code(variants) if shape.codes else sql.SQL("false"),
        price=variant_price(variants),
        color=sql.SQL(_NO_COLOR if shape.color == "no_score" else _COLOR),
        **{name: column_or_null(variants, column) for name, column in _CANDIDATE_COLUMNS.items()},
    )
    common = {"columns": columns, "join": filter_sql.join, "condition": filter_sql.condition}
    limit = sql.Literal(shape.limit)
    sources = [QUERIES["nearest"].format(column=column, distance=distance, limit=limit, **common)]
    if shape.words and shape.find_words:
        sources.append(QUERIES["with_words"].format(**common))
    if shape.codes:
        sources.append(QUERIES["with_code"].format(is_code=_is_code(variants), **common))
    if shape.confirmed != "none":
        sources.append(_with_confirmed(shape, filter_sql, common))
    return sources


def _with_confirmed(
    shape: StatementShape, filter_sql: FilterSql, common: Mapping[str, sql.Composable]
) -> sql.Composed:
    """Return the subquery that finds the products of the nearest confirmed photos."""
    restriction = "any_confirmed" if filter_sql.is_unfiltered else "filtered_confirmed"
    return QUERIES["with_confirmed"].format(
        restriction=QUERIES[restriction].format(of_owner=QUERIES["of_owner"], **common),
        distance=QUERIES[f"confirmed_{shape.confirmed}_distance"],
        **common,
    )


def _is_code(variants: Mapping[str, str]) -> sql.Composable:
    """Return the condition that the SKU or the barcode of a variant is among `codes`."""
    comparisons = [
        sql.SQL("v.{}::text = ANY(%(codes)s)").format(sql.Identifier(name))
        for name in ("Sku", "Barcode")
        if name in variants
    ]
    if not comparisons:
        return sql.SQL("false")
    return sql.SQL("({})").format(sql.SQL(" OR ").join(comparisons))


def _centred(image: Vector, mean: Vector) -> Vector:
    """Subtract the mean from an image vector, unless the result would have no direction."""
    centred = image - mean
    return centred if math.sqrt(centred @ centred) > _ZERO_LENGTH else image


def variant_price(variants: Mapping[str, str]) -> sql.Composable:
    """Return the SQL of a variant's price as a number; NULL where the price is not a number."""
    price = column_or_null(variants, "Price")
    is_number = variants.get("Price", "").partition("(")[0] in _NUMBERS
    return QUERIES["price" if is_number else "price_in_text"].format(price=price)


def column_or_null(variants: Mapping[str, str], name: str) -> sql.Composable:
    """Return the SQL of a variant's column, or NULL if the table has no such column."""
    return sql.SQL("v.{}").format(sql.Identifier(name)) if name in variants else sql.SQL("NULL")
