"""Downloads a product file from an http(s) address, with the checks and limits of a picture's."""

import asyncio

from shelfsight.errors import ImportFileError
from shelfsight.images.download import Downloader, FetchLimits
from shelfsight.images.unusable import UnusablePictureError

FEED_LIMITS = FetchLimits(total=300, read=30, redirects=5, max_bytes=256 * 1024 * 1024)
"""Limits of a product file that is downloaded."""


def download(address: str, private_hosts: frozenset[str]) -> bytes:
    """Return what an address gives; it must be public, unless its host is one of `private_hosts`.

    Raises:
        ImportFileError: the address may not be asked, or gives no file within the limits.
    """

    async def body() -> bytes:
        async with (
            Downloader(private_hosts, FEED_LIMITS) as downloader,
            downloader.download(address) as data,
        ):
            return data

    try:
        return asyncio.run(body())
    except UnusablePictureError as error:
        raise ImportFileError(f"{address} cannot be read: {error}") from error
