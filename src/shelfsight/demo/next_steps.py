"""What the demo suggests to do next: commands that work as they stand, from any folder."""

import csv
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from shelfsight.demo.shop.products import DemoProduct
from shelfsight.settings import Settings

PRODUCTS_FILE = "products.csv"

_COLUMNS = ("sku", "title", "description", "price", "image", "owner")

_WITHOUT_DATABASE = """
What next? Try it on a file of products. These lines work as they are, from any folder:
  {shelfsight} import {file}{home}
  {shelfsight} backfill --all --models lite --image-root {folder}{home}
  {shelfsight} scan {photo} --models lite{home}
  {shelfsight} doctor --models lite{home}
They fill the embedded database. For a shop of your own set DATABASE_URL, and leave the import out.
"""

_WITH_DATABASE = """
What next? DATABASE_URL names your own shop. These lines embed it, and work from any folder:
  {shelfsight} init
  {shelfsight} backfill --all --models lite
  {shelfsight} doctor --models lite
Then scan a photo of one of your products: {shelfsight} scan PHOTO --models lite
"""

_MODELS = """\
For better models leave --models lite out (SigLIP and Qwen3 are then downloaded), or set
EMBEDDING_SERVER_URL to a server that runs them."""


def write_products_file(shop: Sequence[DemoProduct], folder: Path, pictures: str) -> Path:
    """Write the shop as a CSV for `shelfsight import`; pictures are paths below `folder`."""
    path = folder / PRODUCTS_FILE
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for product in shop:
            picture = f"{pictures}/{product.picture}" if product.picture else ""
            title, description = product.title, product.description
            writer.writerow(
                (product.sku, title, description, product.price, picture, product.owner)
            )
    return path


def next_steps(settings: Settings, file: Path, photo: Path) -> str:
    """Return what to do after the demo; `file` and `photo` are the demo's own.

    Where a database is configured, the demo's products are not suggested to be imported into it.
    """
    home = settings.shelfsight_home
    template = _WITHOUT_DATABASE if settings.database_url is None else _WITH_DATABASE
    return (template + _MODELS).format(
        shelfsight=_program(),
        file=_quoted(file),
        folder=_quoted(file.parent),
        photo=_quoted(photo),
        home="" if home is None else f" --shelfsight-home {_quoted(home)}",
    )


def _program() -> str:
    """Return the command that runs this program from any folder, also where PATH lacks it."""
    program = Path(sys.argv[0])
    if program.name == "__main__.py":
        return f"{_quoted(Path(sys.executable))} -m shelfsight"
    return _quoted(program)


def _quoted(path: Path) -> str:
    return shlex.quote(str(path.absolute()))
