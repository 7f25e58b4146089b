"""What a server says of a file, so that it can be asked later whether it has another (RFC 9110)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from yarl import URL

from shelfsight.records import PictureFile

_LONGEST = 500
"""Characters of a validator that is worth keeping."""

_ONE_ETAG = re.compile(r'(W/)?("[^"]*"|[^",*\s]+)')
"""Also without quotes, as some servers have it. `*` would fit every file (RFC 9110, 13.1.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server sent: `data` is None where it has the very file that is known.

    `source` is where redirects led to, if they did.
    """

    data: bytes | None
    etag: str | None = None
    last_modified: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """The file at an address, unless it is the one that is known."""

    url: URL
    known: PictureFile | None

    def condition(self, source: str | None) -> dict[str, str]:
        """Headers that ask for another file only; none where another address gave the known one.

        The time is asked with where there is no ETag, never beside it: an older file may have
        taken the place of a newer.
        """
        if self.known is None or self.known.source != source:
            return {}
        if self.known.etag is not None:
            return {"If-None-Match": self.known.etag}
        if self.known.last_modified is not None:
            return {"If-Modified-Since": self.known.last_modified}
        return {}


def answered(data: bytes, headers: Mapping[str, str], source: str | None) -> Answer:
    """A whole file, with the validators in the headers."""
    etag, last_modified = _kept(headers, "ETag"), _kept(headers, "Last-Modified")
    if etag is not None and not _ONE_ETAG.fullmatch(etag):
        etag = None
    has_any = etag is not None or last_modified is not None
    return Answer(
        data=data, etag=etag, last_modified=last_modified, source=source if has_any else None
    )


def _kept(headers: Mapping[str, str], name: str) -> str | None:
    """One of moderate length that any database can keep."""
    value = headers.get(name, "")
    is_plain = value.isascii() and value.isprintable() and len(value) <= _LONGEST
    return value if value and is_plain else None
