"""From words to text vectors."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from shelfsight.embedding.local.graph import Graph, check, embed_each
from shelfsight.errors import ModelError
from shelfsight.models.specs import Device, TextSpec
from shelfsight.records import Failure, Stage, Vector

_TOKENS_A_RUN: dict[Device, int] = {"cpu": 2048, "cuda": 16_384}
"""Padding included; a longer text runs alone. The GPU's figure has not been measured."""

_PADDING_A_RUN: dict[Device, int] = {"cpu": 32, "cuda": 1024}
"""Tokens of padding that cost as much as one more run: Qwen3's widths on two cores gave 16 to 64
for the fastest. The GPU's figure has not been measured."""

_CHARACTERS_A_TOKEN = 32
"""More than a token of prose ever has: what lies beyond the limit is not even tokenised."""

FEW_CHARACTERS = 1000
"""Texts that together have fewer are tokenised before other threads would have woken up."""

_INPUTS = ("input_ids", "attention_mask", "position_ids")

_EMPTY = Failure(stage=Stage.TEXT, kind="empty_text", message="there is no text to embed")

Tokens = list[int]


class TextModel:
    """A loaded row of the table. Threads may use it at the same time; `device` is where it runs.

    Raises:
        ModelError: the graph is not what the row says.

    """

    def __init__(self, spec: TextSpec, graph: Graph, tokenizer: Tokenizer) -> None:
        self.spec = spec
        self.device = graph.device
        self._tokenizer = tokenizer
        self._graph = graph
        for name in graph.inputs:
            if name not in _INPUTS and not name.startswith("past_key_values."):
                raise ModelError(f"{spec.name}: the graph asks for {name}, which is not known")
        check(graph, lambda: self._run(self.tokens(["a"])), spec.width)

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
        lengths = [self.spec.pad_to or len(row) for row in tokens]
        return _batches(lengths, _TOKENS_A_RUN[self.device], _PADDING_A_RUN[self.device])

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """The tokens of texts that are not empty, cut to what the model takes."""
        end = [] if self.spec.end_token is None else [self.spec.end_token]
        room = self.spec.max_tokens - len(end)
        cut = [_encodable(text[: room * _CHARACTERS_A_TOKEN]) for text in texts]
        if sum(map(len, cut)) < FEW_CHARACTERS:
            encodings = [self._tokenizer.encode(text, add_special_tokens=False) for text in cut]
        else:
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
        feeds = {
            name: values[name] if name in values else _no_past(shape, len(batch))
            for name, shape in self._graph.inputs.items()
        }
        # Padding is on the right: causal attention keeps it out of the tokens before it.
        last = lengths - 1 if self.spec.pooling == "last" else None
        return self._graph.run(feeds, places=last)


def read_tokenizer(spec: TextSpec, folder: Path) -> Tokenizer:
    """Read the `tokenizer.json` of a model's folder.

    Raises:
        ModelError: it cannot be read.
    """
    path = folder / "tokenizer.json"
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing more precise
        raise ModelError(f"{spec.name} cannot be loaded: {path}: {error}") from None


def _encodable(text: str) -> str:
    """Put a question mark for each lone surrogate, which is no character."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _no_past(shape: Sequence[Any], batch: int) -> NDArray[Any]:
    """Make an empty cache of keys or values, shape (batch, heads, 0, width of a head)."""
    _batch, heads, _past, width = shape
    return np.empty((batch, heads, 0, width))


def _batches(lengths: Sequence[int], budget: int, padding: int) -> Iterator[list[int]]:
    """Group places so that texts of like length run together, within the budget of tokens.

    A text so long that the shorter ones before it would need more than `padding` begins a batch.
    """
    batch: list[int] = []
    longest = 0
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        length = lengths[place]
        too_many = (len(batch) + 1) * length > budget
        if batch and (too_many or len(batch) * (length - longest) > padding):
            yield batch
            batch = []
        batch.append(place)
        longest = length
    if batch:
        yield batch
