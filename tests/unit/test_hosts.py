"""A host's concurrency limit and circuit breaker, on a simulated clock."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.images.hosts import (
    KNOWN_HOST_FAILURES,
    SILENT_HOST_FAILURES,
    Host,
    HostPolicy,
    Hosts,
    RetryAfterError,
)
from shelfsight.images.unusable import UnusablePictureError


class Clock(asyncio.SelectorEventLoop):
    """An event loop with simulated time: it jumps ahead whenever all tasks sleep."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0

    def time(self) -> float:
        return self.passed

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self.passed = max(self.passed, self._scheduled[0].when())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


def on_a_clock(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    def run() -> None:
        with asyncio.Runner(loop_factory=Clock) as runner:
            runner.run(test())

    run.__name__ = test.__name__
    return run


def failure(kind: str = "timeout") -> UnusablePictureError:
    return UnusablePictureError(kind, "the server takes too long", retryable=True)


class Asked:
    """Sends requests to a host, and records how many ran at the same time and every notice."""

    def __init__(self, **policy: Any) -> None:
        self.said: list[str] = []
        policy = {"concurrency": 8, "patience": 30, "pause": 60} | policy
        self.host: Host = Hosts(HostPolicy(notify=self.said.append, **policy)).of("cdn.example.com")
        self.busy = self.busiest = 0

    async def ask(self, outcome: UnusablePictureError | None = None, seconds: float = 1) -> str:
        """Make one request; returns the kind of its failure, "" if there is none."""
        try:
            async with self.host.slot():
                with self.host.observe():
                    await self._request(outcome, seconds)
        except UnusablePictureError as error:
            return error.failure.kind
        return ""

    async def ask_all(self, *outcomes: UnusablePictureError | None) -> list[str]:
        return await asyncio.gather(*(self.ask(outcome) for outcome in outcomes))

    async def most(self, count: int = 100) -> int:
        """The most requests that run at the same time, of `count`."""
        self.busiest = 0
        await self.ask_all(*[None] * count)
        return self.busiest

    async def _request(self, outcome: UnusablePictureError | None, seconds: float) -> None:
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        try:
            await asyncio.sleep(seconds)
            if outcome is not None:
                raise outcome
        finally:
            self.busy -= 1


@on_a_clock
async def test_a_host_that_answers_is_asked_ever_more_up_to_the_limit() -> None:
    asked = Asked()
    assert await asked.most(4) == 4
    assert await asked.most(100) == 8
    assert await asked.most(100) == 8
    assert await Asked(concurrency=1).most(10) == 1


@on_a_clock
async def test_a_round_with_failures_halves_the_limit_once_and_never_below_one() -> None:
    asked = Asked()
    await asked.most(100)
    await asked.ask_all(*[failure("http_503")] * 8)
    assert await asked.most(4) == 4
    for _ in range(6):
        await asked.ask_all(failure("http_429"))
    asked.busiest = 0
    await asked.ask_all(*[failure("http_429")] * 5)
    assert asked.busiest == 1


@on_a_clock
async def test_all_wait_for_as_long_as_the_host_asks() -> None:
    asked = Asked()
    loop = asyncio.get_running_loop()
    assert await asked.ask(RetryAfterError("http_429", "busy", 20)) == "http_429"
    began = loop.time()
    assert await asked.ask_all(None, None) == ["", ""]
    assert loop.time() - began == 21
    assert asked.said == []


@on_a_clock
async def test_a_host_that_asks_for_too_long_a_pause_is_left_alone_for_so_long() -> None:
    asked = Asked()
    assert await asked.ask(RetryAfterError("http_429", "busy", 300)) == "http_429"
    assert await asked.ask_all(None, None) == ["host_paused"] * 2
    await asyncio.sleep(300)
    assert await asked.ask() == ""
    assert asked.said == [
        "cdn.example.com is paused since it asks for 300 s; its pictures are tried again later",
        "cdn.example.com answers again",
    ]


@on_a_clock
async def test_a_host_that_never_sent_a_status_is_paused_after_its_first_round() -> None:
    asked = Asked()
    outcomes = await asked.ask_all(*[failure()] * 50)
    assert outcomes.count("timeout") == SILENT_HOST_FAILURES
    assert outcomes.count("host_paused") == 50 - SILENT_HOST_FAILURES
    [said] = asked.said
    assert "cdn.example.com is paused after 4 failures in a row" in said
    assert "the server takes too long" in said


@on_a_clock
async def test_a_host_that_has_only_ever_failed_is_doubtful_until_it_answers() -> None:
    asked = Asked()
    assert not asked.host.is_doubtful
    await asked.ask(failure())
    assert asked.host.is_doubtful
    await asked.ask()
    await asked.ask(failure())
    assert not asked.host.is_doubtful


@pytest.mark.parametrize("known_by", [None, failure("http_404"), failure("http_429")])
def test_a_host_that_has_answered_is_given_more_time(known_by: UnusablePictureError | None) -> None:
    @on_a_clock
    async def given_time() -> None:
        asked = Asked()
        await asked.ask(known_by)
        for _ in range(3):
            await asked.ask_all(*[failure()] * (KNOWN_HOST_FAILURES - 2))
            assert await asked.ask() == ""
        assert asked.said == []
        outcomes = await asked.ask_all(*[failure()] * (KNOWN_HOST_FAILURES + 5))
        assert outcomes.count("timeout") == KNOWN_HOST_FAILURES
        assert outcomes.count("host_paused") == 5

    given_time()


@on_a_clock
async def test_after_the_pause_one_asks_and_all_go_on_once_it_is_answered() -> None:
    asked = Asked()
    await asked.ask_all(*[failure()] * 10)
    await asyncio.sleep(61)
    assert await asked.ask_all(None, None, None) == ["", "host_paused", "host_paused"]
    assert await asked.ask_all(None, None, None) == ["", "", ""]
    assert [line.split(" ")[1:3] for line in asked.said] == [["is", "paused"], ["answers", "again"]]


@on_a_clock
async def test_a_pause_doubles_with_each_probe_that_fails_and_is_said_once() -> None:
    asked = Asked()
    await asked.ask_all(*[failure()] * 10)
    loop, probes = asyncio.get_running_loop(), []
    began = loop.time()
    while loop.time() < began + 3600:
        if await asked.ask(failure(), seconds=0) == "timeout":
            probes.append(round(loop.time() - began))
        await asyncio.sleep(1)
    pauses = [later - earlier for earlier, later in zip([0, *probes], probes, strict=False)]
    assert pauses == [60, 120, 240, 480, 600, 600, 600, 600]
    assert len(asked.said) == 1


@on_a_clock
async def test_what_is_refused_on_our_own_side_says_nothing_about_the_host() -> None:
    asked = Asked()
    await asked.ask_all(*[UnusablePictureError("tls_failed", "no")] * 50)
    assert asked.said == []
    await asked.ask_all(*[failure()] * 50)
    assert len(asked.said) == 1


@on_a_clock
async def test_without_a_pause_no_host_is_left_alone() -> None:
    asked = Asked(pause=0)
    assert set(await asked.ask_all(*[failure()] * 50)) == {"timeout"}
    await asked.ask(RetryAfterError("http_429", "busy", 300))
    assert await asked.ask() == ""


@given(st.lists(st.sampled_from(["", "http_503", "timeout", "cancelled"]), max_size=60))
def test_whatever_happens_each_gets_a_turn_and_the_limit_holds(kinds: list[str]) -> None:
    @on_a_clock
    async def in_turn() -> None:
        asked = Asked(concurrency=6, pause=0)
        tasks = [
            asyncio.create_task(
                asked.ask(failure(kind) if kind not in {"", "cancelled"} else None, 1 + n % 3)
            )
            for n, kind in enumerate(kinds)
        ]
        await asyncio.sleep(1)
        for task, kind in zip(tasks, kinds, strict=True):
            if kind == "cancelled":
                task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        assert asked.busiest <= 6
        assert 1 <= await asked.most(100) <= 6

    in_turn()
