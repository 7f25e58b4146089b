"""Default privileges, such as Supabase's, open none of our tables to other roles."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest

from shelfsight.errors import DatabaseError
from shelfsight.postgres.connection import Database
from shelfsight.storage import rights, schema
from shelfsight.storage.api_keys import ApiKeys
from shelfsight.storage.changes import triggers
from shelfsight.storage.migrations import version
from tests.integration.test_vector_versions import OTHERS, THIRD, build, change, embed
from tests.shop import fill, rows
from tests.upgrade.released import DUMPS, load

CLIENTS = ("anon", "authenticated")

IN_PUBLIC = tuple(
    f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON {what} TO anon, authenticated"
    for what in ("TABLES", "SEQUENCES", "FUNCTIONS")
)
"""What Supabase sets."""

EVERYWHERE = tuple(
    f"ALTER DEFAULT PRIVILEGES GRANT ALL ON {what} TO anon, authenticated"
    for what in ("TABLES", "SEQUENCES", "FUNCTIONS", "SCHEMAS")
)

OWN = ("shelfsight", "shelfsight_next", "shelfsight_previous")


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.fixture
def clients(url: str) -> Iterator[str]:
    """The URL of an empty database, on a server that has the two roles of Supabase."""
    execute(url, *(f"CREATE ROLE {name} NOLOGIN" for name in (*CLIENTS, "app")))
    yield url
    execute(url, *(f"DROP OWNED BY {name} CASCADE" for name in (*CLIENTS, "app")))
    execute(url, *(f"DROP ROLE {name}" for name in (*CLIENTS, "app")))


@pytest.fixture(params=[IN_PUBLIC, EVERYWHERE], ids=["in_public", "everywhere"])
def exposed(request: pytest.FixtureRequest, clients: str) -> str:
    """A database whose default privileges give everything to clients on the internet."""
    execute(clients, "GRANT USAGE ON SCHEMA public TO anon, authenticated", *request.param)
    return clients


@contextmanager
def as_role(url: str, role: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"SET ROLE {role}")
        yield connection


def assert_closed(url: str) -> None:
    """Check that neither role can use a table, sequence or function in any schema of ours."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT format('%%I.%%I', nspname, relname), relkind FROM pg_class"
            " JOIN pg_namespace AS n ON n.oid = relnamespace"
            " WHERE nspname = ANY(%s) AND relkind IN ('r', 'S')",
            [list(OWN)],
        ).fetchall()
        held = connection.execute(
            "SELECT DISTINCT pg_get_userbyid(grantee), format('%%I.%%I', nspname, relname)"
            " FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace, aclexplode(relacl)"
            " WHERE nspname = ANY(%s) AND grantee <> relowner",
            [list(OWN)],
        ).fetchall()
    assert held == []
    assert len([name for name, kind in found if kind == "r"]) >= 8
    statements = [f"SELECT nextval('{name}')" for name, kind in found if kind == "S"]
    for name, kind in found:
        if kind == "r":
            statements += [f"SELECT FROM {name}", f"INSERT INTO {name} DEFAULT VALUES"]
            statements += [f"DELETE FROM {name}", f"TRUNCATE {name}"]
    statements.append("SELECT shelfsight.queue_changed()")
    for role in CLIENTS:
        with as_role(url, role) as client:
            for statement in statements:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    client.execute(statement)


def test_a_new_database_is_closed_to_clients_and_open_to_us(exposed: str) -> None:
    with closing(Database(exposed)) as database:
        done = schema.create(database)
        assert any("row-level security" in line and "anon" in line for line in done)
        triggers.create(database)
        fill(database, 5, pictures=True)
        assert embed(database) == 5
        ApiKeys(database).create(None, "")
        assert_closed(exposed)
        build(database, OTHERS)
        assert_closed(exposed)
        change(database)
        build(database, THIRD)
        assert_closed(exposed)
        assert rows(database, 'SELECT count(*) FROM "ProductEmbeddings"') == [(5,)]
        assert database.run(rights.open_tables) == []
    for role in CLIENTS:
        with as_role(exposed, role) as client:
            for table in ("ProductEmbeddings", "ProductVariants", "ProductImages", "Products"):
                assert client.execute(f'SELECT FROM "{table}"').fetchall() == []
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                client.execute(
                    'INSERT INTO "ProductEmbeddings" ("ProductVariantId")'
                    " VALUES (gen_random_uuid())"
                )


def test_tables_of_an_older_release_are_closed_when_they_are_moved(exposed: str) -> None:
    load(exposed, DUMPS[0])
    with as_role(exposed, "anon") as client:
        client.execute(
            'INSERT INTO "ApiKeys" ("Id", "Name", "Digest") VALUES (\'0\', \'\', \'\')'
        )  # an admin's key
    with closing(Database(exposed)) as database:
        done = schema.create(database)
    assert "revoked all rights on the schema shelfsight from anon, authenticated" in done
    assert_closed(exposed)


def test_a_table_of_vectors_that_is_there_already_stays_as_the_shop_has_it(exposed: str) -> None:
    load(exposed, DUMPS[0])
    acl = (
        "SELECT relrowsecurity, relacl::text FROM pg_class"
        " WHERE oid = '\"ProductEmbeddings\"'::regclass"
    )
    with closing(Database(exposed)) as database:
        before = rows(database, acl)
        schema.create(database)
        assert rows(database, acl) == before
        found = [what for what, _ in database.run(rights.open_tables)]
        assert [what for what in found if what.startswith("anon may")], found
        assert all('"ProductEmbeddings"' in what for what in found)
        cures = [cure for _, cure in database.run(rights.open_tables)]
        execute(exposed, *cures)
        assert database.run(rights.open_tables) == []


def test_rights_that_an_administrator_gave_are_kept(clients: str) -> None:
    load(clients, DUMPS[0])
    execute(clients, 'GRANT SELECT, INSERT ON "ApiKeys", "ScanMeans" TO app')
    with closing(Database(clients)) as database:
        schema.create(database)
        assert database.run(version.current) == version.latest()
    with as_role(clients, "app") as application:
        assert application.execute('SELECT FROM shelfsight."ApiKeys"').fetchall()
        assert application.execute('SELECT FROM shelfsight."SchemaVersion"').fetchall()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            application.execute('SELECT FROM shelfsight."BackfillRuns"')


def test_what_is_opened_later_is_found_with_its_cure(clients: str) -> None:
    with closing(Database(clients)) as database:
        schema.create(database)
        execute(
            clients,
            "GRANT USAGE ON SCHEMA shelfsight TO anon",
            'GRANT SELECT ON shelfsight."ApiKeys" TO anon',
            'GRANT SELECT, INSERT ON shelfsight."EmbeddingQueue" TO PUBLIC',
            'GRANT SELECT ON shelfsight."ScanMeans" TO anon',
        )
        found = database.run(rights.open_tables)
        assert found == [
            (
                'anon may SELECT shelfsight."ApiKeys"',
                'REVOKE ALL ON shelfsight."ApiKeys" FROM anon',
            )
        ]
        execute(clients, "GRANT USAGE ON SCHEMA shelfsight TO PUBLIC")
        assert 'PUBLIC may INSERT shelfsight."EmbeddingQueue"' in [
            what for what, _ in database.run(rights.open_tables)
        ]


def test_vectors_that_row_level_security_hides_from_the_role_are_noticed(clients: str) -> None:
    with closing(Database(clients)) as database:
        schema.create(database)
        execute(clients, 'GRANT ALL ON "ProductEmbeddings" TO app')
        assert not database.run(rights.are_vectors_hidden)
        execute(clients, 'ALTER TABLE "ProductEmbeddings" ENABLE ROW LEVEL SECURITY')
        assert not database.run(rights.are_vectors_hidden)
        execute(clients, "ALTER ROLE app LOGIN")
        with closing(Database(clients.replace("postgres@", "app@"))) as application:
            assert application.run(rights.are_vectors_hidden)


def test_a_role_that_may_not_create_the_schema_is_told_what_to_ask_for(clients: str) -> None:
    execute(clients, "CREATE EXTENSION vector", "ALTER ROLE app LOGIN")
    execute(clients, "GRANT CREATE ON SCHEMA public TO app")
    with closing(Database(clients.replace("postgres@", "app@"))) as database:
        with pytest.raises(DatabaseError, match='CREATE SCHEMA shelfsight AUTHORIZATION "app"'):
            schema.create(database)
        execute(clients, 'CREATE SCHEMA shelfsight AUTHORIZATION "app"')
        assert "applied migration 0001 (own schema)" in schema.create(database)
        assert schema.create(database) == []


def test_a_superuser_migrates_the_tables_of_another_role_which_works_on(clients: str) -> None:
    load(clients, DUMPS[0])
    execute(
        clients,
        "ALTER ROLE app LOGIN",
        "ALTER SCHEMA public OWNER TO app",
        "DO $$ DECLARE one regclass; BEGIN FOR one IN SELECT oid FROM pg_class"
        " WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' LOOP"
        " EXECUTE format('ALTER TABLE %s OWNER TO app', one); END LOOP; END $$",
    )
    with closing(Database(clients)) as database:
        schema.create(database)
    with closing(Database(clients.replace("postgres@", "app@"))) as application:
        application.run(version.check)
        ApiKeys(application).create("eve", "")
        assert schema.create(application) == []
