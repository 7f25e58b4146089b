"""The text model: turns words into vectors."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from shelfsight.embedding.local.graph import Graph, check, embed_bisecting
from shelfsight.errors import ModelError
from shelfsight.models.specs import Device, TextSpec
from shelfsight.ports import Advanced, ignore
from shelfsight.records import EMPTY_TEXT, Failure, Stage, Vector

_TOKENS_PER_RUN: dict[Device, int] = {"cpu": 2048, "cuda": 16_384}
"""The most tokens in a run, including padding. A text with more tokens is run by itself. The number
for the GPU was not measured."""

_PADDING_PER_RUN: dict[Device, int] = {"cpu": 32, "cuda": 1024}
"""How many padding tokens cost as much time as another run. With Qwen3 on two cores, 16 to 64 were
fastest. The number for the GPU was not measured."""

_MAX_CHARACTERS_PER_TOKEN = 32
"""A text is cut after this many characters for each token that the model takes, before it is
tokenised. A token of prose never has more characters."""

FEW_CHARACTERS = 2000
"""If all texts together have fewer characters, they are tokenised in this thread, because waking
other threads takes longer."""

_INPUTS = ("input_ids", "attention_mask", "position_ids")


Tokens = list[int]


class TextModel:
    """A loaded text model that runs on `device`. Several threads may use it at the same time.

    Raises:
        ModelError: the graph does not match the row of the table.

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

    def embed(
        self, texts: Sequence[str], *, query: bool = False, advanced: Advanced = ignore
    ) -> list[Vector | Failure]:
        """Embed texts as unit vectors (spec.column,), in the same order.

        A text may have any length and any characters. `query` is True for texts that are searched
        for.
        """
        results: list[Vector | Failure] = [EMPTY_TEXT] * len(texts)
        not_empty = [number for number, text in enumerate(texts) if text.strip()]
        template = self.spec.query if query else "{text}"
        tokens = self.tokens([template.format(text=texts[number]) for number in not_empty])
        for batch in self.batches(tokens):
            vectors = self.embed_tokens([tokens[place] for place in batch])
            for place, vector in zip(batch, vectors, strict=True):
                results[not_empty[place]] = vector
            advanced(len(batch))
        return results

    def embed_tokens(self, batch: Sequence[Tokens]) -> list[Vector | Failure]:
        """Embed tokenised texts in one run, as unit vectors (spec.column,)."""
        return embed_bisecting(batch, self._run, stage=Stage.TEXT, column=self.spec.column)

    def batches(self, tokens: Sequence[Tokens]) -> Iterator[list[int]]:
        """Yield batches: indices of texts that have similar lengths and fit into a run together."""
        lengths = [self.spec.pad_to or len(row) for row in tokens]
        return _batches(lengths, _TOKENS_PER_RUN[self.device], _PADDING_PER_RUN[self.device])

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokenise texts that are not empty. Cut each to the most tokens that the model takes."""
        end = [] if self.spec.end_token is None else [self.spec.end_token]
        max_tokens = self.spec.max_tokens - len(end)
        cut = [_encodable(text[: max_tokens * _MAX_CHARACTERS_PER_TOKEN]) for text in texts]
        if sum(map(len, cut)) < FEW_CHARACTERS:
            encodings = [self._tokenizer.encode(text, add_special_tokens=False) for text in cut]
        else:
            encodings = self._tokenizer.encode_batch_fast(cut, add_special_tokens=False)
        return [encoding.ids[:max_tokens] + end for encoding in encodings]

    def _run(self, batch: Sequence[Tokens]) -> NDArray[Any]:
        lengths = np.array([len(tokens) for tokens in batch])
        length = self.spec.pad_to or int(lengths.max())
        ids = np.full((len(batch), length), self.spec.pad_token)
        for row, tokens in zip(ids, batch, strict=True):
            row[: len(tokens)] = tokens
        positions = np.broadcast_to(np.arange(length), ids.shape)
        values = {
            "input_ids": ids,
            "attention_mask": positions < lengths[:, None],
            "position_ids": positions,
        }
        feeds = {
            name: values[name] if name in values else _empty_past(shape, len(batch))
            for name, shape in self._graph.inputs.items()
        }
        # Padding is on the right, where causal attention does not see it.
        last = lengths - 1 if self.spec.pooling == "last" else None
        return self._graph.run(feeds, positions=last)


def read_tokenizer(spec: TextSpec, folder: Path) -> Tokenizer:
    """Read the `tokenizer.json` of a model's folder.

    Raises:
        ModelError: the file cannot be read.
    """
    path = folder / "tokenizer.json"
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises no more precise error
        raise ModelError(f"{spec.name} cannot be loaded: {path}: {error}") from None


def _encodable(text: str) -> str:
    """Replace each lone surrogate by a question mark, because it cannot be encoded."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _empty_past(shape: Sequence[Any], batch: int) -> NDArray[Any]:
    """Make an empty key-value cache of shape (batch, heads, 0, head width)."""
    _batch, heads, _past, width = shape
    return np.empty((batch, heads, 0, width))


def _batches(lengths: Sequence[int], budget: int, padding: int) -> Iterator[list[int]]:
    """Group the indices of texts into batches of at most `budget` tokens, by similar length.

    If a text is so much longer that the other texts of the batch would need more than `padding`
    padding tokens, the text starts a new batch.
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
