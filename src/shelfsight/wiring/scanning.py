"""Makes the scanner, and the function that turns a photo into the views that are embedded."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from shelfsight.errors import PictureError
from shelfsight.ports import Embedder
from shelfsight.postgres.connection import Transactions
from shelfsight.records import PhotoNote
from shelfsight.scan.scanner import Scanner, at_once, never
from shelfsight.settings import Settings
from shelfsight.wiring.embedder import fusion

if TYPE_CHECKING:
    from shelfsight.images.decoder.protocol import PhotoViews

PhotoSource = str | Path | bytes | Image.Image
"""A photo: the path of its file, the bytes of its file, or a PIL image."""

ReadPhoto = Callable[[bytes | Image.Image], "PhotoViews"]
"""Turns a picture into the views that are embedded, and reads the codes in it.

Raises `UnusablePictureError` if it is not a picture that can be read.
"""


def make_scanner(
    settings: Settings, database: Transactions, embedder: Embedder, *, learns: bool = True
) -> Scanner:
    """Return a scanner of the stored products.

    `learns` says whether it updates the mean of scanned photos.
    """
    from shelfsight.storage.search.product_search import PostgresProductSearch

    search = PostgresProductSearch(
        database,
        time_zone=settings.shop_time_zone,
        colors=settings.scan_color,
        confirmed=settings.scan_confirmed,
    )
    later = at_once if learns else never
    return Scanner(embedder, search, fusion(settings), settings.weights, later)


@contextmanager
def open_photo_reader(settings: Settings, embedder: Embedder) -> Iterator[ReadPhoto]:
    """Yield a function that reads photos for this embedder; several threads may call it."""
    import numpy as np

    from shelfsight.images.decode import opened_picture
    from shelfsight.images.decoder.pool import DecoderPool
    from shelfsight.images.decoder.protocol import PhotoViews, photo_views
    from shelfsight.images.photo_views import codes_in, views
    from shelfsight.images.truncated_jpeg import is_truncated

    picture_format, count = embedder.picture_format, settings.scan_views
    job = photo_views(count, picture_format, codes=settings.scan_codes)

    with closing(DecoderPool()) as decoders:

        def read(photo: bytes | Image.Image) -> PhotoViews:
            if isinstance(photo, bytes):
                notes: tuple[PhotoNote, ...] = ("truncated",) if is_truncated(photo) else ()
                return decoders.decode_photo(job, photo)._replace(notes=notes)
            picture = opened_picture(photo)
            codes = codes_in(picture) if job.codes else ()
            return PhotoViews(np.stack(views(picture, count, picture_format)), codes)

        yield read


def read_photo(source: PhotoSource, read: ReadPhoto) -> "PhotoViews":
    """Read a photo from a file, from bytes, or from a PIL image.

    Raises:
        PictureError: the photo cannot be read, or is not a picture.
    """
    from shelfsight.images.unusable import UnusablePictureError

    name = str(source) if isinstance(source, str | Path) else "the photo"
    try:
        return read(Path(source).read_bytes() if isinstance(source, str | Path) else source)
    except OSError as error:
        raise PictureError(f"{name}: {error.strerror or error}") from error
    except UnusablePictureError as error:
        raise PictureError(f"{name}: {error.failure.message}") from error
