"""The `shelfsight index` command, and a backfill of tables that have indexes."""

import signal

import psycopg
import pytest

from shelfsight.storage.index.deferred_indexes import LARGE
from tests.end_to_end.command import PATIENCE, Command, failed_plainly
from tests.end_to_end.shop_tables import create_tables, run
from tests.end_to_end.test_interrupt import STOPPING, count, read_stopping, read_until

NAMES = [
    "shelfsight_image_hnsw",
    "shelfsight_text_hnsw",
    "shelfsight_combined_hnsw",
    "shelfsight_words",
]


def add_products(url: str, number: int) -> None:
    create_tables(url)
    run(
        url,
        'INSERT INTO "ProductVariants" ("Id", "Title") SELECT lpad(to_hex(i), 32, \'0\')::uuid,'
        " 'Product ' || i FROM generate_series(1, %s) AS i",
        [number],
    )


def valid(url: str) -> list[str]:
    return [
        name
        for (name,) in run(
            url,
            "SELECT c.relname FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid"
            " WHERE i.indisvalid AND c.relname LIKE 'shelfsight%' ORDER BY c.oid",
        )
    ]


def states(shelfsight: Command) -> list[str]:
    ((found),) = shelfsight.json("index", "status")
    assert [one["name"] for one in found["indexes"]] == NAMES
    return [one["state"] for one in found["indexes"]]


def test_indexes_are_built_measured_shown_and_dropped(shelfsight: Command, url: str) -> None:
    add_products(url, 40)
    shelfsight.result()
    assert states(shelfsight) == ["missing"] * 4
    assert (
        "So few products are searched fast without indexes." in shelfsight("index", "status").stdout
    )
    done = shelfsight("index", "build")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[1].startswith("40 products are searched fast without indexes")
    assert [line.split(" in ")[0] for line in lines if line.startswith("Built")] == [
        f"Built {name}" for name in NAMES
    ]
    assert lines[-3].startswith("Recall@10 against an exact search")
    assert lines[-2] == "  shelfsight_text_hnsw: 1.000 with hnsw.ef_search 100"
    assert "All indexes are there already.\n" in shelfsight("index", "build").stdout
    shown = shelfsight("index", "status").stdout
    assert " shelfsight_text_hnsw     | valid    |     0 MB |        40 | about " in shown
    assert shelfsight("index", "drop").stdout == f"Dropped {', '.join(NAMES)}\n"
    assert shelfsight("index", "drop").stdout == "There are no indexes to drop.\n"


def test_a_large_shop_without_indexes_is_advised_to_build_them(
    shelfsight: Command, url: str
) -> None:
    add_products(url, 5_001)
    run(
        url,
        'INSERT INTO "ProductEmbeddings" ("ProductVariantId", "ProductText", "SourceHash")'
        ' SELECT "Id", "Title", "Title" FROM "ProductVariants"',
    )
    for words in (["status"], ["index", "status"]):
        assert "run: shelfsight index build\n" in shelfsight(*words).stdout
    shelfsight("index", "build")
    assert "index build" not in shelfsight("status").stdout


def test_without_tables_it_says_to_run_init(shelfsight: Command) -> None:
    for name in ("build", "drop", "status"):
        assert "shelfsight init" in failed_plainly(shelfsight("index", name), 1)


def test_ctrl_c_ends_an_index_build_cleanly(shelfsight: Command, url: str) -> None:
    add_products(url, 3)
    with psycopg.connect(url) as writer:
        writer.execute('DELETE FROM "ProductEmbeddings"')
        writer.execute('LOCK "ProductEmbeddings" IN ROW EXCLUSIVE MODE')
        with shelfsight.started("index", "build") as process:
            assert process.stdout is not None
            for line in process.stdout:
                if "waiting for writers" in line:
                    break
            process.send_signal(signal.SIGINT)
            for line in process.stdout:
                if "is not built" in line:
                    writer.rollback()
            assert process.wait(PATIENCE) == 130
            assert process.stderr is not None
            assert process.stderr.read().strip() == ""
    assert states(shelfsight) == ["missing"] * 4


@pytest.mark.parametrize("words", [["--defer-index"], []])
def test_a_large_load_warns_about_indexes_or_drops_them_meanwhile(
    shelfsight: Command, url: str, words: list[str]
) -> None:
    add_products(url, LARGE + 6)
    assert shelfsight("index", "build").returncode == 0
    few = shelfsight("backfill", "--max-batches=1", "--batch-size=5", "--defer-index")
    assert "indexes" not in few.stdout
    with shelfsight.started("backfill", "--json", "--all", "--batch-size=10", *words) as process:
        events = read_until(process, lambda events: count(events, "stored") == 2)
        live = valid(url)
        process.send_signal(signal.SIGINT)
        assert STOPPING.fullmatch(read_stopping(process))
        events += read_until(process, lambda events: events[-1]["event"] == "result")
        assert process.wait(PATIENCE) == 130
    messages = [event["text"] for event in events if event["event"] == "message"]
    if words:
        assert live == []
        assert any("Dropping 4 indexes" in text for text in messages)
        assert f"Built {NAMES[0]}" in " ".join(messages)
    else:
        assert live == NAMES
        assert any("--defer-index" in text for text in messages)
    assert valid(url) == NAMES


def test_a_load_with_deferred_indexes_that_is_stopped_twice_says_what_is_missing(
    shelfsight: Command, url: str
) -> None:
    add_products(url, LARGE + 1)
    shelfsight("index", "build")
    with (
        psycopg.connect(url) as writer,
        shelfsight.started("backfill", "--json", "--all", "--defer-index") as process,
    ):
        before = read_until(process, lambda events: count(events, "stored") == 1)
        writer.execute('LOCK "ProductEmbeddings" IN ACCESS EXCLUSIVE MODE')
        process.send_signal(signal.SIGINT)
        assert STOPPING.fullmatch(read_stopping(process))
        process.send_signal(signal.SIGINT)
        events = before + read_until(process, lambda events: events[-1]["event"] == "result")
        assert process.wait(PATIENCE) == 130
    assert any("not built again" in event.get("text", "") for event in events)
    assert valid(url) == []
