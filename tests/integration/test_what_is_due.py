"""What has no vector and could have one is due, unless a failure of just that content waits."""

from dataclasses import dataclass
from itertools import chain

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shelfsight.backfill.losses import RunPolicy
from shelfsight.catalog.postgres_catalog import PostgresCatalog
from shelfsight.postgres.connection import Connection, Database
from shelfsight.records import STAGES, ContentModality, Product, Selection, Stage
from tests.shop import backfill_all, fill, rows

OURS = '"ProductEmbeddings" WHERE "SourceHash" IS NOT NULL'
VECTORS = f'SELECT count("ImageEmbedding"), count("TextEmbedding") FROM {OURS}'


def execute(database: Database, *statements: str) -> None:
    def work(connection: Connection) -> None:
        for statement in statements:
            connection.execute(statement.encode())

    database.run(work)


def due(database: Database, *, everything: bool = False) -> dict[str, Product]:
    selection = Selection(skip_existing=not everything)
    pages = PostgresCatalog(database).pages(selection, 100)
    return {product.id: product for product in chain.from_iterable(pages)}


def test_a_text_vector_is_made_again_where_only_the_picture_had_failed(database: Database) -> None:
    fill(database, 5, pictures=True)
    backfill_all(database, pictures={})
    assert rows(database, VECTORS) == [(0, 5)]
    execute(database, 'TRUNCATE "ProductEmbeddings"')
    report = backfill_all(database, pictures={})
    assert (report.found, report.text, report.lacking_picture) == (5, 5, 5)
    assert rows(database, VECTORS) == [(0, 5)]
    assert due(database) == {}


def test_a_vector_whose_failure_is_gone_is_due(database: Database) -> None:
    fill(database, 2, pictures=True)
    backfill_all(database, pictures={})
    execute(database, 'TRUNCATE shelfsight."EmbeddingFailures"')
    assert len(due(database)) == 2
    backfill_all(database)
    execute(database, 'UPDATE "ProductEmbeddings" SET "TextEmbedding" = NULL')
    assert len(due(database)) == 2


def test_what_each_backfill_reads_of_a_product_is_kept_in_its_row(database: Database) -> None:
    """Only the vectors that scans read less often, and a long text, are moved out by TOAST."""
    fill(database, 3, pictures=True)
    execute(
        database,
        """UPDATE "ProductVariants" SET "Description" = (
             SELECT string_agg(md5(n::text), ' ') FROM generate_series(1, 100) AS n)""",
    )
    backfill_all(database)
    columns = "ImageEmbedding", "SourceHash", "ModelVersions", "ImageFiles", "TextEmbedding"
    moved = ", ".join(f'pg_column_toast_chunk_id("{name}") IS NOT NULL' for name in columns)
    assert set(rows(database, f"SELECT {moved} FROM {OURS}")) == {(False,) * 4 + (True,)}


def test_a_text_without_words_is_due_once_and_is_no_failure(database: Database) -> None:
    fill(database, 3, pictures=True)
    words = "<p></p>", "\N{NO-BREAK SPACE}", f"data:image/png;base64,{'A' * 60_000}"
    for number, text in enumerate(words, 1):
        execute(
            database,
            f"""UPDATE "ProductVariants" SET "Title" = NULL, "Description" = '{text}'
                WHERE "Sku" = 'sku-{number}'""",
        )
    report = backfill_all(database)
    assert (report.whole, report.image, report.exit_status) == (3, 3, 0)
    assert due(database) == {}
    assert due(database, everything=True).keys() != set()
    execute(database, 'DELETE FROM "ProductImages"')
    assert backfill_all(database, policy=RunPolicy(accepts_losses=True)).skipped == 0
    assert due(database) == {}


@dataclass(frozen=True)
class State:
    """The content of a product, and what the tables hold about it.

    `hashes` says of text and image whether the row was made from the present content. `failures`
    are by stage: whether it is of the present content, and the interval to the next attempt.
    """

    has_text: bool
    has_picture: bool
    has_row: bool
    hashes: tuple[bool, bool] | None
    vectors: tuple[bool, bool]
    failures: dict[Stage, tuple[bool, str | None]]

    def must_be_due(self, modality: ContentModality) -> bool:
        has_content = self.has_text if modality == "text" else self.has_picture
        part = 0 if modality == "text" else 1
        is_made = self.has_row and self.vectors[part] and bool(self.hashes and self.hashes[part])
        return has_content and not is_made and not self.waits(modality)

    def waits(self, modality: ContentModality) -> bool:
        """Whether a failure of the present content explains why there is no vector."""
        of_stages = [self.failures[stage] for stage in STAGES[modality] if stage in self.failures]
        is_again = any(is_same and wait == "-1 hour" for is_same, wait in of_stages)
        return not is_again and any(is_same for is_same, _ in of_stages)


BOTH = st.tuples(st.booleans(), st.booleans())
FAILURE = st.tuples(st.booleans(), st.sampled_from([None, "1 hour", "-1 hour"]))
STATES = st.builds(
    State,
    has_text=st.booleans(),
    has_picture=st.booleans(),
    has_row=st.booleans(),
    hashes=st.none() | BOTH,
    vectors=BOTH,
    failures=st.dictionaries(st.sampled_from(list(Stage)), FAILURE),
)


def put(connection: Connection, product: Product, state: State) -> None:
    own = product.source_hash.split(":")

    def hash_of(parts: tuple[bool, bool]) -> str:
        return ":".join(part if same else "another" for part, same in zip(own, parts, strict=True))

    text, image = state.vectors  # without content, a vector can only be of other content
    text &= state.has_text or not (state.hashes and state.hashes[0])
    image &= state.has_picture or not (state.hashes and state.hashes[1])
    if state.has_row:
        connection.execute(
            'INSERT INTO "ProductEmbeddings" ("ProductVariantId", "SourceHash", "TextEmbedding",'
            ' "ImageEmbedding") VALUES (%s, %s, CASE WHEN %s THEN'
            " array_fill(1, ARRAY[1024])::vector END,"
            " CASE WHEN %s THEN array_fill(1, ARRAY[768])::vector END)",
            [product.id, state.hashes and hash_of(state.hashes), text, image],
        )
    for stage, (is_same, wait) in state.failures.items():
        connection.execute(
            'INSERT INTO shelfsight."EmbeddingFailures" ("ProductVariantId", "Stage", "Kind",'
            ' "Message", "SourceHash", "NextAttemptAt")'
            " VALUES (%s, %s, %s, %s, %s, now() + %s::interval)",
            [product.id, stage.value, "odd", "", hash_of((is_same, is_same)), wait],
        )


def set_up(database: Database, states: list[State]) -> dict[str, State]:
    """Write the products and what is stored of them; return the states by product id."""
    execute(
        database,
        'TRUNCATE "ProductVariants", "ProductImages", "ProductEmbeddings",'
        ' shelfsight."EmbeddingFailures"',
    )
    fill(database, len(states), pictures=True)
    for number, state in enumerate(states, 1):
        variant = f'(SELECT "Id" FROM "ProductVariants" WHERE "Sku" = \'sku-{number}\')'
        if not state.has_text:
            execute(database, f'UPDATE "ProductVariants" SET "Title" = \'\' WHERE "Id" = {variant}')
        if not state.has_picture:
            execute(database, f'DELETE FROM "ProductImages" WHERE "ProductVariantId" = {variant}')
    products = due(database, everything=True)

    def work(connection: Connection) -> None:
        for product, state in zip(products.values(), states, strict=True):
            put(connection, product, state)

    database.run(work)
    return dict(zip(products, states, strict=True))


@given(states=st.lists(STATES, min_size=1, max_size=8))
@settings(
    max_examples=20,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_whatever_lacks_a_vector_and_has_no_failure_that_waits_is_due(
    database: Database, states: list[State]
) -> None:
    by_id = set_up(database, states)
    lacking = {
        id_
        for id_, state in by_id.items()
        if state.must_be_due("text") or state.must_be_due("image")
    }
    assert lacking <= due(database).keys()
    backfill_all(database, policy=RunPolicy(accepts_losses=True))
    with_text, with_image = (
        {
            str(id_)
            for (id_,) in rows(
                database,
                f'SELECT "ProductVariantId" FROM {OURS} AND "{column}" IS NOT NULL',
            )
        }
        for column in ("TextEmbedding", "ImageEmbedding")
    )
    assert {i for i, s in by_id.items() if s.has_text and not s.waits("text")} <= with_text
    assert {i for i, s in by_id.items() if s.has_picture and not s.waits("image")} <= with_image
    assert due(database) == {}
    again = Selection(retry_failed=True)
    backfill_all(database, selection=again, policy=RunPolicy(accepts_losses=True))
    assert rows(database, VECTORS) == [
        (sum(state.has_picture for state in states), sum(state.has_text for state in states))
    ]
