"""PgBouncer in transaction mode over TLS, as is common with hosted Postgres."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from psycopg import sql
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from shelfsight.errors import DatabaseError, SchemaError
from shelfsight.postgres.connection import Database
from shelfsight.records import CatalogChoice, ModelPair
from shelfsight.scan.matching import Filters, SearchQuery
from shelfsight.storage import schema
from shelfsight.storage.index import build as index_build
from shelfsight.storage.index import indexes as index
from shelfsight.storage.index import recall
from shelfsight.storage.search.product_search import PostgresProductSearch
from shelfsight.storage.status import read
from shelfsight.storage.versions import vector_versions
from shelfsight.storage.versions.switch import roll_back, switch
from shelfsight.testing import direction
from shelfsight.wiring.catalogue import prepare
from tests.free_port import free_port
from tests.shop import backfill_all, fill, rows


def make_certificate(folder: Path) -> None:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )


@pytest.fixture
def pooled(url: str) -> Iterator[str]:
    """The address of the test's database behind PgBouncer in transaction mode."""
    address = urlsplit(url)
    server = parse_qs(address.query)
    sockets, port = server["host"][0], server.get("port", ["5432"])[0]
    owner = pwd.getpwuid(Path(sockets).stat().st_uid)
    folder = Path(tempfile.mkdtemp(prefix="pooler-", dir="/var/tmp"))
    make_certificate(folder)
    listen = free_port()
    name = address.path.lstrip("/")
    (folder / "users.txt").write_text('"postgres" ""\n')
    (folder / "pgbouncer.ini").write_text(
        f"""
        [databases]
        {name} = host={sockets} port={port} dbname={name} user=postgres
        [pgbouncer]
        listen_addr = 127.0.0.1
        listen_port = {listen}
        unix_socket_dir =
        auth_type = any
        auth_file = {folder}/users.txt
        pool_mode = transaction
        default_pool_size = 3
        server_reset_query_always = 0
        client_tls_sslmode = require
        client_tls_key_file = {folder}/key.pem
        client_tls_cert_file = {folder}/cert.pem
        logfile = {folder}/log
        """.replace("\n        ", "\n")
    )
    for path in (folder, *folder.iterdir()):
        os.chown(path, owner.pw_uid, owner.pw_gid)
    pooler = subprocess.Popen(
        [shutil.which("pgbouncer") or "/usr/sbin/pgbouncer", "-q", str(folder / "pgbouncer.ini")],
        user=owner.pw_uid if os.geteuid() == 0 else None,
        cwd="/",
    )
    address = (
        f"postgresql://postgres@localhost:{listen}/{name}"
        f"?sslmode=verify-full&sslrootcert={folder}/cert.pem"
    )
    try:
        wait_for(address)
        yield address
    finally:
        pooler.terminate()
        pooler.wait()
        shutil.rmtree(folder)


@retry(
    retry=retry_if_exception_type(psycopg.OperationalError),
    stop=stop_after_delay(20),
    wait=wait_fixed(0.1),
    reraise=True,
)
def wait_for(address: str) -> None:
    psycopg.connect(address).close()


def test_init_backfill_and_status_work_through_a_transaction_pooler_over_tls(pooled: str) -> None:
    with closing(Database(pooled)) as database:
        schema.create(database)
        fill(database, 700, pictures=True)
        report = backfill_all(database, batch_size=50)
        assert (report.found, report.embedded + report.incomplete) == (700, 700)
        assert read(database).total == 700
        assert backfill_all(database).found == 0


def test_indexes_are_built_through_a_transaction_pooler(pooled: str) -> None:
    with closing(Database(pooled)) as database:
        schema.create(database)
        fill(database, 20)
        backfill_all(database)
        assert len(index_build.build(database, index_build.BuildLogger(list().append))) == 4
        assert {one.state for one in index.read(database)} == {"valid"}
        assert len(index.drop(database)) == 4


def test_a_catalogue_is_read_through_views_without_affecting_other_clients(
    pooled: str, url: str
) -> None:
    with psycopg.connect(url) as shop:
        shop.execute(
            "CREATE TABLE things (id int PRIMARY KEY, name text, photo text);"
            "INSERT INTO things SELECT n, 'Thing ' || n, 'http://shop.test/' || n || '.png'"
            " FROM generate_series(1, 60) AS n"
        )
    options = {"table": "things", "title": "name", "image": "photo"}
    with closing(Database(pooled)) as database:
        prepare(database, CatalogChoice(name="flat", options=options))
        assert backfill_all(database).embedded == 60
        assert index_build.build(database, index_build.BuildLogger(list().append))
        assert len(list(recall.tune(database))) == 4
        search = PostgresProductSearch(database)
        vector = direction(b"any", 768)
        query = SearchQuery(column="image", vector=vector, image=vector)
        assert len(search.candidates(query, Filters(), 10)) == 10
        assert len(index.drop(database)) == 4
        assert read(database).total == 60
        paths = set()
        for _ in range(10):
            with psycopg.connect(pooled) as stranger:
                paths |= set(stranger.execute("SHOW search_path").fetchall())
        assert paths == {('"$user", public',)}


@pytest.mark.parametrize("way", ["direct", "pooler", "pooler that the URL tells of"])
def test_the_schema_of_the_url_holds_the_shop_and_its_vectors(
    way: str, url: str, request: pytest.FixtureRequest
) -> None:
    """Prisma names the schema in the URL; tables of the same names in another are not touched."""
    address = url if way == "direct" else request.getfixturevalue("pooled")
    more = "&pgbouncer=true&connection_limit=1" if way == "pooler that the URL tells of" else ""
    with closing(Database(url)) as other, psycopg.connect(url) as shop:
        schema.create(other)
        shop.execute('CREATE SCHEMA "My Shop"')
    with closing(Database(f"{address}&schema=My%20Shop{more}")) as database:
        schema.create(database)
        fill(database, 20)
        assert backfill_all(database).found == 20
        assert len(index_build.build(database, index_build.BuildLogger(list().append))) == 4
        assert {one.state for one in index.read(database)} == {"valid"}
        search = PostgresProductSearch(database)
        vector = direction(b"x", 1024)
        query = SearchQuery(column="text", vector=vector, text=vector)
        assert len(search.candidates(query, Filters(), 10)) == 10
        others = ModelPair(image="other-pixels@1", text="other-words@1")
        with closing(vector_versions.prepare_staged(database, others)) as new:
            rows(
                new,
                'INSERT INTO "ProductEmbeddings" SELECT * FROM "My Shop"."ProductEmbeddings"'
                " RETURNING 1",
            )
        switch(database, index_build.BuildLogger(list().append))
        assert read(database).total == 20
        roll_back(database)
        assert len(index.drop(database)) == 4
    with psycopg.connect(url) as shop:
        count = 'SELECT count(*) FROM {}."ProductEmbeddings"'
        names = [sql.Identifier("My Shop"), sql.Identifier("public")]
        counts = [shop.execute(sql.SQL(count).format(name)).fetchall() for name in names]
        assert counts == [[(20,)], [(0,)]]
    with psycopg.connect(address) as stranger:
        assert stranger.execute("SHOW search_path").fetchall() == [('"$user", public',)]


def test_a_schema_of_the_url_that_is_not_there_is_named(url: str) -> None:
    with (
        closing(Database(f"{url}&schema=shpo")) as database,
        pytest.raises(SchemaError, match="no schema 'shpo', which DATABASE_URL names"),
    ):
        schema.create(database)


def test_models_are_switched_through_a_transaction_pooler_without_affecting_other_clients(
    pooled: str,
) -> None:
    """The search path to the new tables must not stay on a connection that the pooler reuses."""
    others = ModelPair(image="other-pixels@1", text="other-words@1")
    with closing(Database(pooled)) as database:
        schema.create(database)
        fill(database, 20)
        backfill_all(database)
        index_build.build(database, index_build.BuildLogger(list().append))
        with closing(vector_versions.prepare_staged(database, others)) as new:
            rows(
                new,
                'INSERT INTO "ProductEmbeddings" SELECT * FROM public."ProductEmbeddings"'
                " RETURNING 1",
            )
            paths = set()
            for _ in range(10):
                with psycopg.connect(pooled) as stranger:
                    paths |= set(stranger.execute("SHOW search_path").fetchall())
            assert paths == {('"$user", public',)}
        switch(database, index_build.BuildLogger(list().append))
        assert {one.state for one in index.read(database)} == {"valid"}
        roll_back(database)
        assert vector_versions.existing_schemas(database) == {vector_versions.STAGED_SCHEMA}


def test_a_search_in_one_round_trip_leaves_no_state_on_the_poolers_connection(
    pooled: str,
) -> None:
    search_query = SearchQuery(
        column="text", vector=direction(b"x", 1024), text=direction(b"x", 1024), words="Product 7"
    )
    with closing(Database(pooled)) as database:
        schema.create(database)
        fill(database, 20)
        backfill_all(database)
        search = PostgresProductSearch(database)
        for _ in range(3):
            found = search.candidates(search_query, Filters(), 10)
            assert len(found) >= 10
            assert max(one.word_score or 0 for one in found) == 1
        with psycopg.connect(pooled) as stranger:
            assert stranger.execute("SHOW transaction_read_only").fetchall() == [("off",)]
            path = "SELECT current_setting('hnsw.iterative_scan', true)"
            assert stranger.execute(path).fetchall()[0][0] in (None, "", "off")


def test_nothing_is_prepared_on_a_poolers_connections(pooled: str) -> None:
    """The pooler reuses connections: a client may not find a statement that it prepared."""
    with ExitStack() as opened:
        databases = [opened.enter_context(closing(Database(pooled))) for _ in range(6)]

        def ask(number: int) -> int:
            text = sql.SQL("SELECT %(number)s::int, pg_sleep(0.01)")
            return databases[number % 6].ask((text, {"number": number}), prepare=True)[0][0]

        for start in range(0, 30, 6):
            with ThreadPoolExecutor(6) as threads:
                numbers = range(start, start + 6)
                assert list(threads.map(ask, numbers)) == list(numbers)
        for database in databases:
            assert rows(database, "SELECT name FROM pg_prepared_statements") == []


def test_a_certificate_that_does_not_fit_is_refused(pooled: str) -> None:
    wrong = pooled.replace("localhost", "127.0.0.1")
    with closing(Database(wrong)) as database, pytest.raises(DatabaseError, match="certificate"):
        rows(database, "SELECT 1")
