"""The clients: one for synchronous code, one for asyncio."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Literal, Self, Unpack
from urllib.parse import quote

import httpx

from shelfsight_client.errors import refusal
from shelfsight_client.events import EventParser, broken_off
from shelfsight_client.responses import (
    Box,
    Event,
    FeedbackResponse,
    Matches,
    Readiness,
    ScanResponse,
)
from shelfsight_client.scan_request import Photo, ScanOptions, scan_body

BOXES = "/products/orchestrate/boxes"
SCAN = "/products/orchestrate/quick-scan"
TIMEOUT = httpx.Timeout(60, connect=10)
"""Seconds. A server ends a scan after 30 s by itself, unless `SCAN_TIMEOUT` says otherwise."""

Verdict = Literal["right", "wrong", "none"]


def _headers(api_key: str | None) -> dict[str, str]:
    return {} if api_key is None else {"Authorization": f"Bearer {api_key}"}


def _similar(variant_id: str) -> str:
    return f"/products/{quote(variant_id, safe='')}/similar"


def _verdict(scan_id: str, verdict: Verdict, variant_id: str | None) -> dict[str, str | None]:
    return {"scanId": scan_id, "verdict": verdict, "productVariantId": variant_id}


class Shelfsight:
    """A Shelfsight server. Several threads may use one client.

    Every method raises `ShelfsightError` if the server refuses, and `httpx.TransportError` if it
    cannot be reached.
    """

    def __init__(
        self, url: str, *, api_key: str | None = None, timeout: httpx.Timeout | float = TIMEOUT
    ) -> None:
        """Make a client of `shelfsight serve` at `url`; `timeout` is in seconds."""
        self._http = httpx.Client(
            base_url=url.rstrip("/"), headers=_headers(api_key), timeout=timeout
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def scan(
        self,
        photos: Photo | Sequence[Photo] = (),
        *,
        text: str | None = None,
        **options: Unpack[ScanOptions],
    ) -> ScanResponse:
        """Find the products that photos show, words describe, or both.

        Args:
            photos: paths, bytes of files, or addresses; one or up to ten.
            text: words that describe the thing, or its SKU or barcode.
            **options: see `ScanOptions`.
        """
        found: ScanResponse = self._post(SCAN, scan_body(photos, text, options)).json()
        return found

    def boxes(self, photo: Photo) -> list[Box]:
        """Find the things in a photo that have some space between them; scan each with `box`."""
        boxes: list[Box] = self._post(BOXES, scan_body(photo, None, {})).json()["boxes"]
        return boxes

    def stream(
        self,
        photos: Photo | Sequence[Photo] = (),
        *,
        text: str | None = None,
        **options: Unpack[ScanOptions],
    ) -> Iterator[Event]:
        """Scan as `scan` does; yield each photo's result as soon as it is there."""
        body, parser = scan_body(photos, text, options), EventParser()
        with self._http.stream("POST", f"{SCAN}/stream", json=body) as response:
            if response.is_error:
                response.read()
                raise refusal(response)
            for line in response.iter_lines():
                event = parser.event(line)
                if event is not None:
                    yield event
                    if event["event"] == "end":
                        return
        raise broken_off()

    def similar(self, variant_id: str, *, limit: int = 10) -> Matches:
        """Find the products most like a stored one, without that one itself."""
        response = self._http.get(_similar(variant_id), params={"limit": limit})
        if response.is_error:
            raise refusal(response)
        found: Matches = response.json()
        return found

    def feedback(
        self, scan_id: str, verdict: Verdict, variant_id: str | None = None
    ) -> FeedbackResponse:
        """Say whether a match of a scan was right; "none" says that no match was."""
        body = _verdict(scan_id, verdict, variant_id)
        stored: FeedbackResponse = self._post("/products/feedback", body).json()
        return stored

    def ready(self) -> Readiness:
        """Ask whether scans can be answered now; `problems` say why not."""
        readiness: Readiness = self._http.get("/ready").json()
        return readiness

    def _post(self, path: str, body: object) -> httpx.Response:
        response = self._http.post(path, json=body)
        if response.is_error:
            raise refusal(response)
        return response


class AsyncShelfsight:
    """A Shelfsight server, for asyncio. Files are read before the first `await`.

    Every method raises `ShelfsightError` if the server refuses, and `httpx.TransportError` if it
    cannot be reached.
    """

    def __init__(
        self, url: str, *, api_key: str | None = None, timeout: httpx.Timeout | float = TIMEOUT
    ) -> None:
        """Make a client of `shelfsight serve` at `url`; `timeout` is in seconds."""
        self._http = httpx.AsyncClient(
            base_url=url.rstrip("/"), headers=_headers(api_key), timeout=timeout
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def scan(
        self,
        photos: Photo | Sequence[Photo] = (),
        *,
        text: str | None = None,
        **options: Unpack[ScanOptions],
    ) -> ScanResponse:
        """Find products as `Shelfsight.scan` does."""
        response = await self._post(SCAN, scan_body(photos, text, options))
        found: ScanResponse = response.json()
        return found

    async def boxes(self, photo: Photo) -> list[Box]:
        """Find the things in a photo that have some space between them; scan each with `box`."""
        response = await self._post(BOXES, scan_body(photo, None, {}))
        boxes: list[Box] = response.json()["boxes"]
        return boxes

    async def stream(
        self,
        photos: Photo | Sequence[Photo] = (),
        *,
        text: str | None = None,
        **options: Unpack[ScanOptions],
    ) -> AsyncIterator[Event]:
        """Scan as `scan` does; yield each photo's result as soon as it is there."""
        body, parser = scan_body(photos, text, options), EventParser()
        async with self._http.stream("POST", f"{SCAN}/stream", json=body) as response:
            if response.is_error:
                await response.aread()
                raise refusal(response)
            async for line in response.aiter_lines():
                event = parser.event(line)
                if event is not None:
                    yield event
                    if event["event"] == "end":
                        return
        raise broken_off()

    async def similar(self, variant_id: str, *, limit: int = 10) -> Matches:
        """Find the products most like a stored one, without that one itself."""
        response = await self._http.get(_similar(variant_id), params={"limit": limit})
        if response.is_error:
            raise refusal(response)
        found: Matches = response.json()
        return found

    async def feedback(
        self, scan_id: str, verdict: Verdict, variant_id: str | None = None
    ) -> FeedbackResponse:
        """Say whether a match of a scan was right; "none" says that no match was."""
        response = await self._post("/products/feedback", _verdict(scan_id, verdict, variant_id))
        stored: FeedbackResponse = response.json()
        return stored

    async def ready(self) -> Readiness:
        """Ask whether scans can be answered now; `problems` say why not."""
        readiness: Readiness = (await self._http.get("/ready")).json()
        return readiness

    async def _post(self, path: str, body: object) -> httpx.Response:
        response = await self._http.post(path, json=body)
        if response.is_error:
            raise refusal(response)
        return response
