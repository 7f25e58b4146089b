"""Remembers recent scans, so that feedback is stored with the matches that were shown."""

import secrets
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec
import numpy as np
from cachetools import FIFOCache

from shelfsight.records import Modality, ModelPair, Vector
from shelfsight.scan.confirmed_photos import resembles
from shelfsight.scan.matching import Candidate, Confidence, Match, ScanResult
from shelfsight.serving.scan_api.auth import Caller
from shelfsight.serving.scan_api.problems import NotFoundError
from shelfsight.storage.search.feedback import ShownScan

MAX_BYTES = 10_000_000
"""The bytes that remembered scans may take: about 6,000 scans with 10 matches each, or about 3,000
if each has the vector of a photo."""

ENTRY_BYTES = 400
"""The bytes of an entry besides its encoded scan: its id, and its place in the cache."""


class _Shown(NamedTuple):
    """What is kept of a match: its variant and its scores, but neither words nor addresses.

    `scan` is the place of its photos in `_Scan.photos`; None if there are none.
    """

    id: str
    score: float
    confidence: Confidence
    image_score: float | None
    text_score: float | None
    word_score: float | None
    resembles: bool
    scan: int | None

    def match(self) -> Match:
        product = Candidate(
            id=self.id,
            image_score=self.image_score,
            text_score=self.text_score,
            word_score=self.word_score,
        )
        return Match(product=product, score=self.score, confidence=self.confidence)


class _Scan(NamedTuple):
    """What is kept of a scan. `photos` has, for each result, the vectors of its photos as bytes."""

    owner: str | None
    kind: Modality
    image_model: str
    text_model: str
    shown: list[_Shown]
    photos: list[list[bytes]]


_DECODER = msgspec.msgpack.Decoder(_Scan)


class ScanStore(Protocol):
    """Keeps encoded scans by their ids, and forgets the oldest."""

    @property
    def size(self) -> int:
        """The bytes that they take."""
        ...

    def keep(self, id_: str, encoded: bytes) -> None:
        """Keep a scan under its id."""
        ...

    def find(self, id_: str) -> bytes | None:
        """Return a scan; None if it is not known any more."""
        ...


class EncodedScans:
    """Implements `ScanStore` in this process, with at most `max_bytes`."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._scans: FIFOCache[str, bytes] = FIFOCache(max_bytes, getsizeof=_size)

    @property
    def size(self) -> int:
        """The bytes that they take."""
        return int(self._scans.currsize)

    def keep(self, id_: str, encoded: bytes) -> None:
        """Keep a scan under its id; the oldest are forgotten when there is no room."""
        self._scans[id_] = encoded

    def find(self, id_: str) -> bytes | None:
        """Return a scan; None if it is not known any more."""
        found: bytes | None = self._scans.get(id_)
        return found


class RecentScans:
    """The most recent scans of this server, until it is restarted. For use from one thread.

    They are kept encoded, and the oldest are forgotten when they would take more than `max_bytes`.
    The `store` of several workers is in their parent.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self.store: ScanStore = EncodedScans(max_bytes)

    @property
    def bytes(self) -> int:
        """The bytes that the remembered scans take."""
        return self.store.size

    def add(
        self,
        owner: str | None,
        kind: Modality,
        models: ModelPair,
        matches: Sequence[Match],
        results: Sequence[ScanResult] = (),
    ) -> str:
        """Remember a scan of an owner's products; return an id that cannot be guessed.

        `results` are those that the matches are from; the vectors of their photos are remembered.
        """
        id_ = secrets.token_urlsafe(16)
        places = {
            id(match): place
            for place, result in enumerate(results)
            for match in result.matches
            if result.vectors
        }
        shown = [_shown(match, places.get(id(match))) for match in matches]
        photos = [[_encoded(vector) for vector in result.vectors] for result in results]
        scan = _Scan(owner, kind, models.image, models.text, shown, photos)
        # a copy, because msgspec leaves up to half of what it returns allocated but unused
        self.store.keep(id_, bytes(memoryview(msgspec.msgpack.encode(scan))))
        return id_

    def get(self, id_: str, caller: Caller) -> ShownScan:
        """Return a scan that this client may see. Its matches have ids and scores only.

        Raises:
            NotFoundError: the scan is unknown, too old, or of another owner.
        """
        encoded = self.store.find(id_)
        scan = None if encoded is None else _DECODER.decode(encoded)
        if scan is None or not (caller.sees_all or scan.owner == caller.owner):
            raise NotFoundError(
                "scan_unknown", "no such scan: feedback is taken for this server's last scans only"
            )
        return ShownScan(
            id=id_,
            owner=scan.owner,
            query_kind=scan.kind,
            models=ModelPair(image=scan.image_model, text=scan.text_model),
            matches=tuple(shown.match() for shown in scan.shown),
            photos={
                shown.id: [_decoded(photo) for photo in scan.photos[shown.scan]]
                for shown in scan.shown
                if shown.scan is not None
            },
            resembling=frozenset(shown.id for shown in scan.shown if shown.resembles),
        )


def _size(encoded: bytes) -> int:
    return len(encoded) + ENTRY_BYTES


def _encoded(vector: Vector) -> bytes:
    """Return a vector of unit length as half-precision numbers."""
    return vector.astype(np.float16).tobytes()


def _decoded(photo: bytes) -> Vector:
    return np.frombuffer(photo, np.float16).astype(np.float32)


def _shown(match: Match, place: int | None) -> _Shown:
    product = match.product
    return _Shown(
        product.id,
        match.score,
        match.confidence,
        product.image_score,
        product.text_score,
        product.word_score,
        resembles(match),
        place,
    )
