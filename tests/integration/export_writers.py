"""Writes a catalogue as the export of each shop platform, as the platform would."""

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

Line = Mapping[str, str]


@dataclass(frozen=True)
class Variant:
    sku: str
    price: Decimal
    barcode: str
    options: dict[str, str]
    pictures: list[str]


@dataclass(frozen=True)
class Product:
    key: str
    title: str
    description: str
    category: str
    pictures: list[str]
    variants: list[Variant]

    @property
    def is_simple(self) -> bool:
        return len(self.variants) == 1 and not self.variants[0].options


Catalogue = Sequence[Product]
Pictures = Callable[[Product, Variant], list[str]]


def all_pictures(product: Product, variant: Variant) -> list[str]:
    return list(dict.fromkeys([*variant.pictures, *product.pictures]))


def first_and_products(product: Product, variant: Variant) -> list[str]:
    return list(dict.fromkeys([*variant.pictures[:1], *product.pictures]))


def own_or_products(product: Product, variant: Variant) -> list[str]:
    return variant.pictures or product.pictures


def of_product(product: Product, _: Variant) -> list[str]:
    return product.pictures


def none(*_: Any) -> list[str]:
    return []


def table(path: Path, lines: Iterable[Line], delimiter: str = ",") -> None:
    lines = list(lines)
    columns = list(dict.fromkeys(name for line in lines for name in line))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="", delimiter=delimiter)
        writer.writeheader()
        writer.writerows(lines)


def shopify(path: Path, catalogue: Catalogue) -> None:
    lines: list[Line] = []
    for product in catalogue:
        first: Line = {
            **{"Handle": product.key, "Title": product.title, "Body (HTML)": product.description},
            **{"Type": product.category, "Published": "true", "Status": "active"},
        }
        of_product: list[dict[str, str]] = [{"Handle": product.key} for _ in product.variants]
        of_product[0] |= first
        for place, (line, variant) in enumerate(zip(of_product, product.variants, strict=True)):
            line |= {"Variant SKU": variant.sku, "Variant Price": str(variant.price)}
            line |= {"Variant Barcode": variant.barcode, "Image Src": "", "Image Position": ""}
            line["Variant Image"] = next(iter(variant.pictures), "")
            options = variant.options or {"Title": "Default Title"}
            for number, (name, value) in enumerate(options.items(), start=1):
                line |= {f"Option{number} Name": "" if place else name}
                line |= {f"Option{number} Value": value}
        for place, picture in enumerate(product.pictures):
            if place == len(of_product):
                of_product.append({"Handle": product.key})
            of_product[place] |= {"Image Src": picture, "Image Position": str(place + 1)}
        lines += of_product
    table(path, lines)


def shopify_bulk(path: Path, catalogue: Catalogue) -> None:
    objects: list[dict[str, Any]] = []
    children: list[dict[str, Any]] = []
    for number, product in enumerate(catalogue):
        id_ = f"gid://shopify/Product/{number}"
        objects.append(
            {
                **{"id": id_, "handle": product.key, "title": product.title, "status": "ACTIVE"},
                **{"descriptionHtml": product.description, "productType": product.category},
            }
        )
        for place, picture in enumerate(product.pictures):
            media = f"gid://shopify/MediaImage/{number}{place}"
            children.append({"id": media, "image": {"url": picture}, "__parentId": id_})
        for place, variant in enumerate(product.variants):
            options = variant.options or {"Title": "Default Title"}
            picture = next(iter(variant.pictures), None)
            children.append(
                {
                    "id": f"gid://shopify/ProductVariant/{number}{place}",
                    **{"sku": variant.sku, "price": str(variant.price), "barcode": variant.barcode},
                    "selectedOptions": [{"name": n, "value": v} for n, v in options.items()],
                    "image": picture and {"url": picture},
                    "__parentId": id_,
                }
            )
    path.write_text("".join(json.dumps(value) + "\n" for value in [*objects, *children]))


def woo_list(values: Iterable[str]) -> str:
    return ", ".join(value.replace(",", "\\,") for value in values)


def woocommerce(path: Path, catalogue: Catalogue) -> None:
    lines: list[Line] = []
    parents: list[Line] = []
    for number, product in enumerate(catalogue):
        texts = {"Name": product.title, "Description": product.description, "Published": "1"}
        texts["Categories"] = woo_list([product.category])
        common = {**texts, "ID": str(number), "Images": woo_list(product.pictures)}
        if not product.is_simple:
            parents.append({**common, "Type": "variable", "SKU": product.key, "Regular price": ""})
        for place, variant in enumerate(product.variants):
            line = {"Type": "variation", "ID": f"{number}00{place}", "Parent": product.key}
            line |= {"Name": product.title, "Published": "1"}
            if product.is_simple:
                line = {**common, "Type": "simple", "Parent": ""}
            line |= {"SKU": variant.sku, "Regular price": str(variant.price)}
            line |= {"GTIN, UPC, EAN, or ISBN": variant.barcode}
            line["Images"] = woo_list(own_or_products(product, variant))
            for place_, (name, value) in enumerate(variant.options.items(), start=1):
                line |= {f"Attribute {place_} name": name}
                line |= {f"Attribute {place_} value(s)": woo_list([value])}
            lines.append(line)
    table(path, [*lines, *parents])


def magento(path: Path, catalogue: Catalogue) -> None:
    lines: list[Line] = []
    for product in catalogue:
        common = {
            **{"store_view_code": "", "attribute_set_code": "Default", "product_online": "1"},
            **{"name": product.title, "description": product.description},
            "categories": f"Default Category/{product.category}",
        }
        for variant in product.variants:
            base, *more = own_or_products(product, variant) or [""]
            line = {"sku": variant.sku, **common, "product_type": "simple"}
            line |= {"price": f"{variant.price}00", "base_image": base, "barcode": variant.barcode}
            lines.append({**line, "additional_images": ",".join(more)})
        if not product.is_simple:
            variations = "|".join(
                ",".join([f"sku={v.sku}", *(f"{k}={t}" for k, t in v.options.items())])
                for v in product.variants
            )
            line = {"sku": product.key, **common, "product_type": "configurable"}
            lines.append({**line, "configurable_variations": variations})
    table(path, lines)


def offers(catalogue: Catalogue) -> list[dict[str, Any]]:
    return [
        {
            **{"id": variant.sku, "title": product.title, "description": product.description},
            **{"link": "https://shop.example", "price": f"{variant.price} EUR"},
            **{"availability": "in stock", "gtin": variant.barcode},
            "item_group_id": "" if product.is_simple else product.key,
            "product_type": product.category,
            "image_link": next(iter(all_pictures(product, variant)), ""),
            "additional_image_link": all_pictures(product, variant)[1:],
            **{name.lower(): value for name, value in variant.options.items()},
        }
        for product in catalogue
        for variant in product.variants
    ]


def google_tsv(path: Path, catalogue: Catalogue) -> None:
    lines = [
        {**offer, "additional_image_link": ",".join(offer["additional_image_link"])}
        for offer in offers(catalogue)
    ]
    table(path, lines, "\t")


def google_xml(path: Path, catalogue: Catalogue) -> None:
    items = []
    for offer in offers(catalogue):
        elements = [
            f"<g:{name}>{escape(text)}</g:{name}>"
            for name, value in offer.items()
            for text in (value if isinstance(value, list) else [value])
        ]
        items.append(f"<item>{''.join(elements)}</item>")
    namespace = 'xmlns:g="http://base.google.com/ns/1.0"'
    path.write_text(f"<rss {namespace}><channel>{''.join(items)}</channel></rss>", "utf-8")


def bigcommerce(path: Path, catalogue: Catalogue) -> None:
    lines: list[Line] = []
    for product in catalogue:
        only = product.variants[0]
        line = {"Item": "Product", "Name": product.title, "Description": product.description}
        line |= {"Categories": product.category, "SKU": product.key, "Is Visible": "TRUE"}
        if product.is_simple:
            line |= {"SKU": only.sku, "Price": str(only.price), "UPC/EAN": only.barcode}
            line["Variant Image URL"] = next(iter(only.pictures), "")
        lines.append({**line, "Options": ""})
        for variant in () if product.is_simple else product.variants:
            options = "".join(f"Type=Radio|Name={n}|Value={t}" for n, t in variant.options.items())
            line = {"Item": "Variant", "SKU": variant.sku, "Options": options}
            line |= {"Price": str(variant.price), "UPC/EAN": variant.barcode}
            lines.append({**line, "Variant Image URL": next(iter(variant.pictures), "")})
        for place, picture in enumerate(product.pictures):
            line = {"Item": "Image", "Internal Image URL (Export)": picture}
            lines.append({**line, "Image Sort Order": str(place)})
    table(path, lines)


def bigcommerce_legacy(path: Path, catalogue: Catalogue) -> None:
    lines: list[Line] = []
    for product in catalogue:
        only = product.variants[0]
        line = {"Item Type": "Product", "Product Name": product.title, "Product Visible?": "Y"}
        line |= {"Product Description": product.description, "Category": product.category}
        line |= {"Product Code/SKU": product.key}
        line |= {f"Product Image File - {n}": p for n, p in enumerate(product.pictures, start=1)}
        simple = {"Product Code/SKU": only.sku, "Price": str(only.price)}
        simple["Product UPC/EAN"] = only.barcode
        lines.append({**line, **simple} if product.is_simple else line)
        for variant in () if product.is_simple else product.variants:
            name = ",".join(f"[S]{name}={text}" for name, text in variant.options.items())
            line = {"Item Type": "  SKU", "Product Name": name, "Product Code/SKU": variant.sku}
            lines.append({**line, "Price": str(variant.price), "Product UPC/EAN": variant.barcode})
    table(path, lines)


def square(path: Path, catalogue: Catalogue) -> None:
    lines: list[Line] = []
    for product in catalogue:
        for variant in product.variants:
            line = {"Token": variant.sku, "Item Name": product.title, "SKU": variant.sku}
            line |= {"Variation Name": ", ".join(variant.options.values()) or "Regular"}
            line |= {"Description": product.description, "Categories": product.category}
            line |= {"Price": str(variant.price), "GTIN": variant.barcode, "Archived": "N"}
            for number, (name, text) in enumerate(variant.options.items(), start=1):
                line |= {f"Option Name {number}": name, f"Option Value {number}": text}
            lines.append(line)
    table(path, lines)


def plain(path: Path, catalogue: Catalogue) -> None:
    lines: list[Line] = [
        {
            **{"sku": variant.sku, "handle": product.key, "title": product.title},
            **{"description": product.description, "category": product.category},
            **{"price": f"{variant.price}".replace(".", ","), "barcode": f'="{variant.barcode}"'},
            "options": json.dumps(variant.options),
            "images": "|".join(all_pictures(product, variant)),
        }
        for product in catalogue
        for variant in product.variants
    ]
    table(path, lines, ";")


def plain_json(path: Path, catalogue: Catalogue) -> None:
    lines = [
        {
            **{"sku": variant.sku, "product_key": product.key, "title": product.title},
            **{"description": product.description, "category": product.category},
            **{"price": float(variant.price), "barcode": variant.barcode},
            **{"options": variant.options, "images": all_pictures(product, variant)},
        }
        for product in catalogue
        for variant in product.variants
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@dataclass(frozen=True)
class Writer:
    """`write` makes the file, and `pictures` are those that a variant has in it."""

    write: Callable[[Path, Catalogue], None]
    pictures: Pictures
    name: str = "products.csv"


WRITERS = {
    "shopify": Writer(shopify, first_and_products),
    "shopify bulk": Writer(shopify_bulk, first_and_products, "products.jsonl"),
    "woocommerce": Writer(woocommerce, own_or_products),
    "magento": Writer(magento, own_or_products),
    "google tsv": Writer(google_tsv, all_pictures, "products.tsv"),
    "google xml": Writer(google_xml, all_pictures, "products.xml"),
    "bigcommerce": Writer(bigcommerce, first_and_products),
    "bigcommerce legacy": Writer(bigcommerce_legacy, of_product),
    "square": Writer(square, none),
    "plain": Writer(plain, all_pictures),
    "plain json": Writer(plain_json, all_pictures, "products.jsonl"),
}
