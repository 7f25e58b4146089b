"""Makes photos of the shop's own pictures, and calibrates the models with them."""

from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import takewhile
from threading import Event
from time import monotonic

import numpy as np

from shelfsight.backfill.throughput import duration
from shelfsight.models.calibration import Calibration
from shelfsight.ports import Embedder
from shelfsight.postgres.connection import Database
from shelfsight.records import Picture, PictureFormat, Product
from shelfsight.scan.self_calibration import OwnQuery, calibrate, words_of
from shelfsight.settings import Settings
from shelfsight.storage.search.sample import CatalogueSample, SampledProduct

PHOTOS = 200
"""About how many photos are made."""

MOST_PHOTOS_OF_ONE = 3
"""How many photos are made of one picture at most, in a small catalogue."""

_PAGE = 32
_QUIET_SECONDS = 5
_SEED = 7


def calibrate_on_pictures(
    settings: Settings,
    database: Database,
    embedder: Embedder,
    notify: Callable[[str], None],
    stop: Event | None = None,
) -> Calibration | None:
    """Fit the calibration of these models to photos made of the shop's pictures, and store it.

    The pictures are fetched again, like those of a backfill. None is returned, and nothing stored,
    if there are too few of them, or once `stop` is set. `notify` is told how far this is.

    Raises:
        SchemaError: `shelfsight init` has not run.
        ModelMismatchError: other models made the stored vectors.
        DatabaseError: it cannot be stored.
    """
    from shelfsight.storage.calibrations import CalibrationStore
    from shelfsight.storage.search.product_search import PostgresProductSearch

    search = PostgresProductSearch(database, time_zone=settings.shop_time_zone)
    search.require(embedder.models)
    products = CatalogueSample(database).spread(None, PHOTOS)
    stop = stop or Event()
    queries = _own_queries(settings, embedder, products, notify)
    calibration = calibrate(embedder, search, takewhile(lambda _query: not stop.is_set(), queries))
    if stop.is_set():
        return None
    if calibration is not None:
        CalibrationStore(database).save(embedder.models, calibration)
    return calibration


def _own_queries(
    settings: Settings,
    embedder: Embedder,
    products: list[SampledProduct],
    notify: Callable[[str], None],
) -> Iterator[OwnQuery]:
    """Yield photos and words of the products; a picture that cannot be fetched is left out."""
    from PIL import Image

    from shelfsight.images.decode import opened_picture
    from shelfsight.images.decoder.pool import DecoderPool
    from shelfsight.images.download import FetchLimits
    from shelfsight.images.fetch import FetchConfig, PictureFetcher
    from shelfsight.images.photo_views import views
    from shelfsight.images.synthetic_photo import SIDE, synthetic_photo

    chance = np.random.default_rng(_SEED)
    repeats = min(MOST_PHOTOS_OF_ONE, -(-PHOTOS // max(1, len(products))))
    config = FetchConfig(
        images_per_product=1,
        image_root=settings.image_root,
        image_base_url=settings.image_base_url,
        private_hosts=settings.private_hosts,
        notify=notify,
    )
    limits = FetchLimits(per_host=settings.host_concurrency)
    large = PictureFormat(side=SIDE, resample=embedder.picture_format.resample)
    with (
        closing(DecoderPool()) as decoders,
        closing(PictureFetcher(large, decoders, config, limits)) as fetcher,
    ):
        began = told = monotonic()
        for start in range(0, len(products), _PAGE):
            if start and monotonic() - told >= _QUIET_SECONDS:
                told = monotonic()
                left = (told - began) / start * (len(products) - start)
                notify(f"Calibrating: {start} of {len(products)} pictures, {duration(left)} left")
            page = [_pictured(product) for product in products[start : start + _PAGE]]
            for fetched in fetcher.fetch(page):
                id_ = fetched.product.id
                for picture in fetched.pictures:
                    if not isinstance(picture, Picture):
                        continue
                    whole = Image.fromarray(picture.pixels)
                    for _ in range(repeats):
                        photo = synthetic_photo(whole, chance)
                        seen = views(
                            opened_picture(photo), settings.scan_views, embedder.picture_format
                        )
                        yield OwnQuery(product=id_, photo=seen)
                if words := words_of(fetched.product.title, chance):
                    yield OwnQuery(product=id_, words=words)


def _pictured(product: SampledProduct) -> Product:
    addresses = (product.image_url,) if product.image_url else ()
    return Product(id=product.id, title=product.title, image_urls=addresses)
