"""The formats of product files. To add one, write a module with a `FORMAT` and name it here."""

from shelfsight.catalog.imports.formats import (
    bigcommerce,
    bigcommerce_legacy,
    magento,
    merchant_feed,
    plain,
    shopify,
    shopify_bulk,
    square,
    woocommerce,
)
from shelfsight.catalog.imports.formats.format import Format

__all__ = ["FORMATS", "PLAIN", "Format"]

FORMATS = (
    shopify.FORMAT,
    shopify_bulk.FORMAT,
    woocommerce.FORMAT,
    magento.FORMAT,
    bigcommerce.FORMAT,
    bigcommerce_legacy.FORMAT,
    square.FORMAT,
    merchant_feed.FORMAT,
)
"""The formats that are recognised by their columns, in the order in which they are tried."""

PLAIN = plain.FORMAT
"""The format of all other files."""
