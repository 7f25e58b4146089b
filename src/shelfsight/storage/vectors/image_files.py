"""Records the picture files that stored image vectors were made from, and their HTTP validators."""

from collections.abc import Iterable, Sequence

from psycopg import sql
from psycopg.types.json import Jsonb

from shelfsight.backfill.picture_identity import stored_address
from shelfsight.postgres.connection import Connection
from shelfsight.postgres.need import HASH_PART
from shelfsight.records import EmbeddedProduct, PictureFile
from shelfsight.storage.vectors.queries import QUERIES


def update_files(connection: Connection, page: Sequence[EmbeddedProduct], id_type: sql.SQL) -> None:
    """Update the recorded files of products whose vectors stay as they are.

    A server may have sent a new ETag with an unchanged file. In most cases no file has changed, and
    no query is made.
    """
    changed = [
        item
        for item in page
        if item.is_untouched and item.files and set(item.files) != set(item.product.files)
    ]
    if changed:
        values = {
            "ids": [item.product.id for item in changed],
            "hashes": [item.product.source_hash for item in changed],
            "files": [Jsonb(as_json(item.files)) for item in changed],
            "part": HASH_PART["image"],
        }
        connection.execute(QUERIES["update_files"].format(id_type=id_type), values)


def as_json(files: Iterable[PictureFile]) -> dict[str, dict[str, str]]:
    """Return the value of `"ImageFiles"`: by address, the file's hash and its HTTP validators."""
    return {stored_address(file.url): _fields(file) for file in files}


def _fields(file: PictureFile) -> dict[str, str]:
    fields = {
        "hash": file.content_hash,
        "etag": file.etag,
        "modified": file.last_modified,
        "source": file.source,
    }
    return {name: value for name, value in fields.items() if value is not None}
