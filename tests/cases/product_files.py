"""Writes product files of kinds that once failed, ten of each by a seed, with what they say.

    python -m tests.cases.product_files FOLDER

writes them all into a folder, to try them with other programs.
"""

import csv
import json
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import NamedTuple

EACH = 10

NOUNS = (
    "Mug",
    "Cap",
    "Tee",
    "Café crème",
    "Smørbrød",
    "コップ",
    "Chair",
    'Tray 12"',
    "A, B",
    "Z;A",
)

SITE = "https://shop.example/"


class Said(NamedTuple):
    """What a row says."""

    sku: str
    title: str
    price: Decimal | None = None
    images: tuple[str, ...] = ()


class Case(NamedTuple):
    """A file, and the products in it."""

    text: str
    products: list[Said]


def table(rows: Sequence[Sequence[str]], delimiter: str = ",", end: str = "\n") -> str:
    """Write a table as spreadsheets do: with quotes where they are needed."""
    file = StringIO()
    csv.writer(file, delimiter=delimiter, lineterminator=end).writerows(rows)
    return file.getvalue()


def _rows(chance: random.Random) -> list[Said]:
    chosen = chance.sample(NOUNS, chance.randint(1, 5))
    return [Said(f"s{number}", noun) for number, noun in enumerate(chosen)]


def separators(chance: random.Random) -> Case:
    """Name the separator in a first line, as Excel does, or not at all."""
    said = _rows(chance)
    delimiter, end = chance.choice(",;\t|"), chance.choice(["\n", "\r\n"])
    first = chance.choice(
        ["", f"sep={delimiter}{end}", f'"sep={delimiter}"{end}', f"SEP={delimiter}{end}"]
    )
    mark = chance.choice(["", "\ufeff"])
    rows = [["sku", "title"], *([one.sku, one.title] for one in said)]
    return Case(mark + first + table(rows, delimiter, end), said)


def trailing_cells(chance: random.Random) -> Case:
    """Have empty columns behind the others, and rows that are empty."""
    said, more = _rows(chance), [""] * chance.randint(1, 4)
    rows = [["sku", "title", *more], *([one.sku, one.title, *more] for one in said)]
    empty = [["", "", *more]] * chance.randint(1, 3)
    return Case(table([*rows[:2], *empty[:1], *rows[2:], *empty]), said)


def short_rows(chance: random.Random) -> Case:
    """Leave the last cells of some rows out."""
    said = _rows(chance)
    rows = [[one.sku, one.title, *[""] * chance.randint(0, 3)] for one in said]
    return Case(table([["sku", "title", "description", "image", "brand"], *rows]), said)


def prices(chance: random.Random) -> Case:
    """Write prices as people do."""
    forms: list[Callable[[int, int], str]] = [
        lambda whole, cents: f"${whole:,}.{cents:02}",
        lambda whole, cents: f"{whole}.{cents:02} USD",
        lambda whole, cents: f"{whole},{cents:02} €",
        lambda whole, cents: f"EUR {whole:,}.{cents:02}",
        lambda whole, cents: f"{whole:,}.{cents:02}".translate(str.maketrans(",.", ".,")),
        lambda whole, cents: f"{whole:,}.{cents:02}".replace(",", "\u202f").replace(".", ","),
        lambda whole, cents: f"£ {whole}.{cents:02}",
        lambda whole, cents: f"{whole}.{cents:02}0",
        lambda whole, cents: f"CHF {whole:,}.{cents:02}".replace(",", "'"),
        lambda whole, cents: f"{whole},{cents:02} zł",
    ]
    said, cells = [], []
    for number in range(4):
        whole, cents = chance.choice([0, 5, 12, 999, 1299, 1_250_000]), chance.randint(0, 99)
        cells.append(chance.choice(forms)(whole, cents))
        said.append(Said(f"s{number}", "Mug", Decimal(f"{whole}.{cents:02}")))
    rows = [[one.sku, one.title, cell] for one, cell in zip(said, cells, strict=True)]
    return Case(table([["sku", "title", "price"], *rows]), said)


def _addresses(chance: random.Random) -> list[str]:
    names = ["cap 2", "my red cap (1)", "a", "größe", "w_200,h_100/a", "a%20b", "cap-2"]
    ends = [".jpg", ".PNG", ".webp?v=1571438", ".jpeg?w=100&h=90"]
    sites = [SITE, "//cdn.shop.example/s/", "http://127.0.0.1:19001/"]
    found = {chance.choice(sites) + chance.choice(names) + chance.choice(ends) for _ in range(4)}
    return sorted(found)


def several_addresses(chance: random.Random) -> Case:
    """Put the addresses of several pictures into one cell, divided as shops do."""
    addresses = _addresses(chance)
    joined: list[Callable[[Sequence[str]], str]] = [
        *map(_joiner, (", ", "; ", ";", " | ", "|", "\n")),
        json.dumps,
        str,
        lambda all_: "{" + ",".join(f'"{one}"' for one in all_) + "}",
    ]
    cell = chance.choice(joined)(addresses)
    return Case(
        table([["sku", "title", "image"], ["s1", "Cap", cell]]),
        [Said("s1", "Cap", None, tuple(addresses))],
    )


def _joiner(between: str) -> Callable[[Sequence[str]], str]:
    return between.join


def single_addresses(chance: random.Random) -> Case:
    """Have one address in a cell, perhaps with blanks or commas inside, and around it."""
    said = [Said(f"s{n}", "Cap", None, (one,)) for n, one in enumerate(_addresses(chance))]
    rows = [[one.sku, one.title, chance.choice(["", " "]) + one.images[0]] for one in said]
    return Case(table([["sku", "title", "image"], *rows]), said)


def woocommerce(chance: random.Random) -> Case:
    """Write products as WooCommerce exports them."""
    header = [
        "ID",
        "Type",
        "SKU",
        "Name",
        "Published",
        "Sale price",
        "Regular price",
        "Images",
        "Parent",
    ]
    said, rows = [], []
    for number, noun in enumerate(chance.sample(NOUNS, 3)):
        addresses = tuple(f"{SITE}wp-content/{number} {n}.jpg" for n in range(chance.randint(1, 3)))
        price = chance.choice(["18", "18.50", "1299"])
        sale = chance.choice(["", "9"])
        sku = f"w{number}"
        rows.append([str(number), "simple", sku, noun, "1", sale, price, ", ".join(addresses), ""])
        said.append(Said(sku, noun, Decimal(price), addresses))
    return Case(table([header, *rows]), said)


def shopify(chance: random.Random) -> Case:
    """Write products as Shopify exports them, some archived or drafts, some with a SKU twice."""
    header = [
        "Handle",
        "Title",
        "Option1 Name",
        "Option1 Value",
        "Variant SKU",
        "Variant Price",
        "Image Src",
        "Published",
        "Status",
    ]
    said, rows = [], []
    for number, noun in enumerate(chance.sample(NOUNS, 4)):
        status = chance.choice(["active", "Active", "archived", "draft", "DRAFT"])
        address = f"{SITE}{number}.jpg?v=1571438"
        sku = f"SH-{number}"
        row = [f"h{number}", noun, "Title", "Default Title", sku, "5.00", address, "true", status]
        rows.append(row)
        if status.lower() != "active":
            continue
        said.append(Said(sku, noun, Decimal("5.00"), (address,)))
        if chance.random() < 0.5:
            rows.append([f"again{number}", *row[1:]])
    return Case(table([header, *rows]), said)


KINDS: dict[str, Callable[[random.Random], Case]] = {
    kind.__name__: kind
    for kind in (
        separators,
        trailing_cells,
        short_rows,
        prices,
        several_addresses,
        single_addresses,
        woocommerce,
        shopify,
    )
}


def cases(kind: str, count: int = EACH) -> Iterator[Case]:
    """Yield the files of a kind."""
    return (KINDS[kind](random.Random(f"{kind} {seed}")) for seed in range(count))


def main() -> None:
    """Write all files into the folder that is named."""
    for kind in KINDS:
        for number, case in enumerate(cases(kind)):
            Path(sys.argv[1], f"{kind}_{number}.csv").write_text(case.text, encoding="utf-8")


if __name__ == "__main__":
    main()
