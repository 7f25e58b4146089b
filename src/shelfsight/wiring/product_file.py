"""Opens a product file: one of this machine, or one that is downloaded."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from yarl import URL

from shelfsight.catalog.imports.import_options import ImportOptions
from shelfsight.catalog.imports.product_file import ProductFile
from shelfsight.errors import ImportFileError
from shelfsight.images.download import Downloader, FetchLimits
from shelfsight.images.unusable import UnusablePictureError
from shelfsight.settings import Settings

FEED_LIMITS = FetchLimits(total=300, read=30, redirects=5, max_bytes=256 * 1024 * 1024)
"""Limits of a product file that is downloaded."""


@contextmanager
def open_product_file(
    settings: Settings, source: str, options: ImportOptions
) -> Iterator[ProductFile]:
    """Open the product file at a path or at an http(s) address; see `ProductFile`.

    An address is treated like that of a picture: it must be public, unless `ALLOW_PRIVATE_IMAGES`
    lists its host. What was downloaded is deleted when the context ends.

    Raises:
        ImportFileError: the address may not be asked, or gives no file within the limits.
    """
    if not source.lower().startswith(("http://", "https://")):
        yield ProductFile(Path(source), mapped=options.mapped, encoding=options.encoding)
        return
    with TemporaryDirectory(prefix="shelfsight-") as folder:
        path = Path(folder, URL(source).name or "products")
        path.write_bytes(_download(source, settings.private_hosts))
        yield ProductFile(path, name=source, mapped=options.mapped, encoding=options.encoding)


def _download(address: str, private_hosts: frozenset[str]) -> bytes:
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
