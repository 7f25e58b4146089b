"""What an answer of an embedding server means: a value, or which kind of no."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from pydantic_core import from_json

from shelfsight.errors import ServerError

_REFUSING = frozenset({400, 413, 422})
"""Statuses that are about what was sent."""

_LATER = frozenset({408, 425, 429, 502, 503, 504})
"""Statuses of a server, or of what stands before it, that will answer later."""


class NotThereError(ServerError):
    """The server has no such endpoint."""


class RefusedError(Exception):
    """The server will not have what was sent; `content` is what it answered."""

    def __init__(self, kind: str, message: str, content: bytes = b"") -> None:
        super().__init__(message)
        self.kind = kind
        self.content = content


class AwayError(Exception):
    """No usable answer now; `after` is the pause the server asks for, in seconds."""

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class BrokenError(AwayError):
    """The server failed at this request, perhaps because of what was sent."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer read to its end. `request` is its method and path, for messages."""

    request: str
    status: int
    headers: Mapping[str, str]
    content: bytes

    def value(self) -> object:
        """Give the JSON it holds.

        Raises:
            RefusedError: the server will not have what was sent.
            AwayError: another try may do, after a while.
            ServerError: no other try will do.
        """
        if self.status in _LATER:
            raise AwayError(f"status {self.status}", _retry_after(self.headers))
        if self.status >= 500:
            raise BrokenError(self.status, f"status {self.status}: {self.excerpt}")
        if self.status in (401, 403):
            raise ServerError(
                f"the embedding server refuses {self.request} with status {self.status}:"
                " set EMBEDDING_SERVER_API_KEY to a key it knows"
            )
        if self._is_html:
            raise _no_embedding_server(self, f"a web page (HTML, status {self.status})")
        if self.status in _REFUSING:
            raise RefusedError(f"server_{self.status}", self.excerpt, self.content)
        if not 200 <= self.status < 300:
            raise _no_embedding_server(self, f"status {self.status}")
        try:
            value: object = from_json(self.content)
        except ValueError as error:
            raise AwayError(f"broken JSON ({error})") from error
        return value

    @property
    def excerpt(self) -> str:
        """The start of what it says, on one line."""
        return " ".join(self.content[:1000].decode("utf-8", "replace").split())[:200]

    @property
    def _is_html(self) -> bool:
        kind = self.headers.get("Content-Type", "")
        return "html" in kind or self.content.lstrip()[:1] == b"<"


def _no_embedding_server(answer: Answer, what: str) -> ServerError:
    kind = NotThereError if answer.status in (404, 405) else ServerError
    return kind(
        f"the server answers {answer.request} with {what}:"
        " EMBEDDING_SERVER_URL must be the address of an embedding server"
    )


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Read `Retry-After`, which is seconds or a date (RFC 9110, 10.2.3)."""
    sent = headers.get("Retry-After", "").strip()
    if sent.isdecimal():
        return float(sent)
    with suppress(ValueError):
        date = parsedate_to_datetime(sent)
        aware = date if date.tzinfo else date.replace(tzinfo=UTC)
        return (aware - datetime.now(UTC)).total_seconds()
    return None
