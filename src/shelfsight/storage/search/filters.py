"""Turns the filters of a scan (owner, category, price and others) into SQL."""

from collections.abc import Callable, Mapping
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from shelfsight.errors import FilterError
from shelfsight.postgres import archived, moments, statements
from shelfsight.postgres.owners import belongs_to
from shelfsight.scan.matching import Filters

Columns = Callable[[str], Mapping[str, str]]
"""A function that returns the columns of a table with their SQL types; an empty mapping if there is
no such table."""

Tables = tuple[frozenset[tuple[str, str]], ...]
"""The columns of `"ProductVariants"` and of `"Products"`: pairs of name and SQL type."""

_TRUE = sql.SQL("true")
_WITH_PRODUCT = sql.SQL('LEFT JOIN "Products" AS p ON p."Id"{cast} = v."ProductId"{cast}')


class FilterSql:
    """The SQL of a scan's filters: `join`, `condition`, and the parameter `values` of both.

    The condition also excludes archived products. `variants` are the columns of `"ProductVariants"`
    with their SQL types. Times that they hold without a zone are in `time_zone`.

    Raises:
        FilterError: the shop's tables have no column for one of the filters.
    """

    def __init__(self, filters: Filters, columns: Columns, time_zone: str = "UTC") -> None:
        self.variants = columns("ProductVariants")
        self._products = columns("Products")
        self._living = archived.not_archived(self.variants, self._products, "v")
        self._conditions: list[sql.Composable] = []
        self.join: sql.Composable = sql.SQL("")
        self.values: dict[str, Any] = {}
        kind = self.variants.get("UserId", self._products.get("UserId", "text"))
        is_owner = belongs_to(sql.SQL("{column}"), kind, sql.SQL("{value}"))
        self._add("owner", filters.owner, is_owner, "UserId")
        self._add("category", filters.category, sql.SQL("{column} = {value}"), "Category")
        options = Jsonb(dict(filters.options)) if filters.options else None
        self._add("options", options, sql.SQL("{column}::jsonb @> {value}"), "Options")
        self._add("min_price", filters.min_price, sql.SQL("{column} >= {value}"), "Price")
        self._add("max_price", filters.max_price, sql.SQL("{column} <= {value}"), "Price")
        skus = list(filters.skus) or None
        self._add("skus", skus, sql.SQL("{column}::text = ANY({value})"), "Sku")
        updated = self.variants.get("UpdatedAt") or self._products.get("UpdatedAt", "")
        since = moments.comparison(">=", updated, time_zone)
        self._add("updated_since", filters.updated_since, since, "UpdatedAt")

    @property
    def tables(self) -> Tables:
        """The columns of the shop's tables. The text of `join` and `condition` depends on them."""
        return frozenset(self.variants.items()), frozenset(self._products.items())

    @property
    def condition(self) -> sql.Composable:
        """The condition on a variant `v`; also on its product `p`, if `join` is not empty."""
        conditions = [*self._living, *self._conditions]
        return sql.SQL(" AND ").join(conditions) if conditions else _TRUE

    @property
    def is_unfiltered(self) -> bool:
        """Whether no filter is set. Then all products pass except archived ones."""
        return not self._conditions

    def _add(self, name: str, value: object, comparison: sql.Composable, column: str) -> None:
        if value is None:
            return
        placeholder = sql.Placeholder(f"filter_{name}")
        text = statements.trusted(comparison.as_string())
        self._conditions.append(text.format(column=self._column(name, column), value=placeholder))
        self.values[f"filter_{name}"] = value

    def _column(self, name: str, column: str) -> sql.Composable:
        if column in self.variants:
            return sql.SQL("v.{}").format(sql.Identifier(column))
        if column in self._products and "ProductId" in self.variants:
            same_type = self._products.get("Id") == self.variants["ProductId"]
            self.join = _WITH_PRODUCT.format(cast=sql.SQL("" if same_type else "::text"))
            return sql.SQL("p.{}").format(sql.Identifier(column))
        raise FilterError(
            f'products cannot be chosen by {name}: there is no column "{column}" in'
            ' "ProductVariants" or "Products"'
        )
