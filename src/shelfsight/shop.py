"""The Python API: open a shop, embed its products, and find products by a photo or by words.

The command line uses this module too.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event, RLock
from typing import TYPE_CHECKING, TypedDict

from shelfsight.backfill.progress import Progress
from shelfsight.backfill.report import Report
from shelfsight.ports import Embedder
from shelfsight.postgres.connection import Database
from shelfsight.postgres.retries import RetryPolicy
from shelfsight.records import CatalogChoice, Due, Selection, TextField, Weights
from shelfsight.scan.matching import (
    Filters,
    GroupBy,
    ScanOptions,
    ScanQuery,
    ScanResult,
    WhyNothing,
)
from shelfsight.settings import Settings, load
from shelfsight.wiring.database import (
    EMBEDDED,
    connect_database,
    content,
    postgres_catalog,
)

if TYPE_CHECKING:
    from typing import Unpack

    from shelfsight.models.calibration import Calibration
    from shelfsight.scan.scanner import Scanner
    from shelfsight.storage.status import Status
    from shelfsight.wiring.catalogue import CatalogReport
    from shelfsight.wiring.evaluating import Evaluation
    from shelfsight.wiring.scanning import PhotoSource, ReadPhoto

SCAN_CONNECTIONS = 4
"""The number of connections that scans share; a further scan waits for a free connection."""

SCAN_RETRIES = RetryPolicy(busy_seconds=0)
"""A scan whose query reaches a time limit of the database ends: somebody waits for its answer."""


class ScanArguments(TypedDict, total=False):
    """Optional arguments of a scan, besides photos and text.

    Attributes:
        limit: the largest number of matches; 10 by default.
        filters: which products may be found, for example only those of one owner.
        threshold: the lowest score of a match, in [-1, 1]; None uses the default of the models.
        weights: the weights of image and text; None uses those from the settings.
        group_by: "variant" for every variant, "product" for the best variant of each product.
    """

    limit: int
    filters: Filters
    threshold: float | None
    weights: Weights | None
    group_by: GroupBy


def open_shop(database_url: str | None = None, **settings: object) -> "Shop":
    """Open a shop: its database, and the models that embed its products.

    Args:
        database_url: `postgresql://user:password@host/database`. By default `DATABASE_URL` is used.
            Without `DATABASE_URL`, an embedded Postgres is started on this machine.
        **settings: any setting by its name in lower case, such as `models="lite"` or
            `embedding_server_url="http://127.0.0.1:8000"`. It overrides the environment variable of
            the same name, which overrides `.env`.

    Returns:
        The shop. Use it in a `with` block, or call `close` when done.

    Raises:
        TypeError: there is no setting of this name.
        SettingsError: a value is invalid; the message says what is allowed.

    Example:
        ```python
        import shelfsight

        with shelfsight.open_shop("postgresql://me@localhost/shop", models="lite") as shop:
            shop.init()
            print(shop.backfill().embedded, "products embedded")
            for match in shop.scan("photo.jpg", limit=3).matches:
                print(match.product.sku, match.product.title, match.confidence)
        ```
    """
    unknown = sorted(settings.keys() - Settings.model_fields.keys())
    if unknown:
        raise TypeError(f"there is no setting {unknown[0]!r}; see shelfsight.settings.Settings")
    given = {**settings, "database_url": database_url or settings.get("database_url")}
    return Shop(load({name: value for name, value in given.items() if value is not None}))


class Shop:
    """A shop's products, their vectors, and the models that make these vectors; see `open_shop`.

    Connections and models are opened when they are first needed, and closed by `close`. Several
    threads may call `scan` and `similar` at the same time; call the other methods from one thread.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        embedded_name: str = EMBEDDED,
        notify: Callable[[str], None] = lambda _message: None,
    ) -> None:
        """Make a shop from settings that were already loaded.

        Args:
            settings: the settings that name the database and the models.
            embedded_name: the database within the embedded Postgres, if the embedded Postgres is
                used.
            notify: called with a line for people when something takes long, for example the first
                start.
        """
        self.settings = settings
        self._embedded_name = embedded_name
        self._notify = notify
        self._resources = ExitStack()
        self._lock = RLock()
        self._connected: Database | None = None
        self._is_prepared = False
        self._embedder: Embedder | None = None
        self._scanner: tuple[Scanner, ReadPhoto] | None = None

    def __enter__(self) -> "Shop":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close connections and models; stop the embedded Postgres if no other process uses it."""
        with self._lock:
            self._connected = self._embedder = self._scanner = None
            self._resources.close()

    @property
    def database(self) -> Database:
        """The database. An embedded database is started, and its tables are created.

        Raises:
            DatabaseError: the embedded Postgres cannot be started.
            SchemaError: the tables are missing or of another release; call `init`.
        """
        from shelfsight.storage.migrations import version

        with self._lock:
            database = self._connection()
            if not self._is_prepared:
                if self.settings.database_url is None:
                    self.init()
                database.run(version.check, read_only=True)
                self._is_prepared = True
            return database

    @property
    def embedder(self) -> Embedder:
        """The two models, in this process or behind the embedding server.

        Raises:
            ModelError: the models cannot be loaded.
            ServerError: the embedding server cannot be used.
        """
        from shelfsight.wiring.embedder import open_embedder

        with self._lock:
            if self._embedder is None:
                opening = open_embedder(self.settings, self._notify, for_scans=True)
                self._embedder = self._resources.enter_context(opening)
            return self._embedder

    def init(
        self,
        *,
        catalog: CatalogChoice | None = None,
        new_shop: bool = False,
        triggers: bool | None = None,
        wait: Callable[[str], None] | None = None,
    ) -> list[str]:
        """Create the missing tables and columns, and apply the missing migrations.

        Args:
            catalog: a preset, or a file of your own, by which a catalogue under other names is
                read. None keeps what was chosen before.
            new_shop: create tables for products although the database has other tables.
            triggers: True creates triggers on the shop's tables that report changes to `shelfsight
                watch`. False removes them. None leaves them as they are.
            wait: called with a message if a backfill or watch is at work that a migration would
                break. Then this waits for the end of that work; without `wait` that is an error.

        Returns:
            What was done, as lines for people; empty if nothing was missing.

        Raises:
            DatabaseError: the database cannot be reached, or the role lacks a right.
            SchemaError: a newer release has made the schema, or workers are at work.
            NoCatalogError: the database holds a shop under other names; choose a `catalog`.
            PresetError: the preset does not fit the database.
        """
        from shelfsight.wiring import catalogue

        with self._lock:
            database = self._connection()
            done = catalogue.prepare(database, catalog, new_shop=new_shop, wait=wait)
            if triggers is not None:
                done += catalogue.set_triggers(database, wanted=triggers)
            self._is_prepared = True
        return done

    def catalog(self) -> "CatalogReport":
        """Return what is read: preset, options, counts of products and pictures, and a sample.

        Raises:
            SchemaError: tables are missing; call `init`.
        """
        from shelfsight.wiring import catalogue

        return catalogue.report(self.database)

    def backfill(
        self,
        selection: Selection | None = None,
        *,
        max_batches: int = 0,
        progress: Progress | None = None,
        stop: Event | None = None,
        accept_losses: bool = False,
    ) -> Report:
        """Make and store the vectors of all products that are due.

        If a backfill was interrupted, the next call continues where it stopped. A product that
        fails does not raise an error: it is counted in the report, stored with the reason, and
        tried again by a later run.

        If no calibration comes with the models, the first call that leaves nothing due also calls
        `calibrate`, unless the setting `calibrate` is false.

        Args:
            selection: which products to embed; None means all that are new or have changed.
            max_batches: the largest number of batches of `settings.batch_size` products; 0 means no
                limit.
            progress: receives the events of the run, for example
                `shelfsight.backfill.progress.LineProgress`.
            stop: once this event is set, the current batch is stored and the run ends.
            accept_losses: take away any number of stored vectors whose products have no such
                content any more, and do without columns that earlier runs have read.

        Returns:
            Counts of products, of vectors, and of failures by kind.

        Raises:
            SchemaError: tables are missing; call `init`.
            ModelMismatchError: other models made the stored vectors.
            CatalogueChangedError: a column that an earlier run has read is gone.
            UnconfirmedLossError: the run would take away more than a tenth of the image, text or
                combined vectors.
            ShelfsightError: the run cannot continue. Vectors that were already stored remain.
        """
        from shelfsight.backfill.losses import RunPolicy
        from shelfsight.backfill.pipeline import backfill
        from shelfsight.backfill.runs import Job
        from shelfsight.wiring.first_calibration import calibrate_first
        from shelfsight.wiring.pipeline import open_pipeline

        stop = stop or Event()
        shown = progress or _Notifying(self._notify)
        report = Report()
        job = Job(
            selection=selection or Selection(skip_existing=self.settings.skip_existing),
            batch_size=self.settings.batch_size,
            max_batches=max_batches,
            images_per_product=self.settings.images_per_product,
            text_fields=content(self.settings).text_fields,
        )
        policy = RunPolicy(accepts_losses=accept_losses)
        opening = open_pipeline(self.settings, self.database, self.embedder, shown, policy=policy)
        with opening as pipeline:
            backfill(pipeline, job, report, shown, stop)
        if not (report.interrupted or report.remaining):
            calibrate_first(self.settings, self.database, self.embedder, shown.notify, stop)
        return report

    def scan(
        self,
        photo: "PhotoSource | Sequence[PhotoSource]" = (),
        *,
        text: str | None = None,
        **options: "Unpack[ScanArguments]",
    ) -> ScanResult:
        """Find the products that photos show, words describe, or both, with the best match first.

        Args:
            photo: a path, the bytes of a file or a PIL image; several photos must show the same
                thing.
            text: words that describe the thing, or its SKU or barcode.
            **options: `limit`, `filters`, `threshold`, `weights` and `group_by`; see
                `ScanArguments`.

        Raises:
            ValueError: neither a photo nor text is given.
            PictureError: a photo cannot be read, or is not a picture.
            ModelMismatchError: other models made the stored vectors.
            FilterError: the shop's tables lack a column that `filters` needs.
            ShelfsightError: the database or the models cannot be used.
        """
        from shelfsight.wiring.scanning import PhotoSource, read_photo

        scanner, read = self._scanning()
        sources = [photo] if isinstance(photo, PhotoSource) else photo
        photos = [read_photo(source, read) for source in sources]
        query = ScanQuery(
            photos=tuple(list(photo.views) for photo in photos),
            text=text or None,
            codes=tuple(code for photo in photos for code in photo.codes),
        )
        notes = {note for photo in photos for note in photo.notes}
        return replace(scanner.scan(query, ScanOptions(**options)), notes=tuple(notes))

    def confirm(
        self,
        photo: "PhotoSource | Sequence[PhotoSource]",
        variant_id: str,
        *,
        owner: str | None = None,
    ) -> int:
        """Make the image vectors of photos further references of the product that they show.

        The photos are not stored. A product keeps the 16 newest for each owner and model.

        Args:
            photo: as in `scan`.
            variant_id: the `"Id"` of the product in `"ProductVariants"`.
            owner: whose scans the photo counts for; None for all.

        Returns:
            How many photos were stored.

        Raises:
            SelectionError: there is no such product, or it is not the owner's.
            PictureError: a photo cannot be read, or is not a picture.
            ShelfsightError: the database or the models cannot be used.
        """
        from shelfsight.wiring.confirming import confirm

        found = self.scan(photo, limit=100, threshold=-1, filters=Filters(owner=owner))
        return confirm(self.database, self.embedder.models, found, variant_id, owner)

    async def scan_async(
        self,
        photo: "PhotoSource | Sequence[PhotoSource]" = (),
        *,
        text: str | None = None,
        **options: "Unpack[ScanArguments]",
    ) -> ScanResult:
        """Call `scan` in another thread, so that the event loop is not blocked."""
        return await asyncio.to_thread(partial(self.scan, photo, text=text, **options))

    def similar(
        self,
        variant_id: str,
        **options: "Unpack[ScanArguments]",
    ) -> ScanResult | None:
        """Find the products most similar to a stored product, without that product itself.

        Args:
            variant_id: the `"Id"` of the stored product in `"ProductVariants"`.
            **options: as in `scan`. Without a `threshold`, the nearest products are returned even
                if they are not similar.

        Returns:
            The similar products. None if there is no product of this id, it does not pass the
                filters, or it has no vectors.

        Raises:
            FilterError: the shop's tables lack a column that `filters` needs.
            ShelfsightError: the database or the models cannot be used.
        """
        scanner, _ = self._scanning()
        return scanner.similar(variant_id, ScanOptions(**options))

    def calibrate(self) -> "Calibration | None":
        """Fit how probable a match is to photos made of the shop's own pictures, and store it.

        Scans use it within a minute, instead of the calibration that comes with the models.

        Returns:
            The calibration of these models; None if there are too few pictures.

        Raises:
            ModelMismatchError: other models made the stored vectors.
            ShelfsightError: the database or the models cannot be used.
        """
        from shelfsight.wiring.calibrating import calibrate_on_pictures

        return calibrate_on_pictures(self.settings, self.database, self.embedder, self._notify)

    def forget_calibration(self) -> None:
        """Delete what `calibrate` stored for these models."""
        from shelfsight.storage.calibrations import CalibrationStore

        CalibrationStore(self.database).delete(self.embedder.models)

    def evaluate(self, folder: str | Path) -> "Evaluation":
        """Measure how often photos find their product, and whether probabilities are true.

        Args:
            folder: has photos, and `photos.csv` with the columns `photo` (a path within the
                folder), `sku` and maybe `text`.

        Raises:
            PictureError: there is no such `photos.csv`.
            ShelfsightError: the database or the models cannot be used.
        """
        from shelfsight.wiring.evaluating import evaluate_folder

        return evaluate_folder(self.settings, self.database, self.embedder, Path(folder))

    def is_empty(self, filters: Filters | None = None) -> bool:
        """Return whether no product that passes the filters has vectors, so scans find nothing.

        Raises:
            FilterError: the shop's tables lack a column that `filters` needs.
        """
        scanner, _ = self._scanning()
        return scanner.is_empty(filters or Filters())

    def why_nothing(
        self, filters: Filters | None = None, *, photo: bool = True, text: bool = False
    ) -> WhyNothing:
        """Return why a scan found nothing.

        Args:
            filters: the filters of the scan.
            photo: whether a photo was scanned.
            text: whether words were scanned.

        Raises:
            FilterError: the shop's tables lack a column that `filters` needs.
        """
        scanner, _ = self._scanning()
        return scanner.why_nothing(filters or Filters(), photo=photo, text=text)

    def status(self) -> "Status":
        """Count the stored vectors by kind, and the failures by kind.

        Raises:
            SchemaError: tables are missing; call `init`.
            DatabaseError: the database cannot be used.
        """
        from shelfsight.storage.status import read

        return read(self.database)

    def text_fields(self) -> tuple[TextField, ...]:
        """Return what texts are made of: those of `PRODUCT_TEXT`, or else of the stored texts.

        Raises:
            SchemaError: tables are missing; call `init`.
        """
        return postgres_catalog(self.settings, self.database).text_fields()

    def due(self, selection: Selection | None = None) -> Due:
        """Count the products that a backfill would embed now.

        Raises:
            SchemaError: tables are missing; call `init`.
            SelectionError: the database refuses the selection.
        """
        return postgres_catalog(self.settings, self.database).due(selection or Selection())

    def _connection(self) -> Database:
        if self._connected is None:
            opening = connect_database(self.settings, name=self._embedded_name)
            self._connected = self._resources.enter_context(opening)
        return self._connected

    def _scanning(self) -> "tuple[Scanner, ReadPhoto]":
        from shelfsight.postgres.pool import DatabasePool
        from shelfsight.wiring.scanning import make_scanner, open_photo_reader

        with self._lock:
            if self._scanner is None:
                pool = DatabasePool(self.database.url, SCAN_CONNECTIONS, retries=SCAN_RETRIES)
                self._resources.enter_context(closing(pool))
                scanner = make_scanner(self.settings, pool, self.embedder)
                reader = open_photo_reader(self.settings, self.embedder)
                self._scanner = scanner, self._resources.enter_context(reader)
            return self._scanner


class _Notifying(Progress):
    """A progress that shows nothing except messages for the user."""

    def __init__(self, notify: Callable[[str], None]) -> None:
        self._pass_on = notify

    def notify(self, message: str) -> None:
        """Pass the message to the function that was given."""
        self._pass_on(message)
