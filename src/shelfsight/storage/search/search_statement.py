"""The statement of a search: the nearest neighbours of a vector and what its words name, compared.

All of it is one statement, so that a scan costs one round trip and reads no row twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
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

EF_SEARCH = 100
"""How many neighbours the graph is asked for; `index build` says what recall that gives."""

FEW = 5_000
"""So many chosen products, or fewer, are compared one by one: a graph would miss some of them."""

FEW_TEXTS = 20_000
"""So many rows, or fewer, are searched for words without an index."""

NAMED = 50
"""How many products that share all words become candidates, and how many by SKU or barcode."""

_LONGEST_CODE = 64

_NOTHING = 1e-6
"""A shorter vector is nothing but rounding."""

_NUMBERS = ("smallint", "integer", "bigint", "numeric", "real", "double precision", "money")

_SHOWN = {
    "product_id": "ProductId",
    "title": "Title",
    "description": "Description",
    "sku": "Sku",
}


@dataclass(frozen=True, slots=True)
class Indexes:
    """Which of our indexes are valid, and about how many rows there are; -1: never counted."""

    rows: int
    names: Sequence[str]

    def has(self, what: str) -> bool:
        """Whether there is the index of a column, or of the words."""
        return f"shelfsight_{what}" in self.names

    @property
    def are_few(self) -> bool:
        """Whether all rows are compared one by one."""
        return 0 <= self.rows <= FEW

    @property
    def find_words(self) -> bool:
        """Whether words are looked for: through an index, or in few rows."""
        return self.has("words") or self.rows <= FEW_TEXTS


def count_chosen(chosen: FilterSql) -> Query:
    """How many products pass, `FEW + 1` standing for all above."""
    statement = QUERIES["count_chosen"].format(join=chosen.join, chosen=chosen.chosen)
    return statement, {"most": FEW + 1, **chosen.values}


@dataclass(frozen=True, slots=True)
class Shape:
    """All that the statement of a search depends on."""

    tables: Tables
    limit: int
    column: Modality
    image: Literal["no_score", "image_score", "centred_score"]
    text: Literal["no_score", "text_score"]
    words: Literal["none", "words", "code"]
    filters: frozenset[str]
    by_index: bool
    find_words: bool

    @property
    def has_one_plan(self) -> bool:
        """Whether it is planned alike for all values: filters and words may pass few or many."""
        return not self.filters and self.words == "none"


def shape(
    search_query: SearchQuery, chosen: FilterSql, limit: int, *, by_index: bool, find_words: bool
) -> Shape:
    """The shape of a search; words that are too long for it are no `code`."""
    whole: Literal["image_score", "centred_score"]
    whole = "image_score" if search_query.centre is None else "centred_score"
    words = search_query.words
    return Shape(
        tables=chosen.tables,
        limit=limit,
        column=search_query.column,
        image="no_score" if search_query.image is None else whole,
        text="no_score" if search_query.text is None else "text_score",
        words="none" if not words else "code" if len(words) <= _LONGEST_CODE else "words",
        filters=frozenset(chosen.values),
        by_index=by_index,
        find_words=find_words,
    )


def statement(shape: Shape, chosen: FilterSql) -> sql.SQL:
    """Gives the `limit` nearest in a column, and what the words name, each compared exactly.

    A product may come twice. The columns are those of `search` in `search.sql`. The limit is
    written out, for Postgres keeps no plan whose cost it cannot tell.
    """
    composed = QUERIES["search"].format(
        parts=sql.SQL(" UNION ALL ").join(_parts(shape, chosen)),
        rest=QUERIES["rest"] if shape.image == "centred_score" else sql.SQL(""),
        image_score=QUERIES[shape.image],
        text_score=QUERIES[shape.text],
        word_score=QUERIES["no_score" if shape.words == "none" else "word_score"],
    )
    return statements.trusted(composed.as_string())


def values(search_query: SearchQuery, chosen: FilterSql, limit: int) -> dict[str, object]:
    """The parameters of `statement`. `EF_SEARCH` neighbours are looked at, or `limit` if more."""
    image, centre, words = search_query.image, search_query.centre, search_query.words
    return {
        "query": search_query.vector,
        "ef_search": str(max(EF_SEARCH, limit)),
        "named": NAMED,
        "image": image if image is None or centre is None else _rest(image, centre.scans),
        "mean": centre and centre.catalogue,
        "whole": image,
        "text": search_query.text,
        "words": words,
        "codes": _codes(words or ""),
        **chosen.values,
    }


def _parts(shape: Shape, chosen: FilterSql) -> Sequence[sql.Composed]:
    """What gives candidates: the nearest, those with all the words, those with that very code."""
    name, width = COLUMNS[shape.column]
    column = sql.Identifier(name)
    distance = QUERIES["by_index" if shape.by_index else "one_by_one"].format(
        column=column, width=sql.Literal(width)
    )
    has_words = shape.words != "none"
    columns = QUERIES["columns"].format(
        is_code=_is_code(chosen.variants) if has_words else sql.SQL("false"),
        price=_price(chosen.variants),
        **{name: _or_null(chosen.variants, column) for name, column in _SHOWN.items()},
    )
    same = {"columns": columns, "join": chosen.join, "chosen": chosen.chosen}
    limit = sql.Literal(shape.limit)
    parts = [QUERIES["near"].format(column=column, distance=distance, limit=limit, **same)]
    if has_words and shape.find_words:
        parts.append(QUERIES["named"].format(**same))
    if shape.words == "code":
        parts.append(QUERIES["coded"].format(is_code=_is_code(chosen.variants), **same))
    return parts


def _is_code(variants: Mapping[str, str]) -> sql.Composable:
    """The condition that a variant's SKU or barcode is among `codes`."""
    same = [
        sql.SQL("v.{}::text = ANY(%(codes)s)").format(sql.Identifier(name))
        for name in ("Sku", "Barcode")
        if name in variants
    ]
    return sql.SQL("({})").format(sql.SQL(" OR ").join(same)) if same else sql.SQL("false")


def _codes(words: str) -> list[str]:
    """The ways in which a SKU or a barcode may be written."""
    return list({words, words.upper(), words.lower()})


def _rest(image: Vector, mean: Vector) -> Vector:
    """What an image has beyond the mean; itself if that is nothing, which has no direction."""
    rest = image - mean
    return rest if np.linalg.norm(rest) > _NOTHING else image


def _price(variants: Mapping[str, str]) -> sql.Composable:
    """A variant's price as a number, NULL where it is none."""
    price = _or_null(variants, "Price")
    is_number = variants.get("Price", "").partition("(")[0] in _NUMBERS
    return QUERIES["price" if is_number else "price_in_words"].format(price=price)


def _or_null(variants: Mapping[str, str], name: str) -> sql.Composable:
    """A variant's column, or NULL where the table has none."""
    return sql.SQL("v.{}").format(sql.Identifier(name)) if name in variants else sql.SQL("NULL")
