"""`doctor` checks everything, says what is wrong and what to do, and exits with 1 on a fault."""

import json
from typing import Any

from tests.end_to_end.command import PASSWORD, Command
from tests.end_to_end.shop_tables import create_tables, run


def findings(shelfsight: Command, status: int, **variables: str) -> dict[str, dict[str, Any]]:
    done = shelfsight("doctor", "--json", **variables)
    assert (done.returncode, done.stderr) == (status, "")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["subject"]: line for line in lines}


def test_a_sound_installation_is_all_ok(shelfsight: Command, url: str) -> None:
    create_tables(url)
    done = shelfsight("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    subjects = [line.removeprefix("ok    ").partition(":")[0] for line in lines]
    assert subjects == [
        *("database", "pgvector", "tables", "rights", "access", "catalogue", "embeddings", "models")
    ]
    assert "models in this process (lite)" in lines[-1]
    assert "768 values and 256 values; licence Apache-2.0, MIT; download none" in lines[-1]


def test_a_new_database_is_told_to_run_init(shelfsight: Command) -> None:
    found = findings(shelfsight, 1)
    assert found["database"]["verdict"] == "ok"
    assert found["tables"]["verdict"] == "wrong"
    assert "shelfsight init" in found["tables"]["what"] + found["tables"]["advice"]


def test_an_unreachable_database_is_wrong_and_the_models_are_still_checked(
    shelfsight: Command,
) -> None:
    unreachable = f"postgresql://shop:{PASSWORD}@127.0.0.1:1/shop"
    found = findings(shelfsight, 1, DATABASE_URL=unreachable)
    assert found["database"]["verdict"] == "wrong"
    assert found["models"]["verdict"] == "ok"


def test_missing_rights_a_missing_index_and_an_unreachable_server_are_reported(
    shelfsight: Command, url: str
) -> None:
    create_tables(url)
    run(url, 'DROP INDEX "ProductImages_ProductVariantId_idx"')
    run(url, "DROP ROLE IF EXISTS looker")
    run(url, "CREATE ROLE looker LOGIN")
    run(url, 'GRANT SELECT ON "ProductVariants", "ProductImages", "ProductEmbeddings" TO looker')
    found = findings(
        shelfsight,
        1,
        DATABASE_URL=url.replace("postgres@", f"looker:{PASSWORD}@"),
        EMBEDDING_SERVER_URL="http://127.0.0.1:1",
        COLD_START_TIMEOUT="0.2",
    )
    assert found["tables"]["verdict"] == "warning"
    assert "CREATE INDEX" in found["tables"]["advice"]
    assert found["rights"]["verdict"] == "wrong"
    assert 'GRANT INSERT ON "ProductEmbeddings" TO looker' in found["rights"]["advice"]
    assert found["embedding server"]["verdict"] == "wrong"


def test_tables_that_another_role_may_use_are_a_warning(shelfsight: Command, url: str) -> None:
    create_tables(url)
    run(url, "GRANT USAGE ON SCHEMA shelfsight TO PUBLIC")
    run(url, 'GRANT SELECT, INSERT ON shelfsight."ApiKeys" TO PUBLIC')
    found = findings(shelfsight, 0)["access"]
    assert found["verdict"] == "warning"
    assert found["what"] == 'PUBLIC may INSERT, SELECT shelfsight."ApiKeys"'
    run(url, found["advice"])
    assert findings(shelfsight, 0)["access"]["verdict"] == "ok"


def test_many_products_without_an_index_by_owner_are_a_warning(
    shelfsight: Command, url: str
) -> None:
    create_tables(url)
    run(url, 'DROP INDEX IF EXISTS "ProductVariants_UserId_idx"')
    assert findings(shelfsight, 0)["tables"]["verdict"] == "ok"
    run(url, 'INSERT INTO "ProductVariants" ("Title") SELECT i FROM generate_series(1, 10000) AS i')
    run(url, 'ANALYZE "ProductVariants"')
    found = findings(shelfsight, 0)["tables"]
    assert found["verdict"] == "warning"
    assert found["advice"] == 'CREATE INDEX CONCURRENTLY ON "ProductVariants" ("UserId")'


def test_models_that_would_be_downloaded_are_a_warning(shelfsight: Command, url: str) -> None:
    create_tables(url)
    found = findings(shelfsight, 0, MODELS="siglip-qwen3")
    assert found["models"]["verdict"] == "warning"
    assert "--models lite" in found["models"]["advice"]
