"""The pause that a server asks for."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read `Retry-After`, seconds or a date (RFC 9110, 10.2.3), as seconds from now, 0 or more.

    None where there is none, or none that makes sense.
    """
    sent = headers.get("Retry-After", "").strip()
    if sent.isdecimal():
        return float(sent)
    with suppress(ValueError, OverflowError):
        date = parsedate_to_datetime(sent)
        aware = date if date.tzinfo else date.replace(tzinfo=UTC)
        return max((aware - datetime.now(UTC)).total_seconds(), 0.0)
    return None
