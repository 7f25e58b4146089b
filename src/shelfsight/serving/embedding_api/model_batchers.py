"""The image model and the text model of a server, each behind a dynamic batcher."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any

import numpy as np

from shelfsight.embedding.local.image_model import ImageModel
from shelfsight.embedding.local.run_threads import in_this_thread
from shelfsight.embedding.local.text_model import FEW_CHARACTERS, TextModel, Tokens
from shelfsight.embedding.wire import ModelInfo, ModelsInfo, PictureInfo
from shelfsight.images.decoder.limits import SERVER
from shelfsight.images.decoder.pool import DecoderPool
from shelfsight.images.decoder.protocol import whole
from shelfsight.images.unusable import UnusablePictureError
from shelfsight.models.specs import ImageSpec, TextSpec
from shelfsight.models.table import QUERY_INSTRUCTION
from shelfsight.records import EMPTY_TEXT, Failure, Pixels, Stage
from shelfsight.serving.callers import CALLER
from shelfsight.serving.embedding_api.dynamic_batching import BatcherConfig, DynamicBatcher, Result
from shelfsight.serving.embedding_api.metrics import EmbeddingMetrics
from shelfsight.serving.embedding_api.picture_input import read_picture
from shelfsight.serving.fair_capacity import FairCapacity, FullError
from shelfsight.serving.limits import ServerLimits
from shelfsight.serving.refusals import BusyError, RequestTooLargeError

_CORES = os.cpu_count() or 1

FREE_SECONDS = 4.0
"""Seconds within which a thread must become free, or else the server is not ready."""

FREE_FOR_SECONDS = 1.0
"""Seconds for which threads that were free count as free, so that frequent checks cost little."""

_TEXT_WINDOW = 64
"""Texts that are sorted by length together, so that each batch has texts of similar length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingResults:
    """One result per item of a request, in order, and the number of tokens of its texts."""

    results: list[Result]
    tokens: int = 0


class ModelBatchers:
    """Embeds pictures and texts in batches. For use from one event loop.

    Pictures are decoded in other processes, and texts are tokenised in another thread.
    """

    def __init__(
        self,
        image: ImageModel,
        text: TextModel,
        limits: ServerLimits,
        metrics: EmbeddingMetrics,
        decoders: int | None = None,
    ) -> None:
        self.image, self.text = image.spec, text.spec
        self._text_model = text
        self._limits = limits
        self._picture_window = image.batch  # a larger window would only delay the first results
        self._pictures: DynamicBatcher[Pixels] = DynamicBatcher(
            BatcherConfig(
                stage=Stage.IMAGE,
                window=self._picture_window,
                plan=lambda pictures: [range(len(pictures))],
                run=in_this_thread(image.embed),
                on_batch=metrics.batch_observer("image"),
            ),
            stuck_seconds=limits.stuck_seconds,
        )
        self._texts: DynamicBatcher[Tokens] = DynamicBatcher(
            BatcherConfig(
                stage=Stage.TEXT,
                window=_TEXT_WINDOW,
                plan=text.batches,
                run=in_this_thread(text.embed_tokens),
                on_batch=metrics.batch_observer("text"),
            ),
            stuck_seconds=limits.stuck_seconds,
        )
        metrics.watch_queue("image", self._pictures.queue_length)
        metrics.watch_queue("text", self._texts.queue_length)
        self._picture_capacity = FairCapacity(limits.waiting_pictures)
        self._text_capacity = FairCapacity(limits.waiting_texts)
        self._readers = ThreadPoolExecutor(_CORES, thread_name_prefix="base64")
        self._decoders = DecoderPool(SERVER, decoders)
        for name, capacity in (
            ("waiting_pictures", self._picture_capacity),
            ("waiting_texts", self._text_capacity),
        ):
            metrics.stores.watch_items(name, partial(getattr, capacity, "held"), capacity.capacity)
        pool = self._decoders
        metrics.stores.watch_items("decoders", lambda: pool.processes, pool.max_processes)
        self._tokenizers = ThreadPoolExecutor(1, thread_name_prefix="tokenise")
        self._free_at = float("-inf")

    @property
    def models(self) -> ModelsInfo:
        """Both models, in the format of `GET /health`."""
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

    async def embed_pictures(self, encoded: Sequence[str]) -> EmbeddingResults:
        """Embed pictures given in base64.

        Raises:
            RequestTooLargeError: there are too many pictures.
            BusyError: the pictures of other requests use the capacity now.
            WorkerDownError: the worker of the image model has ended or hangs.
        """
        _check_count(len(encoded), self._limits.pictures)
        async with _reserved(self._picture_capacity, len(encoded), self._pictures):
            chunks = await asyncio.gather(*map(self._embed_chunk, self._chunks(encoded)))
            return EmbeddingResults(results=[result for chunk in chunks for result in chunk])

    async def embed_texts(self, texts: Sequence[str], instruction: str | None) -> EmbeddingResults:
        """Embed texts: as search queries if there is an instruction, else as documents.

        Raises:
            RequestTooLargeError: there are too many texts or tokens.
            BusyError: the texts of other requests use the capacity now.
            WorkerDownError: the worker of the text model has ended or hangs.
        """
        _check_count(len(texts), self._limits.texts)
        prefix = instruction_prefix(self.text, instruction)
        prefixed = {index: prefix + text for index, text in enumerate(texts) if text.strip()}
        results: list[Result] = [EMPTY_TEXT] * len(texts)
        async with _reserved(self._text_capacity, len(prefixed), self._texts):
            tokens = await self._tokens(list(prefixed.values()))
            vectors = await asyncio.wrap_future(self._texts.submit(tokens, CALLER.get()))
        for index, vector in zip(prefixed, vectors, strict=True):
            results[index] = vector
        return EmbeddingResults(results=results, tokens=sum(map(len, tokens)))

    async def warm_up(self) -> None:
        """Run a full batch through each model, so that the first request is not slow."""
        side = self.image.picture.side
        grey = [np.full((side, side, 3), 128, np.uint8)] * self._picture_window
        await asyncio.wrap_future(self._pictures.submit(grey))
        texts = self._text_model.tokens(["a mug"] * _TEXT_WINDOW)
        await asyncio.wrap_future(self._texts.submit(texts))

    def problems(self) -> list[str]:
        """Describe what is wrong with the workers; empty if nothing is wrong."""
        return [problem for batcher in self._batchers if (problem := batcher.problem())]

    async def readiness_problems(self) -> list[str]:
        """Describe what keeps requests from being answered now; empty if nothing does.

        Besides the workers of the models, this checks that reading and tokenizing go on. Decoders
        are not checked: a picture that holds one up is given up after some seconds.
        """
        if monotonic() - self._free_at < FREE_FOR_SECONDS:
            return self.problems()
        pools = {"read pictures": self._readers, "tokenize texts": self._tokenizers}
        are_free = await asyncio.gather(*map(_has_free_thread, pools.values()))
        if all(are_free):
            self._free_at = monotonic()
        return self.problems() + [
            f"no thread to {work} became free within {FREE_SECONDS:g} s"
            for work, is_free in zip(pools, are_free, strict=True)
            if not is_free
        ]

    def fail_if_down(self) -> None:
        """Fail the requests that wait for a worker that is down; call it regularly."""
        for batcher in self._batchers:
            batcher.fail_if_down()

    def close(self) -> None:
        """Finish the queued items and end the threads, without waiting for a thread that hangs."""
        self._readers.shutdown()
        self._decoders.close()
        self._tokenizers.shutdown()
        for batcher in self._batchers:
            batcher.close()

    @property
    def _batchers(self) -> tuple[DynamicBatcher[Any], DynamicBatcher[Any]]:
        return self._pictures, self._texts

    def _chunks(self, encoded: Sequence[str]) -> Iterator[Sequence[str]]:
        """Divide pictures into chunks of at most one batch, to be decoded in parallel."""
        size = min(self._picture_window, -(-len(encoded) // _CORES))
        return (encoded[start : start + size] for start in range(0, len(encoded), size))

    async def _embed_chunk(self, encoded: Sequence[str]) -> list[Result]:
        """Decode pictures, and embed those that could be decoded."""
        loop = asyncio.get_running_loop()
        files = await loop.run_in_executor(self._readers, self._read, encoded)
        decoded = await asyncio.gather(*map(self._decode, files))
        pixels = [picture for picture in decoded if not isinstance(picture, Failure)]
        results = await asyncio.wrap_future(self._pictures.submit(pixels, CALLER.get()))
        vectors = iter(results)
        return [picture if isinstance(picture, Failure) else next(vectors) for picture in decoded]

    def _read(self, encoded: Sequence[str]) -> list[bytes | Pixels | Failure]:
        return [read_picture(picture, self.image.picture.side) for picture in encoded]

    async def _decode(self, file: bytes | Pixels | Failure) -> Pixels | Failure:
        if not isinstance(file, bytes):
            return file
        decoding = self._decoders.submit(whole(self.image.picture), file, CALLER.get())
        try:
            pixels: Pixels = (await asyncio.wrap_future(decoding))[0]
        except UnusablePictureError as error:
            return error.failure
        return pixels

    async def _tokens(self, texts: list[str]) -> list[Tokens]:
        if sum(map(len, texts)) < FEW_CHARACTERS:
            tokens = self._text_model.tokens(texts)
        else:
            loop = asyncio.get_running_loop()
            tokens = await loop.run_in_executor(self._tokenizers, self._text_model.tokens, texts)
        count = sum(map(len, tokens))
        if count > self._limits.tokens:
            raise RequestTooLargeError(
                "too_many_tokens",
                f"{count:,} tokens in one request, at most {self._limits.tokens:,}: divide it",
            )
        return tokens


@asynccontextmanager
async def _reserved(
    capacity: FairCapacity, size: int, batcher: DynamicBatcher[Any]
) -> AsyncIterator[None]:
    """Reserve capacity; a refusal says when the queue of the batcher should be empty."""
    try:
        async with capacity.reserve(CALLER.get(), size):
            yield
    except FullError:
        raise BusyError(batcher.estimated_wait()) from None


async def _has_free_thread(threads: Executor) -> bool:
    """Return whether a call that does nothing is soon done; it is then cancelled."""
    try:
        async with asyncio.timeout(FREE_SECONDS):
            await asyncio.wrap_future(threads.submit(_do_nothing))
    except TimeoutError:
        return False
    return True


def _do_nothing() -> None:
    pass


def _check_count(count: int, limit: int) -> None:
    if count > limit:
        raise RequestTooLargeError(
            "too_many_items", f"{count:,} items in one request, at most {limit:,}"
        )


def instruction_prefix(spec: TextSpec, instruction: str | None) -> str:
    """Return the text to put before a query for this model; "" if it uses no instruction."""
    if not instruction:
        return ""
    return spec.query.partition("{text}")[0].replace(QUERY_INSTRUCTION, instruction)


def allowed_dimensions(spec: ImageSpec | TextSpec) -> range:
    """Return the vector lengths that a client may request.

    Only Matryoshka text models have several lengths.
    """
    shortest = spec.shortest if isinstance(spec, TextSpec) else None
    return range(shortest or spec.column, spec.column + 1)
