"""What the stored images are made of: which files, and what their servers say of them."""

from collections.abc import Iterable, Sequence

from psycopg import sql
from psycopg.types.json import Jsonb

from shelfsight.postgres.connection import Connection
from shelfsight.records import EmbeddedProduct, PictureFile
from shelfsight.storage.vectors.queries import QUERIES


def keep_files(connection: Connection, page: Sequence[EmbeddedProduct], id_type: sql.SQL) -> None:
    """Bring up to date what is said of the files of what is untouched; mostly there is no news."""
    news = [
        item
        for item in page
        if item.is_untouched and item.files and set(item.files) != set(item.product.files)
    ]
    if news:
        values = {
            "ids": [item.product.id for item in news],
            "hashes": [item.product.source_hash for item in news],
            "files": [Jsonb(as_json(item.files)) for item in news],
        }
        connection.execute(QUERIES["keep_files"].format(id_type=id_type), values)


def as_json(files: Iterable[PictureFile]) -> dict[str, dict[str, str]]:
    """As it stands in `"ImageFiles"`: by address the hash of the file, and what is known else."""
    return {file.url: _said(file) for file in files}


def _said(file: PictureFile) -> dict[str, str]:
    said = {
        "hash": file.content_hash,
        "etag": file.etag,
        "modified": file.last_modified,
        "source": file.source,
    }
    return {name: value for name, value in said.items() if value is not None}
