"""`init` creates only what is missing; `status` shows what is stored and what is due."""

from tests.end_to_end.command import Command
from tests.end_to_end.shop_tables import add_product, create_tables


def test_init_says_what_it_created_and_the_second_time_nothing(shelfsight: Command) -> None:
    first, second = shelfsight("init"), shelfsight("init")
    assert (first.returncode, second.returncode) == (0, 0)
    for table in ("Products", "ProductVariants", "ProductImages", "ProductEmbeddings"):
        assert f'"{table}"' in first.stdout
    assert second.stdout.splitlines()[1:] == ["  created nothing: all is there"]


def test_the_status_shows_counts_sources_and_what_is_due_before_and_after(
    shelfsight: Command, url: str
) -> None:
    create_tables(url)
    for title in ("Mug", "Cup", None):
        add_product(url, title)
    assert "Due: 3 (run: shelfsight backfill --all)\n" in shelfsight("status").stdout
    assert shelfsight.result()["skipped"] == 1
    lines = shelfsight("status").stdout.splitlines()
    assert lines[1] == " total_embeddings | image_count | text_count | combined_count"
    assert lines[3].replace(" ", "") == "2|0|2|2"
    assert " text       |     2" in lines
    (failed,) = (line for line in lines if line.startswith("  no_content 1: "))
    assert failed.endswith("; such as neither title, description nor picture")
    assert lines[-1] == "Due: 0"
    (full,) = shelfsight.json("status")
    assert (full["total"], full["text"], full["combined"], full["due"]) == (2, 2, 2, 0)
    assert full["failures"][0][:2] == ["no_content", 1]


def test_without_a_database_url_the_embedded_database_is_used_and_initialised(
    shelfsight: Command, home_of_its_own: str
) -> None:
    environment = {"DATABASE_URL": "", "SHELFSIGHT_HOME": home_of_its_own}
    (shelfsight.folder / "mug.jsonl").write_text('{"sku": "mug-1", "title": "Mug"}\n')
    assert "1 new" in shelfsight("import", "mug.jsonl", **environment).stdout
    done = shelfsight("backfill", **environment)
    assert f"Database:      embedded Postgres in {home_of_its_own}\n" in done.stdout
    assert "  - Successfully embedded: 1\n" in done.stdout
