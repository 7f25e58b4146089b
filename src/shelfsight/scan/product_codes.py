"""The spellings under which a shop may have stored a code: a GTIN, or any other text."""

import re
from collections.abc import Iterable
from typing import Final

MAX_LENGTH: Final = 64
"""A longer text is not taken as a SKU or a barcode, though a GTIN may be part of it."""

_GTIN_LENGTHS: Final = (8, 12, 13, 14)
"""The digits of a GTIN-8, UPC-A (GTIN-12), EAN-13 (GTIN-13) and GTIN-14, with the check digit."""

_FEWEST_DIGITS: Final = 6
"""A number without leading zeros is only taken as a GTIN if it has this many digits."""

_GS1_GTIN: Final = re.compile(r"(?:\(01\)|/01/)(\d{8,14})(?=\D|$)")
"""A GTIN in a GS1 code, after application identifier 01: in its readable form, or in a GS1 Digital
Link (GS1 General Specifications, section 3; GS1 Digital Link 1.2, section 3)."""


def spellings(code: str) -> tuple[str, ...]:
    """Return the texts of which a stored SKU or barcode may be one, if it is this code.

    Any code may be stored in upper or lower case. A GTIN may be stored with or without leading
    zeros: 036000291452 (UPC-A), 0036000291452 (EAN-13) and 36000291452 (a spreadsheet) are one.

    >>> spellings("ab-1")
    ('ab-1', 'AB-1')
    """
    code = code.strip()
    digits = _digits_of(code)
    forms = (code, code.upper(), code.lower(), *(_padded(digits) if digits else ()))
    return tuple(dict.fromkeys(forms))


def stored_as(texts: Iterable[str]) -> tuple[str, ...]:
    """Return all spellings of all texts, without those that are too long for a code."""
    all_ = (spelling for text in texts for spelling in spellings(text))
    return tuple(dict.fromkeys(text for text in all_ if 0 < len(text) <= MAX_LENGTH))


def is_gtin(digits: str) -> bool:
    """Return whether these are the digits of a GTIN, leading zeros aside: is the check digit right?

    The weights are 3, 1, 3, 1, ... from the digit before the check digit to the left (GS1 General
    Specifications, section 7.9).
    """
    if not (digits.isascii() and digits.isdecimal()):
        return False
    significant = digits.lstrip("0")
    if not _FEWEST_DIGITS <= len(significant) <= max(_GTIN_LENGTHS):
        return False
    return sum(int(d) * (3 if n % 2 else 1) for n, d in enumerate(reversed(significant))) % 10 == 0


def _digits_of(code: str) -> str | None:
    """Return the digits of a GTIN: the code itself, or the part of a GS1 code; else None."""
    gs1 = _GS1_GTIN.search(code)
    digits = gs1[1] if gs1 else code
    return digits if is_gtin(digits) else None


def _padded(digits: str) -> list[str]:
    significant = digits.lstrip("0")
    return [significant, *(significant.zfill(n) for n in _GTIN_LENGTHS if n >= len(significant))]
