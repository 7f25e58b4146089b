"""Turns the response of an embedding server into JSON, or into the error that it stands for."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import from_json

from shelfsight.errors import ServerError
from shelfsight.retry_after import retry_after

_CONTENT_STATUSES = frozenset({400, 413, 422})
"""The statuses that blame the content of the request."""

_LATER_STATUSES = frozenset({408, 425, 429, 503})
"""The statuses of a server, or of a proxy in front of it, that may answer later."""

_BACKEND_FAILED = 424
"""The status that text-embeddings-inference sends where other servers send 500."""


class _Detail(BaseModel):
    retryDelay: str | None = Field(None, pattern=r"^[0-9]{1,6}(\.[0-9]+)?s$")


class _ErrorBody(BaseModel):
    details: list[_Detail]


class _GoogleError(BaseModel):
    error: _ErrorBody


class NoSuchEndpointError(ServerError):
    """The server does not have this endpoint."""


class UnavailableError(Exception):
    """There is no usable response now. `after` is the pause in seconds that the server asks for."""

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class RequestFailedError(UnavailableError):
    """The server failed to process this request, perhaps because of its content.

    `kind` is the kind of failure.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class ContentRefusedError(Exception):
    """The server refuses the content of the request. `content` is the body of the response."""

    def __init__(self, kind: str, message: str, content: bytes = b"") -> None:
        super().__init__(message)
        self.kind = kind
        self.content = content


class RepeatedFailureError(ContentRefusedError):
    """The server failed each time it was sent this content (a 500, a reset).

    A batch is then bisected. A single item is tried again once the probe item succeeds; if that
    fails too, the item gets a failure that is retried later.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerResponse:
    """A complete response. `request` is the method and the path, for messages."""

    request: str
    status: int
    headers: Mapping[str, str]
    content: bytes

    def value(self) -> object:
        """Return the JSON of the response, or raise the error that the response stands for.

        Raises:
            ContentRefusedError: the server refuses the content of the request.
            UnavailableError: another attempt may succeed later.
            ServerError: no other attempt can succeed.
        """
        if self.status in _LATER_STATUSES:
            after = retry_after(self.headers) or self._retry_delay
            pause = "" if after is None else f", asking for a pause of {after:.0f} s"
            raise UnavailableError(f"status {self.status}{pause}", after)
        if self.status >= 500 or self.status == _BACKEND_FAILED:
            raise RequestFailedError(
                f"server_{self.status}", f"status {self.status}: {self.error_message}"
            )
        if self.status in (401, 403):
            raise ServerError(
                f"the embedding server refuses {self.request} with status {self.status}:"
                " set EMBEDDING_SERVER_API_KEY to a key it knows"
            )
        if self._is_html:
            raise self._no_embedding_server(f"a web page (HTML, status {self.status})")
        if self.status in _CONTENT_STATUSES:
            raise ContentRefusedError(f"server_{self.status}", self.error_message, self.content)
        if not 200 <= self.status < 300:
            raise self._no_embedding_server(f"status {self.status}")
        return self._json()

    @property
    def error_message(self) -> str:
        """The server's error message on a single line.

        It is read from one of the usual shapes of JSON. In any other response the message is the
        start of the text.
        """
        with suppress(ValueError, TypeError, LookupError):
            error = from_json(self.content)
            for name in ("error", "message", "detail"):
                error = error.get(name, error) if isinstance(error, dict) else error
            if isinstance(error, str):
                return _excerpt(error)
        return _excerpt(self.content[:1000].decode("utf-8", "replace"))

    @property
    def _retry_delay(self) -> float | None:
        """The pause in seconds that the error says in its details, as services of Google do."""
        try:
            details = _GoogleError.model_validate_json(self.content).error.details
        except ValidationError:
            return None
        delays = [float(detail.retryDelay[:-1]) for detail in details if detail.retryDelay]
        return max(delays, default=None)

    @property
    def _is_html(self) -> bool:
        kind = self.headers.get("Content-Type", "")
        return "html" in kind or self.content.lstrip()[:1] == b"<"

    def _json(self) -> object:
        try:
            value: object = from_json(self.content)
        except ValueError as error:
            if self.request.startswith("GET"):  # some servers answer /health with a bare 200
                raise NoSuchEndpointError(f"{self.request} does not answer JSON") from error
            raise RequestFailedError("bad_answer", f"broken JSON ({error})") from error
        return value

    def _no_embedding_server(self, what: str) -> ServerError:
        kind = NoSuchEndpointError if self.status in (404, 405) else ServerError
        return kind(
            f"the server answers {self.request} with {what}:"
            " EMBEDDING_SERVER_URL must be the address of an embedding server"
        )


def _excerpt(said: str) -> str:
    return " ".join(said.split())[:200]
