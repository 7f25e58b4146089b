"""Runs `shelfsight demo`: draws a shop, embeds its products, and matches ten photos of them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from shelfsight.backfill.progress import Progress
from shelfsight.backfill.report import Report
from shelfsight.backfill.runs import Job
from shelfsight.catalog.imports.import_file import write_products
from shelfsight.catalog.imports.imported import ImportedProduct
from shelfsight.demo.next_steps import next_steps, write_products_file
from shelfsight.demo.shop.drawing import draw_pictures
from shelfsight.demo.shop.photograph import take_photographs
from shelfsight.demo.shop.products import DemoProduct, make_shop
from shelfsight.embedding.text import product_text
from shelfsight.engines import local
from shelfsight.errors import ModelMismatchError
from shelfsight.ports import Embedder
from shelfsight.postgres.connection import Database
from shelfsight.records import ModelPair, Selection
from shelfsight.scan.matching import Match, ScanOptions, ScanQuery, ScanResult
from shelfsight.settings import Settings
from shelfsight.storage.status import read as read_status
from shelfsight.storage.vectors.model_check import refuse_others
from shelfsight.wiring.database import database_name, home, open_database
from shelfsight.wiring.embedder import models_name, open_embedder
from shelfsight.wiring.listening import Listen
from shelfsight.wiring.pipeline import open_pipeline
from shelfsight.wiring.scan_server import serve_shop
from shelfsight.wiring.scanning import make_scanner, open_photo_reader, read_photo

DATABASE = "shelfsight_demo"
PORT = 8797
"""The preferred port of the picture host: with the same URLs, a second run embeds nothing again."""

PICTURES = "pictures"
PHOTOGRAPHS = "photographs"

BATCH_SIZE = 100
EXPECTED_FAILURES = {"http_404", "no_content"}
"""The kinds of failure in the shop as drawn: a broken link, and a product without content."""

INCOMPLETE = 3
"""The exit status of a backfill in which something failed."""

LIMIT = 5
"""The number of matches that are searched for each photo."""

Out = Callable[[str], None]


def database_of(seed: int, server: str | None = None) -> str:
    """Return the name of the demo's database; with an embedding server, a separate one is used."""
    return f"{DATABASE}_{'server_' if server else ''}{seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """The options of a demo.

    `seed` selects the shop to draw. `server` is the URL of an embedding server; without a server,
    the models run in this process. If `listen` is given, the demo serves scans over HTTP at its
    end.
    """

    seed: int
    server: str | None = None
    listen: Listen | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnShop:
    """A shop whose pictures, photographs and file of products lie in `folder`.

    `products_file` is a CSV for `shelfsight import`, with pictures as paths below `folder`. Each of
    `photographs` is a file and the SKU of the product that it shows.
    """

    folder: Path
    shop: Sequence[DemoProduct]
    products_file: Path
    photographs: Sequence[tuple[Path, str]]


def draw(seed: int, folder: Path, out: Out) -> DrawnShop:
    """Draw the shop of this seed into a folder; pictures that are there are not drawn again."""
    shop = make_shop(seed)
    out(f"Drawing a shop of {len(shop)} products in {folder}")
    out(f"  {draw_pictures(shop, folder / PICTURES)} pictures drawn, the others were there")
    return DrawnShop(
        folder=folder,
        shop=shop,
        products_file=write_products_file(shop, folder, PICTURES),
        photographs=take_photographs(shop, folder / PHOTOGRAPHS, seed=seed),
    )


def run(user_settings: Settings, demo: Demo, progress: Progress, out: Out) -> int:
    """Run the demo in a separate database; return the exit status.

    Raises:
        ShelfsightError: the embedded Postgres, the models or the server are not available.
    """
    seed, server = demo.seed, demo.server
    drawn = draw(seed, home(user_settings) / "demo" / str(seed), out)
    shop, folder, photographs = drawn.shop, drawn.folder, drawn.photographs
    with _served_folder(folder) as (host, address):
        settings = _settings(user_settings, host, server)
        with (
            open_database(settings, name=database_of(seed, server)) as database,
            open_embedder(settings, out) as embedder,
            open_photo_reader(settings, embedder) as read,
        ):
            write_products(database, (_imported(product, address) for product in shop))
            status = _backfill(settings, database, embedder, progress)
            out("")
            out("\n".join(read_status(database).lines()))
            scanner = make_scanner(settings, database, embedder)

            def scan(photo: Path) -> ScanResult:
                views = list(read_photo(photo, read).views)
                return scanner.scan(ScanQuery(photos=(views,)), ScanOptions(limit=LIMIT))

            _scan_all(photographs, scan, shop, out)
            if demo.listen is not None:
                out(
                    f"\nThe photographs are at {address}/{PHOTOGRAPHS}/{photographs[0][0].name} ..."
                )
                serve_shop(settings, database, demo.listen, out)
                return status
    out(next_steps(user_settings, drawn.products_file, photographs[0][0]))
    return status


def _settings(settings: Settings, host: str, server: str | None) -> Settings:
    """Return default settings that ignore the environment, to keep the user's data untouched."""
    return Settings.model_construct(
        shelfsight_home=settings.shelfsight_home,
        models="lite",
        embedding_server_url=server,
        batch_size=BATCH_SIZE,
        max_batches=0,
        allow_private_images=host,
    )


def _backfill(
    settings: Settings, database: Database, embedder: Embedder, progress: Progress
) -> int:
    """Embed the products that are due and print the results; return the exit status."""
    selection = selection_of(database, embedder.models)
    job = Job(selection=selection, batch_size=BATCH_SIZE, max_batches=0)
    report = Report()
    progress.configured(
        {
            "Batch size": str(job.batch_size),
            "Embedding": models_name(settings),
            "Database": database_name(settings),
        }
    )
    with open_pipeline(settings, database, embedder, progress) as pipeline:
        local.run(pipeline, job, report, progress)
    progress.finish(report)
    is_as_drawn = report.exit_status == INCOMPLETE and report.failures.keys() <= EXPECTED_FAILURES
    return 0 if is_as_drawn else report.exit_status


def selection_of(database: Database, models: ModelPair) -> Selection:
    """Select the products that are due, or all if an older release embedded them otherwise."""
    try:
        refuse_others(database, models)
    except ModelMismatchError:
        return Selection(skip_existing=False)
    return Selection()


def _scan_all(
    photographs: Sequence[tuple[Path, str]],
    scan: Callable[[Path], ScanResult],
    shop: Sequence[DemoProduct],
    out: Out,
) -> None:
    """Match each photograph; print its best match, and at the end how many were found."""
    titles = {p.sku: product_text(p.title, "") or "(no title)" for p in shop}
    out(f"Scanning {len(photographs)} photographs ({photographs[0][0].parent}):")
    ranks = []
    for path, sku in photographs:
        matches = scan(path).matches
        rank = next((n for n, match in enumerate(matches, 1) if match.product.sku == sku), None)
        ranks.append(rank)
        out(f"  {path.name:<14} {_describe_rank(rank):<10} {_describe_best(matches, titles)}")
    first = sum(rank == 1 for rank in ranks)
    among = sum(rank is not None for rank in ranks)
    out(f"Found first: {first} of {len(ranks)}. Among the first {LIMIT}: {among} of {len(ranks)}.")


def _describe_rank(rank: int | None) -> str:
    return f"found #{rank}" if rank else "not found"


def _describe_best(matches: Sequence[Match], titles: dict[str, str]) -> str:
    if not matches:
        return "no match"
    best, sku = matches[0], matches[0].product.sku
    return f"{best.score:.3f}  {sku}  {titles[sku or '']:.50}"


def _imported(product: DemoProduct, address: str) -> ImportedProduct:
    return ImportedProduct(
        line=0,
        sku=product.sku,
        product_key=product.sku,
        title=product.title,
        description=product.description,
        price=product.price,
        options=product.options,
        image_urls=(f"{address}/{PICTURES}/{product.picture}",) if product.picture else (),
        owner_id=product.owner,
    )


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the backfill reports what it cannot fetch."""


@contextmanager
def _served_folder(folder: Path) -> Iterator[tuple[str, str]]:
    """Serve a folder over HTTP to this machine; yield `host:port` and the URL."""
    handler = partial(_QuietHandler, directory=str(folder))
    try:
        server = ThreadingHTTPServer(("127.0.0.1", PORT), handler)
    except OSError:  # the port is in use by another program
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, name="picture host", daemon=True).start()
    host = f"127.0.0.1:{server.server_port}"
    try:
        yield host, f"http://{host}"
    finally:
        server.shutdown()
        server.server_close()
