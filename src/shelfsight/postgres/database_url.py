"""Reads the database URLs of other clients: what libpq does not know is translated or left out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote, unquote

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

from shelfsight.errors import SettingsError
from shelfsight.settings import split_database_url

_SCHEMA = ("schema", "currentschema", "schema_search_path")
"""The schema whose tables are found first, as Prisma, JDBC and Rails name it."""

_SSL = {"ssl", "sslmode"}

_ACCEPT = "sslaccept"
"""Whether Prisma verifies the server's certificate: `strict`, or not."""

_POOLER = "pgbouncer"
"""Whether there is a pooler in transaction mode, as Prisma asks: nothing is prepared then."""

_UNDERSTOOD = {*_SCHEMA, *_SSL, _ACCEPT, _POOLER}

_SSL_MODES = {
    **{mode: mode for mode in ("disable", "allow", "prefer", "require", "verify-ca")},
    "verify-full": "verify-full",
    "true": "require",
    "1": "require",
    "no-verify": "require",  # libpq verifies nothing unless the mode says so
    "false": "disable",
    "0": "disable",
}
"""The values of `ssl` and `sslmode`, of node-postgres and others, as the `sslmode` of libpq."""

_HARMLESS = frozenset(
    name.lower()
    for name in (
        # Prisma
        *("connection_limit", "pool_timeout", "socket_timeout", "statement_cache_size"),
        *("max_connection_lifetime", "max_idle_connection_lifetime", "single_use_connections"),
        "sslidentity",
        # Supabase, Vercel and Neon
        *("supa", "workaround", "uselibpqcompat"),
        # node-postgres, Postgres.js and Drizzle
        *("max", "min", "idleTimeoutMillis", "connectionTimeoutMillis", "idle_timeout"),
        *("max_lifetime", "keepAlive", "keepAliveInitialDelayMillis", "prepare", "fetch_types"),
        *("statement_timeout", "query_timeout", "lock_timeout", "max_pipeline", "backoff", "debug"),
        *("idle_in_transaction_session_timeout", "allowExitOnIdle", "maxUses", "types"),
        # asyncpg, SQLAlchemy, Django and Rails
        *("prepared_statement_cache_size", "prepared_statement_name_func", "command_timeout"),
        *("max_cached_statement_lifetime", "max_cacheable_statement_size", "prepare_threshold"),
        *("min_size", "max_size", "pool_size", "max_overflow", "pool_recycle", "pool_pre_ping"),
        *("async_fallback", "conn_max_age", "conn_health_checks", "pool", "prepared_statements"),
        *("statement_limit", "encoding", "reaping_frequency", "checkout_timeout", "timeout"),
        # pgx, lib/pq and JDBC
        *("pool_max_conns", "pool_min_conns", "pool_max_conn_lifetime", "pool_max_conn_idle_time"),
        *("pool_health_check_period", "default_query_exec_mode", "description_cache_capacity"),
        *("binary_parameters", "timezone", "prepareThreshold", "preparedStatementCacheQueries"),
        *("preparedStatementCacheSizeMiB", "tcpKeepAlive", "loginTimeout", "socketTimeout"),
        *("connectTimeout", "stringtype", "reWriteBatchedInserts", "ApplicationName"),
    )
)
"""Parameters, in lower case, that concern another client alone."""


class _Parameter(NamedTuple):
    """A parameter of a URL. `raw` is its text there; `name` and `value` are decoded."""

    raw: str
    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseUrl:
    """A database URL in parts.

    Attributes:
        conninfo: the URL as libpq takes it.
        schema: the schema whose tables are found first; None to leave that to the server.
        has_pooler: whether the URL says that a pooler in transaction mode is in between.
        left_out: the names of the parameters without a meaning here, in their order.
    """

    conninfo: str
    schema: str | None
    has_pooler: bool
    left_out: tuple[str, ...]


def parse_database_url(url: str) -> DatabaseUrl:
    """Translate a database URL for libpq. One with nothing but its parameters means the same.

    Raises:
        SettingsError: a parameter is unknown, or has a value without a meaning. The message has its
            name alone.
    """
    address, query = split_database_url(url)
    parameters = list(_parameters(query))
    given = {parameter.name.lower(): parameter for parameter in parameters}  # the last one counts
    known = {option.keyword.decode() for option in Conninfo.get_defaults()} - _SSL
    for parameter in parameters:
        if parameter.name not in known and parameter.name.lower() not in _UNDERSTOOD | _HARMLESS:
            raise _refused(f"knows no parameter {_shown(parameter)}: take it out")
    kept = [parameter.raw for parameter in parameters if parameter.name in known] + _tls(given)
    left_out = [one.name for one in parameters if one.name.lower() in _HARMLESS - known]
    conninfo = "?".join([address, "&".join(kept)] if kept else [address])
    _check(conninfo)
    return DatabaseUrl(
        conninfo=conninfo,
        schema=next((_schema(given[name]) for name in _SCHEMA if name in given), None),
        has_pooler=_POOLER in given and given[_POOLER].value.lower() in {"true", "1"},
        left_out=tuple(dict.fromkeys(left_out)),
    )


def _parameters(query: str) -> Iterator[_Parameter]:
    for raw in query.split("&"):
        if raw:
            name, _, value = raw.partition("=")
            yield _Parameter(raw, unquote(name), unquote(value))


def _tls(given: Mapping[str, _Parameter]) -> list[str]:
    """Return the parameters of libpq for what the URL says of TLS; `sslmode` goes before `ssl`."""
    if _ACCEPT in given and given[_ACCEPT].value.lower() == "strict":
        # as Prisma does, verify by the certificates that this system trusts
        roots = [] if "sslrootcert" in given else ["sslrootcert=system"]
        return ["sslmode=verify-full", *roots]
    modes = [_ssl_mode(given[name]) for name in ("sslmode", "ssl") if name in given]
    return [f"sslmode={mode}" for mode in modes[:1]]


def _ssl_mode(parameter: _Parameter) -> str:
    if parameter.value.lower() not in _SSL_MODES:
        allowed = ", ".join(_SSL_MODES)
        raise _refused(f"has a value of {parameter.name!r} that is none of {allowed}")
    return _SSL_MODES[parameter.value.lower()]


def _shown(parameter: _Parameter) -> str:
    """Return the name of a parameter for people; not a word that may be the end of a password."""
    return repr(parameter.name[:60]) if "=" in parameter.raw else "without a value"


def _schema(parameter: _Parameter) -> str | None:
    """Return the schema that a parameter names; a list of several is the search path of libpq."""
    if "," in parameter.value:
        cure = quote(f"-csearch_path={parameter.value.replace(' ', '')}")
        raise _refused(f"names several schemas in {parameter.name!r}: write options={cure}")
    return parameter.value.strip('"') or None


def _check(conninfo: str) -> None:
    try:
        conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError:
        raise _refused("has parameters that libpq cannot read: write odd characters as %40") from (
            None
        )


def _refused(why: str) -> SettingsError:
    return SettingsError(f"DATABASE_URL {why}")
