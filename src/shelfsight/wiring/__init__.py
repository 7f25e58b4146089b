"""From settings to objects: the only package that names implementations, imported when needed."""

from shelfsight.wiring.backfill import open_parts
from shelfsight.wiring.database import (
    catalog,
    database_name,
    home,
    init,
    open_database,
    read_status,
    stored,
)
from shelfsight.wiring.embedder import files_to_download, fusion, models_name, open_embedder
from shelfsight.wiring.imports import count_products, import_products, write_products
from shelfsight.wiring.scan import read_photo, scanner
from shelfsight.wiring.server import Listen, embedding_app, serve_models

__all__ = [
    "Listen",
    "catalog",
    "count_products",
    "database_name",
    "embedding_app",
    "files_to_download",
    "fusion",
    "home",
    "import_products",
    "init",
    "models_name",
    "open_database",
    "open_embedder",
    "open_parts",
    "read_photo",
    "read_status",
    "scanner",
    "serve_models",
    "stored",
    "write_products",
]
