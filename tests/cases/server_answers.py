"""Writes answers of embedding servers, of kinds that once failed, ten of each by a seed.

Each function turns the answer of a server in OpenAI's form into an odd one, and returns which items
have no usable vector any more.
"""

import json
from collections.abc import Callable
from typing import Any

import numpy as np

EACH = 10

Answer = dict[str, Any]
Odd = Callable[[Answer, np.random.Generator], set[int]]


def _some(answer: Answer, rng: np.random.Generator) -> list[int]:
    count = len(answer["data"])
    return sorted(rng.choice(count, rng.integers(1, count), replace=False).tolist())


def _replaced(value: Callable[[list[float], np.random.Generator], object]) -> Odd:
    def odd(answer: Answer, rng: np.random.Generator) -> set[int]:
        chosen = _some(answer, rng)
        for at in chosen:
            answer["data"][at]["embedding"] = value(answer["data"][at]["embedding"], rng)
        return set(chosen)

    return odd


def _with_one(number: float | None) -> Odd:
    def value(vector: list[float], rng: np.random.Generator) -> object:
        at = int(rng.integers(len(vector)))
        return [*vector[:at], number, *vector[at + 1 :]]

    return _replaced(value)


def no_embedding(answer: Answer, rng: np.random.Generator) -> set[int]:
    """Leave the field out."""
    chosen = _some(answer, rng)
    for at in chosen:
        del answer["data"][at]["embedding"]
    return set(chosen)


def no_index(answer: Answer, _rng: np.random.Generator) -> set[int]:
    """Leave the places out: the vectors are in the order of the texts."""
    for item in answer["data"]:
        del item["index"]
    return set()


def null_index(answer: Answer, _rng: np.random.Generator) -> set[int]:
    """Have null for each place."""
    for item in answer["data"]:
        item["index"] = None
    return set()


def shuffled(answer: Answer, rng: np.random.Generator) -> set[int]:
    """Have the vectors in another order, each with its place."""
    rng.shuffle(answer["data"])
    return set()


def other_fields(answer: Answer, rng: np.random.Generator) -> set[int]:
    """Leave fields out that nobody needs, or have others."""
    for field in ("object", "usage"):
        answer.pop(field)
    for item in answer["data"]:
        item["object"] = rng.choice(["list", "", "vector"]).item()
        item["text"] = "mug"
    answer |= {"id": "7", "created": 1, "warnings": None}
    return set()


def doubled_index(answer: Answer, rng: np.random.Generator) -> set[int]:
    """Give one place twice: the vector of another text is missing."""
    lost, kept = rng.choice(len(answer["data"]), 2, replace=False).tolist()
    taken = answer["data"][kept]["embedding"]
    answer["data"][lost] = {"index": kept, "embedding": taken}
    return {lost}


def null_items(answer: Answer, rng: np.random.Generator) -> set[int]:
    """Have null in place of whole items, the others with their places."""
    chosen = _some(answer, rng)
    for at in chosen:
        answer["data"][at] = None
    return set(chosen)


KINDS: dict[str, Odd] = {
    "null": _replaced(lambda *_: None),
    "empty": _replaced(lambda *_: []),
    "null numbers": _replaced(lambda vector, _: [None] * len(vector)),
    "one null": _with_one(None),
    "one NaN": _with_one(float("nan")),
    "one infinity": _with_one(float("-inf")),
    "too large": _with_one(1e39),
    "zeros": _replaced(lambda vector, _: [0.0] * len(vector)),
    "another width": _replaced(lambda vector, rng: vector[: rng.integers(1, len(vector))]),
    "a word": _replaced(lambda *_: "none"),
    "nested": _replaced(lambda vector, _: [vector]),
    "an object": _replaced(lambda vector, _: {"values": vector}),
    "words": _replaced(lambda vector, _: ["x"] * len(vector)),
    "no embedding": no_embedding,
    "null items": null_items,
    "no index": no_index,
    "null index": null_index,
    "doubled index": doubled_index,
    "shuffled": shuffled,
    "other fields": other_fields,
}


def written(answer: Answer) -> str:
    """Write an answer as servers in Python do, with NaN and Infinity."""
    return json.dumps(answer)
