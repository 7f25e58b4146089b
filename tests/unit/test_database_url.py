"""Database URLs as other clients write them, and what libpq gets of them."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from shelfsight.errors import SettingsError
from shelfsight.postgres.database_url import parse_database_url
from shelfsight.settings import Settings, load

SCHEMES = ["postgres", "postgresql", "postgresql+psycopg", "postgresql+asyncpg"]

OF_LIBPQ = {"connect_timeout": "5", "application_name": "a b&c", "target_session_attrs": "any"}

OF_OTHERS = ["connection_limit", "pool_timeout", "supa", "statement_cache_size", "prepareThreshold"]

TLS = {
    "ssl=true": "require",
    "ssl=0": "disable",
    "ssl=no-verify": "require",
    "sslmode=no-verify": "require",
    "sslmode=verify-ca": "verify-ca",
    "ssl=true&sslmode=verify-full": "verify-full",
    "sslaccept=strict": "verify-full",
    "sslaccept=accept_invalid_certs&sslmode=prefer": "prefer",
}


@given(
    scheme=st.sampled_from(SCHEMES),
    password=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1),
    of_libpq=st.sets(st.sampled_from(sorted(OF_LIBPQ))),
    of_others=st.lists(st.sampled_from(OF_OTHERS), unique=True),
    tls=st.sampled_from(["", *TLS]),
    schema=st.none() | st.text('abcXYZ_ é"?', min_size=1).filter(lambda name: name.strip('"')),
    pooler=st.sampled_from(["", "pgbouncer=true", "pgbouncer=false"]),
    shuffle=st.randoms(),
)
def test_whatever_a_client_adds_libpq_gets_its_own_and_the_rest_is_understood_or_named(
    *, scheme, password, of_libpq, of_others, tls, schema, pooler, shuffle
):
    parameters = [f"{name}={quote(OF_LIBPQ[name], safe='')}" for name in of_libpq]
    parameters += [f"{name}={number}" for number, name in enumerate(of_others)]
    parameters += [part for part in (tls, pooler) if part]
    parameters += [] if schema is None else [f"schema={quote(schema, safe='')}"]
    shuffle.shuffle(parameters)
    url = f"{scheme}://shop:{quote(password, safe='')}@db.example.com:6432/shop"
    url += "?" * bool(parameters) + "&".join(parameters)

    parsed = parse_database_url(str(Settings(database_url=url).database_url))

    libpq = conninfo_to_dict(parsed.conninfo)
    libpq.pop("sslrootcert", None)
    assert libpq == {
        **{"user": "shop", "password": password, "host": "db.example.com", "port": "6432"},
        **{"dbname": "shop", **{name: OF_LIBPQ[name] for name in of_libpq}},
        **({"sslmode": TLS[tls]} if tls else {}),
    }
    assert sorted(parsed.left_out) == sorted(of_others)
    assert parsed.schema == (None if schema is None else schema.strip('"'))
    assert parsed.has_pooler == (pooler == "pgbouncer=true")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("bogus=hunter2", "knows no parameter 'bogus'"),
        ("sslmode=hunter2", "has a value of 'sslmode' that is none of"),
        ("schema=a,b", "write options=-csearch_path%3Da%2Cb"),
        ("password=a&hunter2", "knows no parameter without a value"),
        ("connect_timeout=%zzhunter2", "parameters that libpq cannot read"),
    ],
)
def test_what_is_not_understood_is_refused_in_one_line_without_its_value(query, said):
    with pytest.raises(SettingsError) as refusal:
        parse_database_url(f"postgresql://shop:hunter2@host/db?{query}")
    assert said in str(refusal.value)
    assert "hunter2" not in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 1


def test_a_question_mark_in_a_password_starts_no_parameters(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgres://shop:a?b=c@host/db?schema=x")
    parsed = parse_database_url(str(load().database_url))
    assert conninfo_to_dict(parsed.conninfo)["password"] == "a?b=c"
    assert parsed.schema == "x"
