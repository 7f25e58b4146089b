"""From words to text vectors."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from shelfsight.embedding.models import TextSpec
from shelfsight.embedding.session import Session, check, embed_each
from shelfsight.errors import ModelError
from shelfsight.records import Failure, Stage, Vector

_TOKENS_A_RUN = 2048
"""Tokens a run, padding included; a longer text runs alone."""

_CHARACTERS_A_TOKEN = 32
"""More than a token of prose ever has: what lies beyond the limit is not even tokenised."""

_INPUTS = ("input_ids", "attention_mask", "position_ids")

_EMPTY = Failure(stage=Stage.TEXT, kind="empty_text", message="there is no text to embed")

Tokens = list[int]


class TextModel:
    """A loaded row of the table. Threads may use it at the same time.

    Raises:
        ModelError: the graph cannot be loaded, or is not what the row says.

    """

    def __init__(self, spec: TextSpec, graph: bytes | Path, tokenizer: Tokenizer) -> None:
        self.spec = spec
        self._tokenizer = tokenizer
        self._session = Session(graph, name=spec.name, output=spec.output)
        for name in self._session.inputs:
            if name not in _INPUTS and not name.startswith("past_key_values."):
                raise ModelError(f"{spec.name}: the graph asks for {name}, which is not known")
        check(self._session, lambda: self._run(self.tokens(["a"])), spec.width)

    def embed(self, texts: Sequence[str], *, query: bool = False) -> list[Vector | Failure]:
        """Unit vectors (spec.column,) of texts, in their order; any length, any characters."""
        results: list[Vector | Failure] = [_EMPTY] * len(texts)
        told = [number for number, text in enumerate(texts) if text.strip()]
        template = self.spec.query if query else "{text}"
        tokens = self.tokens([template.format(text=texts[number]) for number in told])
        for batch in self.batches(tokens):
            vectors = self.embed_tokens([tokens[place] for place in batch])
            for place, vector in zip(batch, vectors, strict=True):
                results[told[place]] = vector
        return results

    def embed_tokens(self, batch: Sequence[Tokens]) -> list[Vector | Failure]:
        """Unit vectors (spec.column,) of texts given as tokens, in one run."""
        return embed_each(batch, self._run, stage=Stage.TEXT, column=self.spec.column)

    def batches(self, tokens: Sequence[Tokens]) -> Iterator[list[int]]:
        """Places of texts that run well together: of like length, not too many tokens."""
        return _batches([self.spec.pad_to or len(row) for row in tokens])

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """The tokens of texts that are not empty, cut to what the model takes."""
        end = [] if self.spec.end_token is None else [self.spec.end_token]
        room = self.spec.max_tokens - len(end)
        cut = [_encodable(text[: room * _CHARACTERS_A_TOKEN]) for text in texts]
        encodings = self._tokenizer.encode_batch_fast(cut, add_special_tokens=False)
        return [encoding.ids[:room] + end for encoding in encodings]

    def _run(self, batch: Sequence[Tokens]) -> NDArray[Any]:
        lengths = np.array([len(tokens) for tokens in batch])
        length = self.spec.pad_to or int(lengths.max())
        ids = np.full((len(batch), length), self.spec.pad_token)
        for row, tokens in zip(ids, batch, strict=True):
            row[: len(tokens)] = tokens
        places = np.broadcast_to(np.arange(length), ids.shape)
        values = {
            "input_ids": ids,
            "attention_mask": places < lengths[:, None],
            "position_ids": places,
        }
        states = self._session.run(
            {
                name: values[name] if name in values else _no_past(shape, len(batch))
                for name, shape in self._session.inputs.items()
            }
        )
        if self.spec.pooling == "graph":
            return states
        # Padding is on the right: causal attention keeps it out of the tokens before it.
        last: NDArray[Any] = states[np.arange(len(batch)), lengths - 1]
        return last


def _encodable(text: str) -> str:
    """Put a question mark for each lone surrogate, which is no character."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _no_past(shape: Sequence[Any], batch: int) -> NDArray[Any]:
    """Make an empty cache of keys or values, shape (batch, heads, 0, width of a head)."""
    _batch, heads, _past, width = shape
    return np.empty((batch, heads, 0, width))


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Group places so that texts of like length run together, within the budget of tokens."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[place] > _TOKENS_A_RUN:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch
