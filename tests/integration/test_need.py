"""Which vectors of a changed product are made anew: cases that only Postgres has."""

from dataclasses import replace

from shelfsight.catalog.postgres_catalog import PostgresCatalog
from shelfsight.fusion import WeightedMean
from shelfsight.postgres.connection import Connection, Database
from shelfsight.records import (
    TEXT_FIELDS,
    EmbeddedProduct,
    ModelPair,
    Need,
    Product,
    Selection,
    Weights,
)
from shelfsight.storage.vectors.store import PostgresVectorStore
from shelfsight.testing import MODELS
from tests.shop import FUSION, backfill_all, embed, fill, rows

AT_ONCE = Selection(retry_failed=True)
ALL_PARTS = ",".join(TEXT_FIELDS)


def change(database: Database, statement: str) -> None:
    def work(connection: Connection) -> None:
        connection.execute(statement.encode())

    database.run(work)


def due(database: Database, models: ModelPair | None = None) -> list[Product]:
    pages = PostgresCatalog(database, models=models).pages(Selection(), 10)
    return [product for page in pages for product in page]


def test_an_unchanged_vector_keeps_its_picture_model_and_row(database: Database) -> None:
    fill(database, 1, pictures=True)
    backfill_all(database)
    kept = (
        'SELECT "Id", "ImageUrl", "ImageHash", "SourceType", "ModelVersions" '
        'FROM "ProductEmbeddings"'
    )
    before = rows(database, kept)
    change(database, """UPDATE "ProductVariants" SET "Title" = 'New'""")
    report = backfill_all(database)
    assert (report.embedded, report.image, report.text, report.combined) == (1, 0, 1, 1)
    assert rows(database, kept) == before
    assert rows(database, 'SELECT "ProductText" FROM "ProductEmbeddings"') == [("New",)]


def test_a_deleted_vector_leaves_no_model_version_behind(database: Database) -> None:
    fill(database, 1, pictures=True)
    backfill_all(database)
    change(database, 'DELETE FROM "ProductImages"')
    backfill_all(database)
    ((versions, kind),) = rows(
        database, 'SELECT "ModelVersions", "SourceType" FROM "ProductEmbeddings"'
    )
    assert versions == {"text": MODELS.text, "fusion": FUSION.name, "text_fields": ALL_PARTS}
    assert kind == "text"


def test_a_vector_of_another_model_is_replaced(database: Database) -> None:
    fill(database, 1, pictures=True)
    backfill_all(database)
    change(database, """UPDATE "ProductVariants" SET "Title" = 'New'""")
    other = ModelPair(image="another@2", text=MODELS.text)
    (product,) = due(database, other)
    assert (product.image_need, product.text_need) == (Need.MAKE, Need.MAKE)
    late = replace(product, image_need=Need.KEEP)
    assert PostgresVectorStore(database, FUSION).save([embed(late)], other) == []
    assert len(due(database)) == 1


def test_vectors_stored_under_a_branch_are_kept_by_a_commit_of_the_same_model(
    database: Database,
) -> None:
    """Older versions stored `name@main`: an upgrade embeds nothing anew."""
    fill(database, 1, pictures=True)
    backfill_all(database)
    commit = ModelPair(image="hashed-pixels@0123abcd", text="hashed-words@0123abcd")
    change(
        database,
        """UPDATE "ProductEmbeddings" SET "ModelVersions" = "ModelVersions"
             || '{"image": "hashed-pixels@main", "text": "hashed-words@main"}'""",
    )
    assert due(database, commit) == []
    change(database, """UPDATE "ProductVariants" SET "Title" = 'New'""")
    (product,) = due(database, commit)
    assert (product.image_need, product.text_need) == (Need.KEEP, Need.MAKE)
    (stored,) = PostgresVectorStore(database, FUSION).save([embed(product)], commit)
    assert stored.image is not None
    ((versions,),) = rows(database, 'SELECT "ModelVersions" FROM "ProductEmbeddings"')
    assert versions == {
        **{"image": "hashed-pixels@main", "text": commit.text},
        **{"fusion": FUSION.name, "text_fields": ALL_PARTS},
    }


def test_attempts_keep_counting_while_only_the_other_modality_changes(database: Database) -> None:
    fill(database, 1, pictures=True)
    backfill_all(database, pictures={})
    attempts = 'SELECT "Kind", "Attempts" FROM shelfsight."EmbeddingFailures"'
    for title in ("One", "Two"):
        change(database, f"""UPDATE "ProductVariants" SET "Title" = '{title}'""")
        backfill_all(database, pictures={}, selection=AT_ONCE)
    assert rows(database, attempts) == [("http_404", 3)]
    change(database, """UPDATE "ProductImages" SET "ImageUrl" = 'http://shop.test/other.png'""")
    backfill_all(database, pictures={})
    assert rows(database, attempts) == [("http_404", 1)]


def test_a_title_edited_while_it_was_embedded_is_due_again(database: Database) -> None:
    """The vector is stored with the hash of the content that was read."""
    fill(database, 1, pictures=True)
    backfill_all(database)
    change(database, """UPDATE "ProductVariants" SET "Title" = 'New'""")

    def edit_again(page: list[EmbeddedProduct]) -> None:
        if page:
            change(database, """UPDATE "ProductVariants" SET "Title" = 'Newer'""")

    backfill_all(database, before_save=edit_again)
    (product,) = due(database)
    assert (product.title, product.image_need, product.text_need) == ("Newer", Need.KEEP, Need.MAKE)


def test_a_kept_vector_is_combined_with_new_weights(database: Database) -> None:
    fill(database, 1, pictures=True)
    backfill_all(database)
    change(database, """UPDATE "ProductVariants" SET "Title" = 'New'""")
    (product,) = due(database)
    even = PostgresVectorStore(database, WeightedMean(Weights(image=1, text=1)))
    (stored,) = even.save([embed(product)], MODELS)
    assert stored.combined is not None
    assert even.recombine() == 0
