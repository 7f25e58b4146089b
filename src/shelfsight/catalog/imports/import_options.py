"""The options of an import."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """How a file is read and imported.

    `mapped` names columns by the field that they hold, and `encoding` that of the file's text;
    without it the encoding is found out.

    With `clear_empty`, an empty cell empties the stored value. With `complete`, the file is the
    whole catalogue: products that it lacks are archived, and those that it has are restored. A
    `dry_run` counts all this and writes nothing.
    """

    mapped: Mapping[str, str] = field(default_factory=dict)
    encoding: str | None = None
    clear_empty: bool = False
    complete: bool = False
    dry_run: bool = False
