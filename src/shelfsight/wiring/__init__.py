"""From settings to objects: the only package that names implementations, imported when needed."""

from shelfsight.wiring.database import (
    catalog,
    database_name,
    home,
    init,
    is_back,
    open_database,
    read_status,
    stored,
)
from shelfsight.wiring.embedder import files_to_download, fusion, models_name, open_embedder
from shelfsight.wiring.embedding_server import Listen, embedding_app, serve_models
from shelfsight.wiring.engine import open_engine, sharing
from shelfsight.wiring.failed import failed_kinds, failed_products, prune
from shelfsight.wiring.imports import count_products, import_products, write_products
from shelfsight.wiring.indexing import (
    around_load,
    build_indexes,
    drop_indexes,
    exact_milliseconds,
    index_advice,
    measure_indexes,
    read_indexes,
    spoken,
)
from shelfsight.wiring.model_versions import (
    count_due,
    discard_models,
    forget_models,
    read_models,
    roll_back_models,
    switch_models,
    vector_version,
)
from shelfsight.wiring.pipeline import newest_open_run, open_pipeline, read_runs
from shelfsight.wiring.scan_server import api_keys, open_service, serve, serve_shop
from shelfsight.wiring.scanning import photo_reader, read_photo, scanner
from shelfsight.wiring.watching import open_watch

__all__ = [
    "Listen",
    "api_keys",
    "around_load",
    "build_indexes",
    "catalog",
    "count_due",
    "count_products",
    "database_name",
    "discard_models",
    "drop_indexes",
    "embedding_app",
    "exact_milliseconds",
    "failed_kinds",
    "failed_products",
    "files_to_download",
    "forget_models",
    "fusion",
    "home",
    "import_products",
    "index_advice",
    "init",
    "is_back",
    "measure_indexes",
    "models_name",
    "newest_open_run",
    "open_database",
    "open_embedder",
    "open_engine",
    "open_pipeline",
    "open_service",
    "open_watch",
    "photo_reader",
    "prune",
    "read_indexes",
    "read_models",
    "read_photo",
    "read_runs",
    "read_status",
    "roll_back_models",
    "scanner",
    "serve",
    "serve_models",
    "serve_shop",
    "sharing",
    "spoken",
    "stored",
    "switch_models",
    "vector_version",
    "write_products",
]
