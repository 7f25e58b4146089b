"""Sends requests to an embedding server until the server responds or the time is used up."""

import asyncio
from functools import partial
from io import BytesIO
from typing import Self

import aiohttp
from yarl import URL

from shelfsight.embedding.remote.breaker import ServerBreaker
from shelfsight.embedding.remote.config import ServerConfig
from shelfsight.embedding.remote.server_response import (
    RequestFailedError,
    ServerResponse,
    UnavailableError,
)
from shelfsight.errors import ServerError
from shelfsight.telemetry.traces import outgoing_headers


class ServerConnection:
    """Connections to a server, which are reused; an asynchronous context manager."""

    def __init__(self, config: ServerConfig) -> None:
        self._retry_policy = config.retry_policy
        self._headers = _key_headers(config)
        self._is_ours = config.service is None
        url = URL(config.url)
        url = url.with_path(url.raw_path.rstrip("/").removesuffix(_prefix(config)), encoded=True)
        self._url = url.with_user(None) if config.api_key else url
        self.shown = str(url.with_user(None))
        self._breaker = ServerBreaker(config, self.shown)

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers=self._headers,
            # The operator's own server: the system may know its name from other sources than DNS.
            connector=aiohttp.TCPConnector(limit=0, resolver=aiohttp.ThreadedResolver()),
            timeout=aiohttp.ClientTimeout(
                total=None,
                sock_connect=self._retry_policy.connect,
                sock_read=self._retry_policy.answer,
            ),
        )
        self._reporter = asyncio.create_task(self._breaker.report_silence())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reporter.cancel()
        await self._session.close()

    async def get(self, path: str) -> object:
        """GET `path` and return the JSON of the response.

        Raises:
            NoSuchEndpointError: the server has no such endpoint, or the response is not JSON.
            ServerError: there is no usable response, and no other attempt can succeed.
        """
        return await self._breaker.ask(partial(self._send, "GET", path, None))

    async def post(self, path: str, body: bytes, *, keep_trying: bool = False) -> object:
        """POST a JSON body to `path` and return the JSON of the response.

        Raises:
            ContentRefusedError: the server refuses the body. Or the server failed in every attempt
                to process it, and `keep_trying` is False.
            NoSuchEndpointError, ServerError: for the same reasons as in `get`.
        """
        return await self._breaker.ask(
            partial(self._send, "POST", path, body), keep_trying=keep_trying
        )

    async def _send(self, method: str, path: str, body: bytes | None) -> ServerResponse:
        """Send a request and follow redirects; a 303 is followed with GET, as Modal expects."""
        headers = {} if body is None else {"Content-Type": "application/json"}
        if self._is_ours:
            headers |= outgoing_headers()
        url = self._url.joinpath(path.lstrip("/"))
        data = None if body is None else BytesIO(body)  # bytes are sent in one piece
        if self._session.closed:  # closed between two attempts: nobody waits for the response
            raise asyncio.CancelledError
        try:
            async with self._session.request(
                method, url, data=data, headers=headers, max_redirects=20
            ) as response:
                content = await response.read()
                self._refuse_moved(response)
                return ServerResponse(
                    request=f"{method} {path}",
                    status=response.status,
                    headers=response.headers,
                    content=content,
                )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._no_answer(error) from error

    def _no_answer(self, error: Exception) -> Exception:
        """Return the error to raise: may it pass on another try, may the content be at fault?"""
        if isinstance(
            error, aiohttp.InvalidURL | aiohttp.ClientSSLError | aiohttp.TooManyRedirects
        ):
            return ServerError(f"the embedding server {self.shown} cannot be used: {error}")
        if isinstance(error, aiohttp.ClientConnectorDNSError) and not self._breaker.has_answered:
            return ServerError(
                f"no host of the name {self._url.host} is known: correct EMBEDDING_SERVER_URL"
            )
        said = str(error) or type(error).__name__
        if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
            return UnavailableError(said)
        return RequestFailedError("no_answer", said)

    def _refuse_moved(self, response: aiohttp.ClientResponse) -> None:
        """Refuse a redirect by 301 or 302, such as from http to https: POST would become GET."""
        if any(step.status in (301, 302) for step in response.history):
            raise ServerError(
                f"the embedding server {self.shown} has moved to {response.url.origin()}:"
                " set EMBEDDING_SERVER_URL to its new address"
            )


def _prefix(config: ServerConfig) -> str:
    return "/v1" if config.service is None else config.service.prefix


def _key_headers(config: ServerConfig) -> dict[str, str]:
    if config.api_key is None:
        return {}
    if config.service is None:
        return {"Authorization": f"Bearer {config.api_key}"}
    return config.service.key_headers(config.api_key)
