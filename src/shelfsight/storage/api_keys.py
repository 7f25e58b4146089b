"""Stores API keys: the owner and a digest of each. Keys are revoked, never deleted."""

import hmac
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

import psycopg

from shelfsight.errors import SchemaError
from shelfsight.postgres import statements
from shelfsight.postgres.connection import Connection, Rows, Transactions

QUERIES = statements.load("shelfsight.storage", "api_keys.sql")

_KEY = re.compile(r"shelf_([0-9a-f]{12})_[0-9A-Za-z_-]{43}")
"""The format of a key: a public id, by which the key is looked up, and 256 random bits."""

_NO_TABLE = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn)
"""The errors if there is no table of keys, or a table of the shop has its name."""

_NO_DIGEST = secrets.token_bytes(32)
"""The digest that is compared if no key has the given id, so that a miss takes as long as a hit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key without its secret. `owner` is a `"UserId"`; None for an admin, who sees all.

    `may_confirm` says whether photos that its bearer confirms change what others find.
    """

    id: str
    name: str
    owner: str | None
    created_at: datetime
    revoked_at: datetime | None
    may_confirm: bool = True


class _Row(NamedTuple):
    """A row of the table, with the columns in the order of every statement."""

    digest: bytes
    id: str
    name: str
    owner: str | None
    created_at: datetime
    revoked_at: datetime | None
    may_confirm: bool

    def key(self) -> ApiKey:
        return ApiKey(
            id=self.id,
            name=self.name,
            owner=self.owner,
            created_at=self.created_at,
            revoked_at=self.revoked_at,
            may_confirm=self.may_confirm,
        )


class ApiKeys:
    """The keys in `"ApiKeys"`. Every method raises `DatabaseError` if the table cannot be used."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    def create(
        self, owner: str | None, name: str, *, may_confirm: bool = True
    ) -> tuple[ApiKey, str]:
        """Make a key for an owner, or for an admin (None); return the key and its secret.

        The secret is not stored and cannot be read again.
        """
        id_ = secrets.token_hex(6)
        secret = f"shelf_{id_}_{secrets.token_urlsafe(32)}"
        values: dict[str, Any] = {
            "id": id_,
            "name": name,
            "owner": owner,
            "digest": _digest(secret),
        }
        values["may_confirm"] = may_confirm
        return self._rows("add", values)[0].key(), secret

    def find(self, secret: str) -> ApiKey | None:
        """Find the key that has this secret; None if the secret is wrong or the key is revoked.

        Digests are compared in constant time.
        """
        sent = _KEY.fullmatch(secret)
        rows = self._rows("find", {"id": sent[1]}, read_only=True) if sent else []
        digest = rows[0].digest if rows else _NO_DIGEST
        if not hmac.compare_digest(_digest(secret), digest):
            return None
        key = rows[0].key()
        return key if key.revoked_at is None else None

    def exist(self) -> bool:
        """Return whether a key was ever made.

        Revoked keys count too. Otherwise revoking the last key would open access to everybody.
        """
        return bool(self._tuples("exist", read_only=True)[0][0])

    def all(self) -> list[ApiKey]:
        """Return all keys, the oldest first."""
        return [row.key() for row in self._rows("all", read_only=True)]

    def revoke(self, id_: str) -> ApiKey | None:
        """Revoke a key and return it; None if the id is unknown. Revoking again changes nothing."""
        rows = self._rows("revoke", {"id": id_})
        return rows[0].key() if rows else None

    def _rows(
        self, name: str, values: dict[str, Any] | None = None, *, read_only: bool = False
    ) -> list[_Row]:
        return [_Row._make(row) for row in self._tuples(name, values, read_only=read_only)]

    def _tuples(
        self, name: str, values: dict[str, Any] | None = None, *, read_only: bool = False
    ) -> Rows:
        def work(connection: Connection) -> Rows:
            return connection.execute(QUERIES[name], values).fetchall()

        try:
            if read_only:
                return self._read(name, values or {})
            return self._database.run(work)
        except _NO_TABLE:
            raise SchemaError(
                'the database is not prepared (there is no table "ApiKeys"); run: shelfsight init'
            ) from None

    def _read(self, name: str, values: dict[str, Any]) -> Rows:
        """Read keys also from the table of an older release, until `init` moves it."""
        with suppress(psycopg.errors.UndefinedTable):
            return self._database.ask((QUERIES[name], values))
        if (older := QUERIES.get(f"{name}_older")) is not None:
            with suppress(*_NO_TABLE):
                return self._database.ask((older, values))
        return self._database.ask((QUERIES[name], values))  # moved meanwhile, or not there


def _digest(secret: str) -> bytes:
    """Hash a key with SHA-256.

    A slow hash protects passwords, which can be guessed. A key has 256 random bits and needs none.
    """
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()
