"""uvicorn's HTTP protocol, with limits for headers, for slow clients, and for connections."""

import asyncio
from http import HTTPStatus
from typing import Any, ClassVar

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from shelfsight.serving.connections import Activity, ConnectionTable
from shelfsight.serving.limits import ConnectionLimits

CLOSING_SECONDS = 5
"""Seconds in which a client has to take what was sent to it before its connection was closed, and
to send the rest of a request that was answered early."""


def limited_protocol(connections: ConnectionTable) -> type["LimitedHttpProtocol"]:
    """Return a protocol class whose connections share this table."""

    class Limited(LimitedHttpProtocol):
        table = connections
        limits = connections.limits

    return Limited


class LimitedHttpProtocol(HttpToolsProtocol):
    """One connection of a client.

    uvicorn itself has no limit for headers (with httptools), for requests that are sent before the
    response to an earlier one, for the time until a request is complete, or for idle connections.
    """

    table: ClassVar[ConnectionTable]
    limits: ClassVar[ConnectionLimits]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Admit the connection, or refuse it with a 503."""
        super().connection_made(transport)
        self.host = self.client[0] if self.client else ""
        self.since = self.loop.time()
        self._deadline: float | None = self.since + self.limits.header_seconds
        self._read_deadline: float | None = None
        self._unparsed = self._header_bytes = self._header_count = 0
        self._is_complete = False
        self._is_refused = False
        self._closes = False
        self._drops_input = False
        if not self.table.admit(self):
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections: try again later")

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the connection's place to others."""
        self.table.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what arrives, and refuse headers that are too large."""
        if self._drops_input:
            return
        if self._deadline is None and self.activity is Activity.IDLE:
            self._deadline = self.loop.time() + self.limits.header_seconds
        self._unparsed += len(data)
        super().data_received(data)
        too_large = max(self._unparsed, self._header_bytes) > self.limits.header_bytes
        too_large = too_large or self._header_count > self.limits.headers
        if too_large and not self._is_refused and not self.transport.is_closing():
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            self._refuse(status, "the headers are too large", is_sending=True)

    def on_message_begin(self) -> None:
        """Start to count the headers and the time of a request."""
        super().on_message_begin()
        self._header_bytes = self._header_count = 0
        self._is_complete = False
        self._deadline = self.loop.time() + self.limits.header_seconds

    def on_url(self, url: bytes) -> None:
        """Count a part of the URL."""
        self._header_bytes += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header, or a trailer of a chunked body."""
        self._header_bytes += len(name) + len(value) + 4
        self._header_count += 1
        if self._header_count <= self.limits.headers:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Pass the request to the app, unless its headers are too large."""
        self._unparsed = 0
        self._deadline = self.loop.time() + self.limits.body_seconds
        if len(self.pipeline) >= self.limits.pipelined:
            self._is_refused = True
            self.transport.abort()
            return
        large = self._header_bytes > self.limits.header_bytes
        if large or self._header_count > self.limits.headers:
            self._is_refused = True
            self.url = b"/"  # httptools cannot parse one of more than 64 kB
            self.app = _headers_too_large
        super().on_headers_complete()
        if self.cycle is not None:
            self.cycle.transport = _ClosedOnceRead(self)  # type: ignore[assignment]  # has all of it

    def on_body(self, body: bytes) -> None:
        """Pass on a part of the body."""
        self._unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the time of the request."""
        self._unparsed = 0
        self._is_complete = True
        self._deadline = None
        super().on_message_complete()
        if self._closes:
            self.transport.close()

    def on_response_complete(self) -> None:
        """Let the connection wait for the next request."""
        self.since = self.loop.time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Start the time in which the client has to read its response."""
        self._read_deadline = self.loop.time() + self.limits.response_seconds
        super().pause_writing()

    def resume_writing(self) -> None:
        """End that time: the client reads."""
        self._read_deadline = None
        super().resume_writing()

    @property
    def activity(self) -> Activity:
        """Whether the client sends nothing or headers, sends a body, or waits for a response."""
        if self.cycle is None or self.cycle.response_complete:
            return Activity.IDLE
        return Activity.ANSWERED if self._is_complete else Activity.SENDING

    def close_once_read(self) -> None:
        """Close the connection after the request, whose rest is read and dropped.

        If it was closed before, the system would tell the client that the connection was reset, and
        the client would lose the response.
        """
        if self._is_complete or self.transport.is_closing():
            self.transport.close()
        else:
            self._closes = True
            self._deadline = self.loop.time() + CLOSING_SECONDS

    def drop(self) -> None:
        """Close the connection at once, whatever is under way."""
        self.transport.abort()

    def close_if_late(self, now: float) -> None:
        """Close the connection after its deadline; drop it if it does not close."""
        if self._deadline is None and self.transport.is_closing():
            self._deadline = now + CLOSING_SECONDS
        if self._read_deadline is not None and now > self._read_deadline:
            self.transport.abort()
        elif self._deadline is None or now < self._deadline:
            return
        elif self._closes or self.transport.is_closing() or self.activity is not Activity.IDLE:
            self.transport.abort()
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "the request did not arrive in time")

    def _refuse(self, status: HTTPStatus, message: str, *, is_sending: bool = False) -> None:
        """Answer without the app, and close; a request in progress is broken off.

        A client that `is_sending` is told that this is all, and has until the deadline to close. If
        the connection was closed before, the client would lose the response; see `close_once_read`.
        """
        self._is_refused = True
        self._deadline = self.loop.time() + CLOSING_SECONDS
        if self.activity is not Activity.IDLE:
            self.transport.abort()
            return
        response = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\n"
            f"content-type: text/plain\r\ncontent-length: {len(message) + 1}\r\n"
            f"connection: close\r\n\r\n{message}\n"
        )
        self.transport.write(response.encode())
        if is_sending and self.transport.can_write_eof():
            self._closes = self._drops_input = True
            self.transport.write_eof()
        else:
            self.transport.close()


class _ClosedOnceRead:
    """The transport of a connection, as the cycle of a request sees it: it closes once it is read.

    uvicorn closes a connection that is not kept alive as soon as the response was sent.
    """

    def __init__(self, protocol: LimitedHttpProtocol) -> None:
        self._protocol = protocol

    def __getattr__(self, name: str) -> object:
        return getattr(self._protocol.transport, name)

    def close(self) -> None:
        self._protocol.close_once_read()


async def _headers_too_large(_scope: Scope, _receive: Receive, send: Send) -> None:
    headers: list[tuple[bytes, bytes]] = [(b"connection", b"close"), (b"content-length", b"0")]
    start: dict[str, Any] = {"type": "http.response.start", "status": 431, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": b""})
