"""Shortens the address of a picture for a message, without its secrets."""

import re

MAX_SHOWN_LENGTH = 200
"""The largest number of characters of an address in a message."""


def shown(address: str) -> str:
    """Shorten an address for a message: one line, at most 200 characters, no login, no query."""
    start = address[: 4 * MAX_SHOWN_LENGTH].lstrip()
    if start[:5].lower() == "data:":
        start = start.partition(",")[0]
    bare = re.split(r"[?#]", start, maxsplit=1)[0]
    bare = re.sub(r"^([^/]*//)[^/]*@", r"\1", bare)
    line = "".join(char if char.isprintable() else "?" for char in bare.rstrip())
    return line if len(line) <= MAX_SHOWN_LENGTH else f"{line[: MAX_SHOWN_LENGTH - 3]}..."
