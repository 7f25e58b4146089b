"""A format of product files: how it is recognised, what its columns mean, and how it is read."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from shelfsight.catalog.imports.columns import normal
from shelfsight.catalog.imports.imported import Item
from shelfsight.catalog.imports.rows import Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A format of product files.

    `columns` has the field of each column that is used. A field that is no field of a product
    (`columns.FIELDS`) has the name of what it goes into first, such as `options.value.#`; in
    columns and fields `#` stands for any number. `recognises` is asked with the columns of the file
    or of its first record. `products` reads the rows, more than once if it has to.
    """

    name: str
    columns: Mapping[str, str]
    recognises: Callable[[Mapping[str, object]], bool]
    products: Callable[[Rows], Iterator[Item]]


def has_columns(*alternatives: set[str]) -> Callable[[Mapping[str, object]], bool]:
    """Return a function that says whether a file has all columns of one of these sets."""
    wanted = [{normal(column) for column in columns} for columns in alternatives]

    def recognises(columns: Mapping[str, object]) -> bool:
        given = {normal(column) for column in columns}
        return any(columns <= given for columns in wanted)

    return recognises
