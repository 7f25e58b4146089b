"""What an answer of an embedding server means: a value, or which kind of no."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from pydantic_core import from_json

from shelfsight.errors import ServerError
from shelfsight.retry_after import retry_after

_REFUSING = frozenset({400, 413, 422})
"""Statuses that are about what was sent."""

_LATER = frozenset({408, 425, 429, 503})
"""Statuses of a server, or of what stands before it, that will answer later."""

_BACKEND_FAILED = 424
"""What text-embeddings-inference answers where others answer 500."""


class NotThereError(ServerError):
    """The server has no such endpoint."""


class AwayError(Exception):
    """No usable answer now; `after` is the pause the server asks for, in seconds."""

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class BrokenError(AwayError):
    """The server failed at this request, perhaps because of what was sent; `kind` says how."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class RefusedError(Exception):
    """The server will not have what was sent; `content` is what it answered."""

    def __init__(self, kind: str, message: str, content: bytes = b"") -> None:
        super().__init__(message)
        self.kind = kind
        self.content = content


class FailedError(RefusedError):
    """The server did not refuse what was sent, but failed at it each time."""


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
            after = retry_after(self.headers)
            pause = "" if after is None else f", asking for a pause of {after:.0f} s"
            raise AwayError(f"status {self.status}{pause}", after)
        if self.status >= 500 or self.status == _BACKEND_FAILED:
            raise BrokenError(f"server_{self.status}", f"status {self.status}: {self.said}")
        if self.status in (401, 403):
            raise ServerError(
                f"the embedding server refuses {self.request} with status {self.status}:"
                " set EMBEDDING_SERVER_API_KEY to a key it knows"
            )
        if self._is_html:
            raise self._no_embedding_server(f"a web page (HTML, status {self.status})")
        if self.status in _REFUSING:
            raise RefusedError(f"server_{self.status}", self.said, self.content)
        if not 200 <= self.status < 300:
            raise self._no_embedding_server(f"status {self.status}")
        return self._json()

    @property
    def said(self) -> str:
        """The words of an error in one of the usual shapes, else the start, on one line."""
        with suppress(ValueError, TypeError, LookupError):
            error = from_json(self.content)
            for name in ("error", "message", "detail"):
                error = error.get(name, error) if isinstance(error, dict) else error
            if isinstance(error, str):
                return _excerpt(error)
        return _excerpt(self.content[:1000].decode("utf-8", "replace"))

    @property
    def _is_html(self) -> bool:
        kind = self.headers.get("Content-Type", "")
        return "html" in kind or self.content.lstrip()[:1] == b"<"

    def _json(self) -> object:
        try:
            value: object = from_json(self.content)
        except ValueError as error:
            if self.request.startswith("GET"):  # as where /health says no more than 200
                raise NotThereError(f"{self.request} does not answer JSON") from error
            raise BrokenError("bad_answer", f"broken JSON ({error})") from error
        return value

    def _no_embedding_server(self, what: str) -> ServerError:
        kind = NotThereError if self.status in (404, 405) else ServerError
        return kind(
            f"the server answers {self.request} with {what}:"
            " EMBEDDING_SERVER_URL must be the address of an embedding server"
        )


def _excerpt(said: str) -> str:
    return " ".join(said.split())[:200]
