"""When a stored vector is kept: one rule in SQL, for the catalogue and for the vector store.

The catalogue asks what a product needs as it reads it, the store asks again as it saves it. Each
fragment is about one modality. It reads row `e` of `"ProductEmbeddings"`, which may be missing,
and the parameters of `model_parameters`.
"""

from collections.abc import Mapping

from psycopg import sql

from shelfsight.postgres import statements
from shelfsight.records import STAGES, ContentModality, ModelPair, stored_identities

_QUERIES = statements.load("shelfsight.postgres", "need.sql")

HASH_PART: Mapping[ContentModality, int] = {"text": 1, "image": 2}
"""Which part of a `"SourceHash"`, counted from one, identifies the content of a modality."""

_FALSE = sql.SQL("false")


def model_parameters(models: ModelPair | None) -> dict[str, list[str] | None]:
    """The parameters that name the stored identities of a run's models; NULL accepts any model."""
    if models is None:
        return {"image_models": None, "text_models": None}
    return {
        "image_models": stored_identities(models.image),
        "text_models": stored_identities(models.text),
    }


def is_current(modality: ContentModality, source_hash: sql.Composable) -> sql.Composed:
    """Whether the stored vector is of this content and model; NULL where that is not known."""
    return _QUERIES["is_current"].format(
        vector=_vector(modality),
        part=sql.Literal(HASH_PART[modality]),
        source_hash=source_hash,
        modality=sql.Literal(modality),
        models=sql.Placeholder(f"{modality}_models"),
    )


def failed_now(modality: ContentModality, source_hash: sql.Composable) -> sql.Composed:
    """Whether row `f` of `"EmbeddingFailures"` records a failure of this modality's content."""
    return _QUERIES["failed_now"].format(
        stages=sql.Literal([stage.value for stage in sorted(STAGES[modality])]),
        part=sql.Literal(HASH_PART[modality]),
        source_hash=source_hash,
    )


def need(
    modality: ContentModality,
    source_hash: sql.Composable,
    *,
    failed: sql.Composable,
    again: sql.Composable = _FALSE,
    may_check: sql.Composable = _FALSE,
) -> sql.Composed:
    """The value of `records.Need`, as text.

    `failed` says whether this content has failed before, `again` whether it may be tried again
    now, `may_check` whether a current vector can be checked and is to be.
    """
    return _QUERIES["need"].format(
        may_check=may_check,
        is_current=is_current(modality, source_hash),
        again=again,
        vector=_vector(modality),
        failed=failed,
    )


def _vector(modality: ContentModality) -> sql.Identifier:
    return sql.Identifier(f"{modality.title()}Embedding")
