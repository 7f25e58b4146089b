"""Opens a product file: one of this machine, or one that is downloaded."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from shelfsight.catalog.imports.import_options import ImportOptions
from shelfsight.catalog.imports.product_file import ProductFile
from shelfsight.settings import Settings


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
    from yarl import URL

    from shelfsight.wiring.product_download import download

    with TemporaryDirectory(prefix="shelfsight-") as folder:
        path = Path(folder, URL(source).name or "products")
        path.write_bytes(download(source, settings.private_hosts))
        yield ProductFile(path, name=source, mapped=options.mapped, encoding=options.encoding)
