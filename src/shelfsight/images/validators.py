"""HTTP validators, used to download a file only if it has changed (RFC 9110)."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from yarl import URL

from shelfsight.records import PictureFile

_MAX_LENGTH = 500
"""The largest number of characters of a validator that is stored."""

_SINGLE_ETAG = re.compile(r'(W/)?("[^"]*"|[^",*\s]+)')
"""One ETag; some servers omit its quotes. `*` is excluded: it means any file (RFC 9110, 13.1.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A downloaded file and its validators; `data` is None if the file has not changed.

    `source` is the address that redirects led to. It is None without redirects or without
    validators.
    """

    data: bytes | None
    etag: str | None = None
    last_modified: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class ConditionalRequest:
    """A request for the file at an address, unless the server still has the `known` file.

    `on_bytes` is called with the number of bytes of each part of the body that arrives. `source` is
    the address again if the catalogue has only a part of it, else None: the known file may be of
    another server.
    """

    url: URL
    known: PictureFile | None
    on_bytes: Callable[[int], None]
    source: str | None = None

    def condition(self, source: str | None) -> dict[str, str]:
        """Return the headers that ask for a changed file only; empty if there are no validators.

        They are also empty if the known file came from another address. The modification time is
        sent only if there is no ETag, because a newer file may have been replaced by an older file.
        """
        if self.known is None or self.known.source != source:
            return {}
        if self.known.etag is not None:
            return {"If-None-Match": self.known.etag}
        if self.known.last_modified is not None:
            return {"If-Modified-Since": self.known.last_modified}
        return {}


def whole_file(data: bytes, headers: Mapping[str, str], source: str | None) -> Download:
    """Return the `Download` of a whole file, with the validators from the response headers."""
    etag, last_modified = _storable(headers, "ETag"), _storable(headers, "Last-Modified")
    if etag is not None and not _SINGLE_ETAG.fullmatch(etag):
        etag = None
    has_any = etag is not None or last_modified is not None
    return Download(
        data=data, etag=etag, last_modified=last_modified, source=source if has_any else None
    )


def _storable(headers: Mapping[str, str], name: str) -> str | None:
    """Return a header if it is short printable ASCII, which any database can store; else None."""
    value = headers.get(name, "")
    is_plain = value.isascii() and value.isprintable() and len(value) <= _MAX_LENGTH
    return value if value and is_plain else None
