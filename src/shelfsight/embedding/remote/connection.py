"""Requests to an embedding server, each sent until it is answered or patience ends."""

import asyncio
from functools import partial
from io import BytesIO
from typing import Self

import aiohttp
from yarl import URL

from shelfsight.embedding.remote.answer import Answer, AwayError, BrokenError
from shelfsight.embedding.remote.breaker import ServerBreaker
from shelfsight.embedding.remote.config import ServerConfig
from shelfsight.errors import ServerError


class ServerConnection:
    """Connections to one server, reused; an asynchronous context manager."""

    def __init__(self, config: ServerConfig) -> None:
        self._retry_policy = config.retry_policy
        self._api_key = config.api_key
        url = URL(config.url)
        url = url.with_path(url.raw_path.rstrip("/").removesuffix("/v1"), encoded=True)
        self._url = url.with_user(None) if config.api_key else url
        self.shown = str(url.with_user(None))
        self._breaker = ServerBreaker(config, self.shown)

    async def __aenter__(self) -> Self:
        key = self._api_key
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(
                total=None,
                sock_connect=self._retry_policy.connect,
                sock_read=self._retry_policy.answer,
            ),
        )
        self._voice = asyncio.create_task(self._breaker.tell())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._voice.cancel()
        await self._session.close()

    async def get(self, path: str) -> object:
        """Give the JSON that `path` answers.

        Raises:
            NotThereError: there is no such endpoint, or it does not answer JSON.
            ServerError: there is no usable answer, nor will there be.
        """
        return await self._breaker.ask(partial(self._send, "GET", path, None))

    async def post(self, path: str, body: bytes, *, hold_on: bool = False) -> object:
        """Give the JSON that `path` answers to a JSON body.

        Raises:
            RefusedError: the server will not have this body or, unless told to `hold_on`, fails
                at it again and again; else as `get`.
        """
        return await self._breaker.ask(partial(self._send, "POST", path, body), hold_on=hold_on)

    async def _send(self, method: str, path: str, body: bytes | None) -> Answer:
        """Send once, following redirects; a 303 is followed by GET, as Modal wants it."""
        headers = {} if body is None else {"Content-Type": "application/json"}
        url = self._url.joinpath(path.lstrip("/"))
        data = None if body is None else BytesIO(body)  # bytes would be written in one piece
        if self._session.closed:  # between two tries: nobody waits for the answer any more
            raise asyncio.CancelledError
        try:
            async with self._session.request(
                method, url, data=data, headers=headers, max_redirects=20
            ) as response:
                content = await response.read()
                self._refuse_moved(response)
                return Answer(
                    request=f"{method} {path}",
                    status=response.status,
                    headers=response.headers,
                    content=content,
                )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._no_answer(error) from error

    def _no_answer(self, error: Exception) -> Exception:
        """Tell whether another try may do, and whether what was sent may be the cause."""
        if isinstance(
            error, aiohttp.InvalidURL | aiohttp.ClientSSLError | aiohttp.TooManyRedirects
        ):
            return ServerError(f"the embedding server {self.shown} cannot be used: {error}")
        if isinstance(error, aiohttp.ClientConnectorDNSError) and not self._breaker.was_heard:
            return ServerError(
                f"no host of the name {self._url.host} is known: correct EMBEDDING_SERVER_URL"
            )
        said = str(error) or type(error).__name__
        if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
            return AwayError(said)
        return BrokenError("no_answer", said)

    def _refuse_moved(self, response: aiohttp.ClientResponse) -> None:
        """Refuse a redirect that turns a POST into a GET by custom, as from http to https."""
        if any(step.status in (301, 302) for step in response.history):
            raise ServerError(
                f"the embedding server {self.shown} has moved to {response.url.origin()}:"
                " set EMBEDDING_SERVER_URL to its new address"
            )
