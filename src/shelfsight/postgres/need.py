"""The rule in SQL for what is to be done about a stored vector: make, keep or check it.

The catalogue applies the rule when it reads a product, and the vector store applies it again when
it saves the product. Each function returns SQL for one modality. That SQL reads row `e` of
`"ProductEmbeddings"`, which may be missing, and the parameters of `model_parameters`.
"""

from collections.abc import Mapping

from psycopg import sql

from shelfsight.postgres import statements
from shelfsight.records import STAGES, ContentModality, ModelPair, stored_identities

_QUERIES = statements.load("shelfsight.postgres", "need.sql")

HASH_PART: Mapping[ContentModality, int] = {"text": 1, "image": 2}
"""Which part of a `"SourceHash"` is the hash of a modality's content, counted from one."""

_FALSE = sql.SQL("false")


def model_parameters(models: ModelPair | None) -> dict[str, list[str] | None]:
    """Return the parameters that name the models of a run, by all identities they are stored under.

    A parameter is NULL if vectors of any model are accepted.
    """
    if models is None:
        return {"image_models": None, "text_models": None}
    return {
        "image_models": stored_identities(models.image),
        "text_models": stored_identities(models.text),
    }


def is_current(modality: ContentModality, source_hash: sql.Composable) -> sql.Composed:
    """Return SQL: was the stored vector made from this content by this model?

    The SQL is NULL where that is not known.
    """
    return _QUERIES["is_current"].format(
        is_made=is_made(modality, source_hash),
        modality=sql.Literal(modality),
        models=sql.Placeholder(f"{modality}_models"),
    )


def is_made(modality: ContentModality, source_hash: sql.Composable) -> sql.Composed:
    """Return SQL: was the stored vector made from this content? NULL where that is not known."""
    return _QUERIES["is_made"].format(
        vector=_vector(modality), part=sql.Literal(HASH_PART[modality]), source_hash=source_hash
    )


def failed_now(modality: ContentModality, source_hash: sql.Composable) -> sql.Composed:
    """Return SQL: does row `f` of `"EmbeddingFailures"` record a failure of this content?"""
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
    """Return SQL for what is to be done: a value of `records.Need`, as text.

    `failed` says whether this content has failed before, and `again` whether it may be tried again
    now. `may_check` says whether a current vector is to be checked, and can be.
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
