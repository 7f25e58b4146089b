"""Decides what an import writes for a page of products, given what is stored."""

from collections import ChainMap, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID, uuid5

from shelfsight.catalog.imports.changes import Changes, StoredVariant, compare
from shelfsight.catalog.imports.import_options import ImportOptions
from shelfsight.catalog.imports.import_summary import ImportSummary
from shelfsight.catalog.imports.imported import BadLine, Column, ImportedProduct, is_empty
from shelfsight.catalog.imports.preview import PREVIEWED, preview

_NAMESPACE = UUID("6f3b2c1e-8d5a-4f0b-9c37-2f6f5d0a7e41")
"""The namespace of the ids that are derived from owner and SKU. It never changes, so that the ids
are the same everywhere."""


class ProductState(NamedTuple):
    """The category of a row of `"Products"`, and whether a line of the file has decided it."""

    category: str | None
    is_decided: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A product of the file with its stored variant, if there is one.

    `product_id` is the row of `"Products"` to which the variant belongs after the import; None if
    it belongs to none.
    """

    product: ImportedProduct
    stored: StoredVariant | None
    product_id: UUID | None

    @property
    def owner_id(self) -> str | None:
        """The owner of the variant. A stored variant keeps its owner."""
        return self.product.owner_id if self.stored is None else self.stored.owner_id

    @property
    def new_id(self) -> UUID:
        """The id of the variant if it is new."""
        return _derived_id("variant", self.owner_id, self.product.sku)

    @property
    def is_moved(self) -> bool:
        """Whether a stored variant gets another product than it has."""
        return self.stored is not None and self.product_id != self.stored.product_id


class ChangedVariant(NamedTuple):
    """A stored variant that changes: its id, its line and the changes."""

    id: UUID
    line: Line
    changes: Changes


@dataclass(slots=True, kw_only=True)
class PagePlan:
    """What an import writes for a page.

    `products` has the rows of `"Products"` as the import leaves them; `categories` are the new
    categories of rows that are there. `restored` has the ids of variants that are archived no
    longer.
    """

    new: list[Line] = field(default_factory=list)
    changed: list[ChangedVariant] = field(default_factory=list)
    restored: list[UUID] = field(default_factory=list)
    new_products: dict[UUID, Line] = field(default_factory=dict)
    categories: dict[UUID, str | None] = field(default_factory=dict)
    products: dict[UUID, ProductState] = field(default_factory=dict)
    summary: ImportSummary = field(default_factory=ImportSummary)


def match(
    page: Iterable[ImportedProduct], stored: Iterable[StoredVariant]
) -> tuple[list[Line], list[BadLine]]:
    """Find the stored variant of each product by SKU and owner.

    A product for which the file gives no owner is found by its SKU alone: a variant without an
    owner comes first. If several owners have the SKU, the line is bad.
    """
    by_sku: dict[str, list[StoredVariant]] = defaultdict(list)
    for candidate in stored:
        by_sku[candidate.sku].append(candidate)
    lines: list[Line] = []
    bad: list[BadLine] = []
    for product in page:
        same_sku = by_sku[product.sku]
        found = [v for v in same_sku if v.owner_id == product.owner_id]
        if not found and product.owner_id is None:
            found = same_sku
            if len({v.owner_id for v in found}) > 1:
                reason = f"sku {product.sku!r} belongs to several owners: add a column owner"
                bad.append(BadLine(line=product.line, reason=reason))
                continue
        variant = min(found, key=lambda v: not v.is_living, default=None)
        lines.append(
            Line(product=product, stored=variant, product_id=_product_id(product, variant))
        )
    return lines, bad


def plan(
    lines: Sequence[Line], products: Mapping[UUID, ProductState], options: ImportOptions
) -> PagePlan:
    """Decide what an import of the lines writes. `products` has the rows of `"Products"`."""
    result = PagePlan()
    states = ChainMap(result.products, dict(products))
    for line in lines:
        changed, emptied = _plan_category(line, states, options, result)
        changes = None
        if line.stored is not None:
            changes = compare(line.product, line.stored, clear_empty=options.clear_empty)
        if options.dry_run and len(result.summary.first_products) < PREVIEWED:
            state = states.get(line.product_id) if line.product_id is not None else None
            category = state.category if state is not None else None
            result.summary.first_products.append(
                preview(line.product, line.stored, changes, category)
            )
        if line.stored is None or changes is None:
            result.new.append(line)
            result.summary.new += 1
            continue
        changed |= changes.changed
        emptied |= changes.emptied
        if line.is_moved and line.product.product_key:
            changed.add(Column.PRODUCT_KEY)
        if changes.changed or changes.emptied or line.is_moved:
            result.changed.append(ChangedVariant(line.stored.id, line, changes))
        is_restored = options.complete and line.stored.is_marked
        if is_restored:
            result.restored.append(line.stored.id)
        _count(result.summary, changed, emptied, is_restored=is_restored)
    return result


def _plan_category(
    line: Line,
    states: ChainMap[UUID, ProductState],
    options: ImportOptions,
    result: PagePlan,
) -> tuple[set[Column], set[Column]]:
    """Plan the row of `"Products"`; return whether its category is changed or emptied.

    The first line of a product that gives a category decides it.
    """
    product_id, given = line.product_id, line.product.category
    if product_id is None:
        return set(), set()
    state = states.get(product_id)
    if state is not None and state.is_decided:
        return set(), set()
    old = _category_before(line, states) if state is None else state.category
    is_cleared = options.clear_empty and Column.CATEGORY in line.product.empty
    category = given or (None if is_cleared and not is_empty(old) else old)
    if state is None and (line.stored is None or line.is_moved or given):
        result.new_products[product_id] = line
    if state is not None and category != old:
        result.categories[product_id] = category
    if product_id in result.new_products or given or is_cleared:
        states[product_id] = ProductState(category, bool(given) or is_cleared)
    if category == old or line.stored is None:
        return set(), set()
    return ({Column.CATEGORY}, set()) if given else (set(), {Column.CATEGORY})


def _category_before(line: Line, states: Mapping[UUID, ProductState]) -> str | None:
    """Return the category of the product from which a variant is moved."""
    before = None if line.stored is None else line.stored.product_id
    state = None if before is None else states.get(before)
    return None if state is None else state.category


def _count(
    summary: ImportSummary, changed: set[Column], emptied: set[Column], *, is_restored: bool
) -> None:
    if changed or emptied or is_restored:
        summary.changed += 1
    else:
        summary.untouched += 1
    summary.changed_columns.update(changed)
    summary.emptied_columns.update(emptied)
    summary.restored += is_restored


def _product_id(product: ImportedProduct, stored: StoredVariant | None) -> UUID | None:
    owner = product.owner_id if stored is None else stored.owner_id
    if product.product_key:
        return _derived_id("product", owner, product.product_key)
    if stored is not None and stored.product_id is not None:
        return stored.product_id
    if stored is None or product.category:
        return _derived_id("product", owner, product.sku)
    return None


def _derived_id(kind: str, owner: str | None, key: str) -> UUID:
    return uuid5(_NAMESPACE, f"{kind}\n{owner or ''}\n{key}")
