"""Reads prices as people and shops write them: `12,50`, `1.299,00`, `$12.50`, `15.00 USD`."""

import re
from decimal import Decimal

from price_parser import Price

_PLAIN = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")
_NEGATIVE = re.compile(r"[-\u2212]\s*[^\d\s]?\s*\d|[.,]\d{1,2}\s*[-\u2212]$|^\(.*\)$")
"""A sign before the amount, or behind its cents (`12,-` has none), or brackets, as in accounts."""
_MOST = Decimal(10) ** 12


def read_price(text: str) -> Decimal | None:
    """Return the amount; None if the text is not exactly one price of 0 or more.

    In digits with a single point, the point is the decimal sign, as all platforms write it: `1.299`
    is less than two. Without a decimal sign of that kind, price-parser decides.
    """
    if _PLAIN.fullmatch(text):
        return Decimal(text)
    if _NEGATIVE.search(text):
        return None
    price = Price.fromstring(text)
    if price.amount is None or price.amount >= _MOST:
        return None
    # The parser finds the first amount of any text; one with more digits is no price.
    is_whole = _digits(price.amount_text or "") == _digits(text)
    return price.amount if is_whole else None


def _digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))
