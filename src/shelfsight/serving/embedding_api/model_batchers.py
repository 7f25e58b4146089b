"""The two models of a server: requests become items of their lanes, and results come back."""

import asyncio
import os
from collections.abc import Awaitable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from shelfsight.embedding.local.image_model import ImageModel
from shelfsight.embedding.local.text_model import FEW_CHARACTERS, TextModel, Tokens
from shelfsight.embedding.model_specs import ImageSpec, TextSpec
from shelfsight.embedding.wire import QUERY_INSTRUCTION, ModelInfo, ModelsInfo, PictureInfo
from shelfsight.records import Failure, Pixels, Stage
from shelfsight.serving.embedding_api.dynamic_batching import DynamicBatcher, Result, Work
from shelfsight.serving.embedding_api.metrics import Metrics
from shelfsight.serving.embedding_api.pictures import prepare
from shelfsight.serving.limits import CapacityLimit, FullError, Limits
from shelfsight.serving.refusals import BusyError, TooMuchError

_CORES = os.cpu_count() or 1

_TEXTS_A_WINDOW = 64
"""Texts that are sorted by length together, and so batched with their like."""

_EMPTY = Failure(stage=Stage.TEXT, kind="empty_text", message="there is no text to embed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A result for each item of a request, in order, and how many tokens the texts had."""

    results: list[Result]
    tokens: int = 0


class Embeddings:
    """Both lanes, and threads that decode and tokenise beside them. For one event loop."""

    def __init__(
        self, image: ImageModel, text: TextModel, limits: Limits, metrics: Metrics
    ) -> None:
        self.image, self.text = image.spec, text.spec
        self._model = text
        self._limits = limits
        self._pictures_a_batch = image.batch  # a longer one would only answer later
        self._pictures: DynamicBatcher[Pixels] = DynamicBatcher(
            Work(
                stage=Stage.IMAGE,
                window=self._pictures_a_batch,
                plan=lambda pictures: [range(len(pictures))],
                run=image.embed,
                ran=metrics.ran("image"),
            ),
            stuck_seconds=limits.stuck_seconds,
        )
        self._texts: DynamicBatcher[Tokens] = DynamicBatcher(
            Work(
                stage=Stage.TEXT,
                window=_TEXTS_A_WINDOW,
                plan=text.batches,
                run=text.embed_tokens,
                ran=metrics.ran("text"),
            ),
            stuck_seconds=limits.stuck_seconds,
        )
        metrics.watch_queue("image", self._pictures.waiting)
        metrics.watch_queue("text", self._texts.waiting)
        self._picture_room = CapacityLimit(limits.waiting_pictures)
        self._text_room = CapacityLimit(limits.waiting_texts)
        self._decoders = ThreadPoolExecutor(_CORES, thread_name_prefix="decode")
        self._tokenizers = ThreadPoolExecutor(1, thread_name_prefix="tokenise")

    @property
    def models(self) -> ModelsInfo:
        """Both models as `/health` tells of them."""
        picture = self.image.picture
        return ModelsInfo(
            image=ModelInfo(
                name=self.image.name,
                revision=self.image.revision,
                dimension=self.image.column,
                picture=PictureInfo(side=picture.side, resample=picture.resample),
            ),
            text=ModelInfo(
                name=self.text.name, revision=self.text.revision, dimension=self.text.column
            ),
        )

    async def pictures(self, sent: Sequence[str]) -> Outcome:
        """Embed pictures given in base64.

        Raises:
            TooMuchError: too many of them.
            BusyError: there is no room for them now.
            WorkerDownError: the model's worker has ended or hangs.
        """
        _check_count(len(sent), self._limits.pictures)
        with _room(self._picture_room, len(sent), self._pictures):
            parts = await _all([self._part(part) for part in self._divided(sent)])
            return Outcome(results=[result for part in parts for result in part])

    async def texts(self, texts: Sequence[str], instruction: str | None) -> Outcome:
        """Embed texts; those with an instruction ask.

        Raises:
            TooMuchError: too many texts or tokens; else as `pictures`.
        """
        _check_count(len(texts), self._limits.texts)
        prefix = instructed(self.text, instruction)
        told = {place: prefix + text for place, text in enumerate(texts) if text.strip()}
        results: list[Result] = [_EMPTY] * len(texts)
        with _room(self._text_room, len(told), self._texts):
            tokens = await self._tokens(list(told.values()))
            vectors = await asyncio.wrap_future(self._texts.submit(tokens))
        for place, vector in zip(told, vectors, strict=True):
            results[place] = vector
        return Outcome(results=results, tokens=sum(map(len, tokens)))

    async def warm_up(self) -> None:
        """Run a full batch through each lane, so that the first request is not the slow one."""
        side = self.image.picture.side
        grey = [np.full((side, side, 3), 128, np.uint8)] * self._pictures_a_batch
        await asyncio.wrap_future(self._pictures.submit(grey))
        texts = self._model.tokens(["a mug"] * _TEXTS_A_WINDOW)
        await asyncio.wrap_future(self._texts.submit(texts))

    def problems(self) -> list[str]:
        """What is wrong with the workers, if anything."""
        return [problem for batcher in self._batchers if (problem := batcher.problem())]

    def fail_if_down(self) -> None:
        """Let those who wait for a worker that has a problem know; to be called now and then."""
        for batcher in self._batchers:
            batcher.fail_if_down()

    def close(self) -> None:
        """Finish what is queued, and end the threads, but for one that hangs."""
        self._decoders.shutdown()
        self._tokenizers.shutdown()
        for batcher in self._batchers:
            batcher.close()

    @property
    def _batchers(self) -> tuple[DynamicBatcher[Any], DynamicBatcher[Any]]:
        return self._pictures, self._texts

    def _divided(self, sent: Sequence[str]) -> Iterator[Sequence[str]]:
        """Give parts that are decoded at the same time, none of them more than a batch."""
        size = min(self._pictures_a_batch, -(-len(sent) // _CORES))
        return (sent[start : start + size] for start in range(0, len(sent), size))

    async def _part(self, sent: Sequence[str]) -> list[Result]:
        """Decode some pictures in one thread, and embed those that can be decoded."""
        loop = asyncio.get_running_loop()
        decoded = await loop.run_in_executor(self._decoders, self._decode, sent)
        pixels = [one for one in decoded if not isinstance(one, Failure)]
        results = await asyncio.wrap_future(self._pictures.submit(pixels))
        vectors = iter(results)
        return [one if isinstance(one, Failure) else next(vectors) for one in decoded]

    def _decode(self, sent: Sequence[str]) -> list[Pixels | Failure]:
        return [prepare(one, self.image.picture) for one in sent]

    async def _tokens(self, texts: list[str]) -> list[Tokens]:
        if sum(map(len, texts)) < FEW_CHARACTERS:
            tokens = self._model.tokens(texts)
        else:
            loop = asyncio.get_running_loop()
            tokens = await loop.run_in_executor(self._tokenizers, self._model.tokens, texts)
        count = sum(map(len, tokens))
        if count > self._limits.tokens:
            raise TooMuchError(
                "too_many_tokens",
                f"{count:,} tokens in one request, at most {self._limits.tokens:,}: divide it",
            )
        return tokens


@contextmanager
def _room(room: CapacityLimit, size: int, batcher: DynamicBatcher[Any]) -> Iterator[None]:
    try:
        with room.reserve(size):
            yield
    except FullError:
        raise BusyError(batcher.seconds_ahead()) from None


async def _all(items: Sequence[Awaitable[list[Result]]]) -> list[list[Result]]:
    """Wait for all; the first error is raised as it is."""
    return list(await asyncio.gather(*items))


def _check_count(count: int, limit: int) -> None:
    if count > limit:
        raise TooMuchError("too_many_items", f"{count:,} items in one request, at most {limit:,}")


def instructed(spec: TextSpec, instruction: str | None) -> str:
    """What the model was trained to read before a text that asks; "" if it knows no such thing."""
    if not instruction:
        return ""
    return spec.query.partition("{text}")[0].replace(QUERY_INSTRUCTION, instruction)


def dimensions_allowed(spec: ImageSpec | TextSpec) -> range:
    """How many numbers of a vector may be asked for."""
    shortest = spec.shortest if isinstance(spec, TextSpec) else None
    return range(shortest or spec.column, spec.column + 1)
