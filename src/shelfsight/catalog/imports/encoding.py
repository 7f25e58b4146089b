"""Finds the encoding of a product file."""

import codecs
from pathlib import Path

from shelfsight.errors import ImportFileError

FALLBACK = "cp1252"
"""The encoding in which spreadsheets of western languages save CSV, unless they are told to use
UTF-8. A short file does not show which 8-bit encoding it has, so others have to be named."""


class UnreadableFileError(Exception):
    """A file cannot be read as products; the message goes on after the name of the file."""


_ARCHIVES = {
    b"PK\x03\x04": "an Excel workbook or a zip file",
    b"\xd0\xcf\x11\xe0": "an Excel workbook",
    b"\x1f\x8b": "a gzip file",
}


def find_encoding(path: Path, chosen: str | None) -> tuple[str, str]:
    """Return the encoding of a file, and how to treat bytes that are not text in it.

    It is the chosen one, else that of the byte order mark, else UTF-8. A file that has bytes that
    are not UTF-8, and no letter that can only be UTF-8, is read as cp1252. If it has both, its
    broken bytes are kept as surrogates, so that only their cells are refused.

    Raises:
        ImportFileError: there is no such encoding.
        UnreadableFileError: the file is no text.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(4)
    for magic, kind in _ARCHIVES.items():
        if start.startswith(magic):
            raise UnreadableFileError(f"is {kind}: export it as CSV in UTF-8")
    if chosen is not None:
        return _known(chosen), "surrogateescape"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16", "strict"
    return ("utf-8-sig" if _is_utf8(path) else FALLBACK), "surrogateescape"


def _known(name: str) -> str:
    try:
        "".encode(name)
    except LookupError as error:
        raise ImportFileError(
            f"there is no encoding {name!r}: give one such as utf-8, cp1252 or cp1251"
        ) from error
    codec = codecs.lookup(name).name
    return "utf-8-sig" if codec == "utf-8" else codec


def _is_utf8(path: Path) -> bool:
    """Return whether each line is UTF-8, or at least one is that has other letters than ASCII."""
    is_broken = False
    with path.open("rb") as file:
        for line in file:
            if line.isascii():
                continue
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                is_broken = True
            else:
                if line.removeprefix(codecs.BOM_UTF8).isascii():
                    continue
                return True
    return not is_broken
