"""From settings to objects: the only file that names implementations, imported when needed."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from shelfsight.backfill import Parts
from shelfsight.database import Database
from shelfsight.errors import PictureError, ServerError
from shelfsight.progress import Progress
from shelfsight.records import Due, Pixels, Selection
from shelfsight.scan import Scanner
from shelfsight.seams import Catalog, Embedder, Fusion
from shelfsight.settings import Settings, without_password

if TYPE_CHECKING:
    from fastapi import FastAPI

    from shelfsight.catalog.imported import ImportedProduct
    from shelfsight.catalog.writer import Imported
    from shelfsight.storage.status import Status

EMBEDDED = "shelfsight"
"""Name of the database in the embedded Postgres."""

Say = Callable[[str], None]
Complain = Callable[[int, str], None]
"""Hears of a bad line: its number, and why."""


def home(settings: Settings) -> Path:
    """The folder of the embedded database and of what is built once."""
    return settings.home(root=hasattr(os, "geteuid") and os.geteuid() == 0)


def database_name(settings: Settings) -> str:
    """Where the products are, for people: never with a password."""
    if settings.database_url is None:
        return f"embedded Postgres in {home(settings)}"
    return Database(settings.database_url).host


def models_name(settings: Settings) -> str:
    """Who embeds, for people."""
    if settings.embedding_server_url is not None:
        return without_password(settings.embedding_server_url)
    return f"models in this process ({settings.models})"


@contextmanager
def open_database(settings: Settings, *, name: str = EMBEDDED) -> Iterator[Database]:
    """The user's database, or the embedded one, which is started and prepared by itself.

    Raises:
        DatabaseError: it cannot be reached or started.
    """
    if settings.database_url is not None:
        with closing(Database(settings.database_url)) as database:
            yield database
        return
    from shelfsight.storage import schema
    from shelfsight.storage.embedded import EmbeddedPostgres

    with (
        EmbeddedPostgres(home(settings), database=name) as url,
        closing(Database(url)) as database,
    ):
        schema.create(database)
        yield database


@contextmanager
def open_embedder(settings: Settings, say: Say) -> Iterator[Embedder]:
    """The two models, in this process or behind an embedding server; `say` hears of waits.

    Raises:
        ModelError: they cannot be loaded.
        ServerError: the server cannot be used.
    """
    with closing(_embedder(settings, say)) as embedder:
        yield embedder


@contextmanager
def open_parts(
    settings: Settings, database: Database, embedder: Embedder, progress: Progress
) -> Iterator[Parts]:
    """What a backfill is made of; the reader has a connection of its own beside the writer's."""
    from shelfsight.catalog.postgres import PostgresCatalog
    from shelfsight.embedding.page import PageEmbedder
    from shelfsight.images.fetch import FetchConfig, PictureFetcher
    from shelfsight.storage.vectors import PostgresVectorStore

    config = FetchConfig(
        images_per_product=settings.images_per_product,
        image_root=settings.image_root,
        private_hosts=settings.private_hosts,
    )
    with (
        closing(Database(database.url)) as reading,
        closing(PictureFetcher(embedder.picture_format, config)) as fetcher,
        closing(PageEmbedder(embedder, fusion(settings), progress.embedded)) as pages,
    ):
        yield Parts(
            catalog=PostgresCatalog(reading, images_per_product=settings.images_per_product),
            fetcher=fetcher,
            embed=pages.embed,
            models=embedder.models,
            store=PostgresVectorStore(database, fusion(settings)),
        )


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


def catalog(settings: Settings, database: Database) -> Catalog:
    """The shop's products."""
    from shelfsight.catalog.postgres import PostgresCatalog

    return PostgresCatalog(database, images_per_product=settings.images_per_product)


def fusion(settings: Settings) -> Fusion:
    """How image and text become one vector."""
    from shelfsight.embedding.fusion import WeightedMean

    return WeightedMean(settings.weights)


def files_to_download(settings: Settings) -> list[str]:
    """The models' files that a run would download first; none with a server or a folder."""
    from shelfsight.embedding.hub import files_to_download
    from shelfsight.embedding.models import PAIRS

    if settings.embedding_server_url is not None or settings.model_dir is not None:
        return []
    return [file for spec in PAIRS[settings.models] for file in files_to_download(spec)]


def _embedder(settings: Settings, say: Say) -> Embedder:
    if settings.embedding_server_url is not None:
        from shelfsight.embedding.remote_model import RemoteEmbedder, ServerConfig

        key = settings.embedding_server_api_key
        return RemoteEmbedder(
            ServerConfig(
                url=settings.embedding_server_url,
                api_key=None if key is None else key.get_secret_value(),
                cold_start_timeout=settings.cold_start_timeout,
                waiting=say,
            )
        )
    from shelfsight.embedding.onnx_model import open_pair

    return open_pair(settings.models, model_dir=settings.model_dir)


@dataclass(frozen=True, slots=True)
class Listen:
    """Where a server listens; `insecure` lets it serve other machines without a key."""

    host: str
    port: int
    insecure: bool = False


def serve_models(settings: Settings, listen: Listen, say: Say) -> None:
    """Serve both models over HTTP until told to stop.

    Raises:
        SettingsError: it would serve other machines without a key.
        ModelError: the models cannot be loaded.
        ServerError: the address cannot be listened on, or the extra is not installed.
    """
    try:
        from shelfsight.serving import access
        from shelfsight.serving.listen import bind, serve, url_of
    except ModuleNotFoundError as error:
        raise ServerError(
            f"{error.name} is not installed: pip install 'shelfsight[server]'"
        ) from None
    has_key = settings.embedding_server_api_key is not None
    access.check_host(listen.host, has_key=has_key, insecure=listen.insecure)
    with closing(bind(listen.host, listen.port)) as taken:
        app = embedding_app(settings)
        say(f"serving {settings.models} at {url_of(taken)}; Ctrl-C stops")
        serve(app, taken)


def embedding_app(settings: Settings) -> "FastAPI":
    """The app of the embedding server, its models loaded, for any ASGI server.

    Raises:
        ModelError: the models cannot be loaded.
    """
    from shelfsight.embedding.models import PAIRS
    from shelfsight.embedding.onnx_model import load_image, load_text
    from shelfsight.serving.access import Key
    from shelfsight.serving.embedding_app import AppConfig, create

    image, text = PAIRS[settings.models]
    key = settings.embedding_server_api_key
    return create(
        load_image(image, settings.model_dir),
        load_text(text, settings.model_dir),
        AppConfig(key=None if key is None else Key(key.get_secret_value())),
    )


def init(settings: Settings) -> list[str]:
    """Prepare the database; gives the names of what was created.

    Raises:
        DatabaseError: it cannot be reached, or the role may not.
    """
    from shelfsight.storage import schema

    if settings.database_url is None:
        from shelfsight.storage.embedded import EmbeddedPostgres

        with (
            EmbeddedPostgres(home(settings), database=EMBEDDED) as url,
            closing(Database(url)) as database,
        ):
            return schema.create(database)
    with closing(Database(settings.database_url)) as database:
        return schema.create(database)


def read_status(settings: Settings) -> "tuple[Status, Due]":
    """What is stored, and how much is due."""
    with open_database(settings) as database:
        return stored(database), catalog(settings, database).due(Selection())


def stored(database: Database) -> "Status":
    """What is stored."""
    from shelfsight.storage.status import read

    return read(database)


def import_products(settings: Settings, file: Path, complain: Complain) -> "Imported":
    """Write a file's products into the shop's tables, page by page."""
    with open_database(settings) as database:
        return write_products(database, _good_lines(file, complain))


def write_products(database: Database, products: Iterator["ImportedProduct"]) -> "Imported":
    """Write products into the shop's tables, page by page; the same ones twice change nothing.

    Raises:
        SchemaError: the tables are not those that `init` makes.
    """
    from shelfsight.catalog import writer

    imported = writer.Imported()
    writer.check(database)
    while page := list(islice(products, writer.PAGE)):
        writer.write(database, page, imported)
    return imported


def count_products(file: Path, complain: Complain) -> int:
    """How many products of a file could be imported."""
    return sum(1 for _ in _good_lines(file, complain))


def _good_lines(file: Path, complain: Complain) -> "Iterator[ImportedProduct]":
    from shelfsight.catalog.imported import BadLine
    from shelfsight.catalog.importers import read_import

    for row in read_import(file):
        if isinstance(row, BadLine):
            complain(row.line, row.reason)
        else:
            yield row
