"""Parses the `Retry-After` header."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a server asks to wait, at least 0; None without a valid header.

    The header contains seconds or a date (RFC 9110, section 10.2.3).
    """
    sent = headers.get("Retry-After", "").strip()
    if sent.isdecimal():
        return float(sent)
    with suppress(ValueError, OverflowError):
        date = parsedate_to_datetime(sent)
        aware = date if date.tzinfo else date.replace(tzinfo=UTC)
        return max((aware - datetime.now(UTC)).total_seconds(), 0.0)
    return None
