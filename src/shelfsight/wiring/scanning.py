"""What a scan is made of."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from shelfsight.errors import PictureError
from shelfsight.ports import Embedder
from shelfsight.postgres.connection import Transactions
from shelfsight.scan.matching import Photo
from shelfsight.scan.scanner import Later, Scanner, at_once
from shelfsight.settings import Settings
from shelfsight.wiring.embedder import fusion


def scanner(
    settings: Settings, database: Transactions, embedder: Embedder, later: Later = at_once
) -> Scanner:
    """What finds products by a photo; see `Scanner` for `later`."""
    from shelfsight.storage.search.product_search import PostgresProductSearch

    search = PostgresProductSearch(database)
    return Scanner(embedder, search, fusion(settings), settings.weights, later)


def photo_reader(settings: Settings, embedder: Embedder) -> Callable[[bytes], Photo]:
    """What reads a picture's file into views, as the model wants them: uint8 (side, side, 3).

    It raises `UnusablePictureError` where that is not a picture.
    """
    from shelfsight.images.photo_views import photo_views

    threads = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="look")
    picture_format, count = embedder.picture_format, settings.scan_views
    return lambda data: photo_views(data, count, picture_format, threads.map)


def read_photo(settings: Settings, path: Path, embedder: Embedder) -> Photo:
    """Views of a photo from a file.

    Raises:
        PictureError: it cannot be read, or is not a picture.
    """
    from shelfsight.images.unusable import UnusablePictureError

    try:
        return photo_reader(settings, embedder)(path.read_bytes())
    except OSError as error:
        raise PictureError(f"{path}: {error.strerror or error}") from error
    except UnusablePictureError as error:
        raise PictureError(f"{path}: {error.failure.message}") from error
