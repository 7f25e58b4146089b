"""Counts how far a run is and how fast it goes."""

from collections import Counter, deque
from collections.abc import Callable
from threading import Lock
from time import monotonic

from shelfsight.records import ContentModality


class Throughput:
    """The counts of a run: products stored, and pictures and texts on their way.

    Any thread may call the methods. The properties take no lock, so a signal handler may read them.

    Attributes:
        products: products that the run will process.
        stored: products that were stored since `start`.
        fetched: pictures that were fetched, or could not be.
        embedded: pictures and texts that were embedded.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._began: float | None = None
        self._batches = 0
        self._number = 0
        self._end_of_batch = 0
        self._read: deque[int] = deque()
        self._lock = Lock()
        self.products = 0
        self.stored = 0
        self.fetched = 0
        self.embedded: Counter[ContentModality] = Counter()

    def start(self, products: int, batches: int) -> None:
        """Begin to measure a run of this many products and batches."""
        self.products, self._batches = products, batches
        self._began = self._clock()

    def add_read(self, found: int) -> None:
        """Record that a batch of `found` products was read."""
        with self._lock:
            self._read.append(found)

    def add_fetched(self) -> None:
        """Record that a picture was fetched, or could not be fetched."""
        with self._lock:
            self.fetched += 1

    def add_embedded(self, modality: ContentModality, count: int) -> None:
        """Record that this many pictures or texts were embedded."""
        with self._lock:
            self.embedded[modality] += count

    def add_stored(self, products: int) -> None:
        """Record that this many products were stored."""
        with self._lock:
            self.stored += products

    def next_batch(self) -> int | None:
        """Enter the next batch if the batches before it are stored; return its products, or None.

        Products count towards batches in the order in which the batches were read.
        """
        with self._lock:
            if not self._read or self.stored < self._end_of_batch:
                return None
            found = self._read.popleft()
            self._number += 1
            self._end_of_batch += found
            return found

    @property
    def batch(self) -> str:
        """The current batch and the number of batches, such as `3/10`."""
        return f"{self._number}/{max(self._batches, self._number)}"

    @property
    def is_batch_stored(self) -> bool:
        """Whether all products of the current batch are stored."""
        return self.stored >= self._end_of_batch

    @property
    def seconds(self) -> float | None:
        """The seconds since `start`; None before it."""
        return None if self._began is None else self._clock() - self._began

    @property
    def rate(self) -> float | None:
        """Stored products per second; None as long as nothing is stored."""
        seconds = self.seconds
        return self.stored / seconds if seconds and self.stored else None

    def seconds_for(self, products: int) -> float | None:
        """Return the seconds that this many products take at the present rate; None if unknown."""
        rate = self.rate
        return None if rate is None else products / rate

    @property
    def seconds_left(self) -> float | None:
        """The seconds until all products are stored, at the present rate; None if unknown."""
        return self.seconds_for(max(self.products - self.stored, 0))

    def describe(self) -> str:
        """Say how many products are stored, how fast that went and how long the rest takes."""
        told = [f"{self.stored} of {self.products} products stored"]
        rate, left = self.rate, self.seconds_left
        if rate is not None and left is not None:
            told += [f"{rate:.3g} products/s", f"about {duration(left)} left"]
        return ", ".join(told if self.stored < self.products else told[:2])

    def describe_on_its_way(self) -> str:
        """Say how many pictures were fetched, and how many pictures and texts were embedded.

        Returns "" if there were none, or if other processes do that work.
        """
        pictures, texts = self.embedded["image"], self.embedded["text"]
        if not (self.fetched or pictures or texts):
            return ""
        return (
            f"{self.fetched} pictures fetched, {pictures} pictures and {texts} texts embedded"
            " so far"
        )


def duration(seconds: float) -> str:
    """Return a duration for people, such as `0.4 s`, `45 s`, `3 min 20 s` or `2 h 5 min`."""
    whole = round(seconds)
    if seconds < 10:
        return f"{seconds:.1f} s"
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
