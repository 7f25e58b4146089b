"""Reads product feeds in XML: the items of RSS, or the entries of Atom."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from lxml import etree

from shelfsight.catalog.imports.encoding import UnreadableFileError
from shelfsight.catalog.imports.imported import BadLine
from shelfsight.catalog.imports.rows import Record

_CHUNK = 1 << 16


class XmlFeed:
    """A feed, which can be read several times. One item at a time is in memory.

    Entities that the file declares are not resolved, and nothing is loaded from elsewhere.
    """

    encoding = "XML"

    def __init__(self, path: Path) -> None:
        """Read the first item.

        Raises:
            UnreadableFileError: the file has no item.
            OSError: the file cannot be read.
        """
        self._path = path
        first = next(iter(self), None)
        if first is None:
            raise UnreadableFileError("is XML, but has no <item> of RSS nor <entry> of Atom")
        if isinstance(first, BadLine):
            raise UnreadableFileError(f"{first.reason} (line {first.line})")
        self.first: Mapping[str, object] = first[1]

    def __iter__(self) -> Iterator[Record | BadLine]:
        """Yield the texts of each item by the name of the element, without its namespace.

        An element that is there several times gives a list. Where the file is broken, a `BadLine`
        is the last.
        """
        parser = etree.XMLPullParser(
            events=("end",),
            tag=("{*}item", "{*}entry"),
            resolve_entities=False,
            no_network=True,
            remove_comments=True,
            remove_pis=True,
            huge_tree=False,
        )
        with self._path.open("rb") as file:
            try:
                while chunk := file.read(_CHUNK):
                    parser.feed(chunk)
                    yield from _items(parser)
                parser.close()
            except etree.XMLSyntaxError as error:
                yield from _items(parser)
                reason = f"is not XML: {error.msg}; nothing from here on was read"
                yield BadLine(line=error.lineno or 1, reason=reason)
                return
            yield from _items(parser)


def _items(parser: etree.XMLPullParser) -> Iterator[Record]:
    for _, item in parser.read_events():
        yield item.sourceline or 1, _texts(item)
        item.clear()
        while item.getprevious() is not None:
            del item.getparent()[0]


def _texts(item: etree._Element) -> dict[str, object]:
    texts: dict[str, list[str]] = defaultdict(list)
    for element in item.iterchildren("*"):
        if next(element.iterchildren("*"), None) is None:
            parts = [element.text, *(entity.tail for entity in element)]
            texts[etree.QName(element).localname].append("".join(filter(None, parts)))
    return {name: found if len(found) > 1 else found[0] for name, found in texts.items()}
