"""An error ends the command with one line that says what to do, and without a traceback."""

from tests.end_to_end.command import PASSWORD, Command, failed_plainly
from tests.end_to_end.shop_tables import add_product, create_tables, run, stored


def test_an_unreachable_database_is_named_without_the_password(shelfsight: Command) -> None:
    unreachable = f"postgresql://shop:{PASSWORD}#x@127.0.0.1:1/shop"
    done = shelfsight("backfill", "--database-url", unreachable)
    error = failed_plainly(done, 1)
    assert error.startswith("shelfsight: the database postgresql://shop@127.0.0.1:1/shop cannot")
    assert "check DATABASE_URL and that the server runs" in error
    assert "Results:" not in done.stdout


def test_a_database_without_tables_is_told_to_run_init(shelfsight: Command) -> None:
    for command in ("status", "backfill"):
        assert "shelfsight init" in failed_plainly(shelfsight(command), 1)


def test_a_failed_model_download_names_the_alternatives_and_writes_nothing(
    shelfsight: Command, url: str
) -> None:
    create_tables(url)
    add_product(url, "Mug")
    done = shelfsight("backfill", MODELS="siglip-qwen3", HF_ENDPOINT="http://127.0.0.1:1")
    error = failed_plainly(done, 1)
    assert len(error.splitlines()) == 1
    for way in ("--models lite", "MODEL_DIR", "EMBEDDING_SERVER_URL"):
        assert way in error
    assert stored(url) == {}
    assert run(url, 'SELECT count(*) FROM shelfsight."EmbeddingFailures"') == [(0,)]


def test_an_unreachable_server_is_named_with_what_to_do(shelfsight: Command, url: str) -> None:
    create_tables(url)
    add_product(url, "Mug")
    server = {"EMBEDDING_SERVER_URL": "http://127.0.0.1:1", "COLD_START_TIMEOUT": "0.2"}
    error = failed_plainly(shelfsight("backfill", **server), 1).splitlines()[-1]
    assert "http://127.0.0.1:1" in error
    assert "COLD_START_TIMEOUT" in error


def test_an_invalid_condition_shows_postgres_own_error_and_a_traceback_on_demand(
    shelfsight: Command, url: str
) -> None:
    create_tables(url)
    wrong = ("backfill", "--where", '"Colour" = 1', "--json")
    plain = shelfsight(*wrong)
    error = failed_plainly(plain, 2)
    assert error == 'shelfsight: --where \'"Colour" = 1\': column "Colour" does not exist\n'
    assert '"event": "result"' in plain.stdout.splitlines()[-1]
    assert '"exit_status": 2' in plain.stdout.splitlines()[-1]
    debugged = shelfsight("--debug", *wrong)
    assert debugged.returncode == 2
    assert "Traceback (most recent call last)" in debugged.stderr
    assert debugged.stderr.endswith(error)


def test_vectors_of_other_models_are_not_mixed_with_those_that_are_stored(
    shelfsight: Command, url: str
) -> None:
    create_tables(url)
    run(
        url,
        'INSERT INTO "ProductEmbeddings"'
        ' ("ProductVariantId", "TextEmbedding", "ModelVersions", "SourceHash")'
        " VALUES (%s, array_fill(1, ARRAY[1024])::vector, '{\"text\": \"another@1\"}', 'old')",
        [add_product(url, "Mug")],
    )
    add_product(url, "Cup")
    error = failed_plainly(shelfsight("backfill"), 1)
    assert "another@1" in error
    assert "--no-skip-existing --all" in error
    assert stored(url).keys() == {"Mug"}
    assert shelfsight.result("--no-skip-existing", "--all")["embedded"] == 2
