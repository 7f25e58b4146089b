"""Every advisory lock has a key of its own, and all keys stand in one file."""

import re
from collections.abc import Iterator
from pathlib import Path

import shelfsight
from shelfsight.postgres import advisory_locks
from shelfsight.postgres.advisory_locks import LockKey

SOURCES = Path(shelfsight.__file__).parent
PREFIX = 0x5E1F
"""The upper half of every key."""

NUMBER = re.compile(r"\b(0x[0-9a-f]+|[0-9]{6,})\b", re.IGNORECASE)
LOCK_CALL_WITH_NUMBER = re.compile(r"pg_\w*advisory_\w*lock\w*\(\s*[0-9]")


def sources() -> Iterator[tuple[Path, str]]:
    for path in sorted(SOURCES.rglob("*")):
        if path.suffix in {".py", ".sql"} and path != Path(advisory_locks.__file__):
            yield path, path.read_text()


def test_no_two_locks_share_a_key() -> None:
    assert len(LockKey.__members__) == len({key.value for key in LockKey.__members__.values()})
    assert {key >> 16 for key in LockKey} == {PREFIX}


def test_no_key_is_written_as_a_number_elsewhere() -> None:
    written = [
        (path, number)
        for path, text in sources()
        for number in NUMBER.findall(text)
        if int(number, 0 if number.lower().startswith("0x") else 10) >> 16 == PREFIX
    ]
    assert written == []


def test_no_statement_takes_an_advisory_lock_by_a_number() -> None:
    assert [path for path, text in sources() if LOCK_CALL_WITH_NUMBER.search(text)] == []
