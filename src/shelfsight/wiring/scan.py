"""What a scan is made of."""

from pathlib import Path

from shelfsight.database import Database
from shelfsight.errors import PictureError
from shelfsight.records import Pixels
from shelfsight.scan import Scanner
from shelfsight.seams import Embedder
from shelfsight.settings import Settings
from shelfsight.wiring.embedder import fusion


def scanner(settings: Settings, database: Database, embedder: Embedder) -> Scanner:
    """What finds products by a photo."""
    from shelfsight.storage.vectors import PostgresVectorStore

    store = PostgresVectorStore(database, fusion(settings))
    return Scanner(embedder, store, fusion(settings), settings.weights)


def read_photo(path: Path, embedder: Embedder) -> list[Pixels]:
    """Views of a photo from a file, as the model wants them: uint8 (side, side, 3).

    Raises:
        PictureError: it cannot be read, or is not a picture.
    """
    from shelfsight.images.decode import decode, resize
    from shelfsight.images.unusable import UnusablePictureError
    from shelfsight.images.views import views

    try:
        photo = decode(path.read_bytes())
        return [resize(view, embedder.picture_format) for view in views(photo)]
    except OSError as error:
        raise PictureError(f"{path}: {error.strerror or error}") from error
    except UnusablePictureError as error:
        raise PictureError(f"{path}: {error.failure.message}") from error
