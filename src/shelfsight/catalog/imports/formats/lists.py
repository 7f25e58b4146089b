"""Reads cells that hold several values."""

_ESCAPED = "\x00"
"""Stands for an escaped comma. No cell has this character."""


def comma_list(text: str, *, separator: str = ",") -> list[str]:
    r"""Return the values of a cell such as `a.jpg, b.jpg`. A comma inside of a value is `\,`."""
    escaped = text.replace(f"\\{separator}", _ESCAPED)
    values = (value.replace(_ESCAPED, separator).strip() for value in escaped.split(separator))
    return [value for value in values if value]


def deepest(categories: list[str], separator: str, *, skipped: int = 0) -> str:
    """Return the first of the categories with the most levels, as `Clothing > Shirts`.

    `separator` is what the file has between two levels; the `skipped` highest levels are left out.
    A number is that of a category in the shop, and says nothing to people.
    """
    named = [category for category in categories if not category.isdecimal()]
    paths = [[level.strip() for level in category.split(separator)] for category in named]
    path = max(paths, key=len, default=[])
    return " > ".join(path[skipped:])
