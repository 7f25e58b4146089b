"""The options of an import."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """How a file is imported.

    With `clear_empty`, an empty cell empties the stored value. With `complete`, the file is the
    whole catalogue: products that it lacks are archived, and those that it has are restored. A
    `dry_run` counts all this and writes nothing.
    """

    clear_empty: bool = False
    complete: bool = False
    dry_run: bool = False
