"""API keys: whose they are, a digest of each, and which were revoked. None is ever deleted."""

import hmac
import re
import secrets
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
"""A public id, by which the key is looked up, and 256 random bits."""

_NOBODY = secrets.token_bytes(32)
"""Compared with when there is no such id, so that this takes as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """What is known of a key. `owner` is a `"UserId"`; None is an admin's, who sees everyone's."""

    id: str
    name: str
    owner: str | None
    created_at: datetime
    revoked_at: datetime | None


class _Row(NamedTuple):
    """A row of the table, in the order in which every statement names the columns."""

    digest: bytes
    id: str
    name: str
    owner: str | None
    created_at: datetime
    revoked_at: datetime | None

    def key(self) -> ApiKey:
        return ApiKey(
            id=self.id,
            name=self.name,
            owner=self.owner,
            created_at=self.created_at,
            revoked_at=self.revoked_at,
        )


class ApiKeys:
    """The table `"ApiKeys"`. Every method raises `DatabaseError` where it cannot be used."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    def create(self, owner: str | None, name: str) -> tuple[ApiKey, str]:
        """Make a key of an owner, or of an admin; the second value is seen here only."""
        id_ = secrets.token_hex(6)
        secret = f"shelf_{id_}_{secrets.token_urlsafe(32)}"
        values = {"id": id_, "name": name, "owner": owner, "digest": _digest(secret)}
        return self._rows("add", values)[0].key(), secret

    def find(self, secret: str) -> ApiKey | None:
        """The key that this is, compared in constant time; None where wrong or revoked."""
        sent = _KEY.fullmatch(secret)
        rows = self._rows("find", {"id": sent[1]}, read_only=True) if sent else []
        digest = rows[0].digest if rows else _NOBODY
        if not hmac.compare_digest(_digest(secret), digest):
            return None
        key = rows[0].key()
        return key if key.revoked_at is None else None

    def exist(self) -> bool:
        """Whether a key was ever made, revoked ones included: revoking must not open a door."""
        return bool(self._tuples("exist", read_only=True)[0][0])

    def all(self) -> list[ApiKey]:
        """Every key, oldest first."""
        return [row.key() for row in self._rows("all", read_only=True)]

    def revoke(self, id_: str) -> ApiKey | None:
        """End a key; None where there is none of this id. A second time changes nothing."""
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
                return self._database.ask((QUERIES[name], values or {}))
            return self._database.run(work)
        except psycopg.errors.UndefinedTable:
            raise SchemaError(
                'the database is not prepared (there is no table "ApiKeys"); run: shelfsight init'
            ) from None


def _digest(secret: str) -> bytes:
    """SHA-256: a slow hash would protect a password, and 256 random bits need no protection."""
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()
