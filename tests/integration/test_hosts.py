"""Busy, dead and silent hosts over real HTTP on loopback: limits, pauses and probes."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from threading import Event, Thread

import pytest
from aiohttp import web
from anyio.from_thread import BlockingPortal, start_blocking_portal

from shelfsight.images.decoder.pool import DecoderPool
from shelfsight.images.download import FetchLimits
from shelfsight.images.fetch import FetchConfig, PictureFetcher
from shelfsight.records import FetchedProduct, Product
from tests.integration.test_fetch import FORMAT, PATIENT, PNG, Site, started


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as closing:
        yield closing


@pytest.fixture
def portal(closing: ExitStack) -> BlockingPortal:
    return closing.enter_context(start_blocking_portal())


@pytest.fixture
def site(portal: BlockingPortal, closing: ExitStack) -> Site:
    return started(portal, closing)


@pytest.fixture
def silent(closing: ExitStack) -> str:
    """A host that takes every connection and never answers."""
    server = closing.enter_context(socket.create_server(("127.0.0.1", 0), backlog=100))
    return f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def make_fetcher(
    closing: ExitStack, said: list[str], decoders: DecoderPool
) -> Callable[..., PictureFetcher]:
    def make(limits: FetchLimits = PATIENT) -> PictureFetcher:
        config = FetchConfig(private_hosts=frozenset({"127.0.0.1"}), notify=said.append)
        fetcher = PictureFetcher(FORMAT, decoders, config, limits)
        closing.callback(fetcher.close)
        return fetcher

    return make


def fetch(fetcher: PictureFetcher, urls: list[str]) -> list[FetchedProduct]:
    return fetcher.fetch([Product(id=url, image_urls=(url,)) for url in urls])


def kinds(fetched: list[FetchedProduct]) -> list[str]:
    """The kind of each failure, "" for a picture."""
    return ["" if item.pictures else item.failures[0].kind for item in fetched]


def answers(site: Site, path: str, *statuses: int, **headers: str) -> str:
    """Respond with these statuses in turn, and then with a picture."""
    left = list(statuses)
    fields = {name.replace("_", "-"): value for name, value in headers.items()}

    async def answer(_: web.Request) -> web.Response:
        if left:
            return web.Response(status=left.pop(0), headers=fields)
        return web.Response(body=PNG)

    return site.serve(path, answer)


@pytest.mark.parametrize("status", [429, 503])
def test_a_picture_comes_after_the_pause_that_its_host_asks_for(
    make_fetcher, site: Site, status: int
) -> None:
    url = answers(site, "/mug.png", status, status, status, Retry_After="0")
    assert kinds(fetch(make_fetcher(), [url])) == [""]
    assert site.hits == {"/mug.png": 4}


def test_a_host_that_asks_again_and_again_is_not_asked_for_ever(make_fetcher, site: Site) -> None:
    url = answers(site, "/mug.png", *[429] * 100, Retry_After="0")
    [fetched] = fetch(make_fetcher(replace(PATIENT, patience=3)), [url])
    [failure] = fetched.failures
    assert (failure.kind, failure.retryable) == ("http_429", True)
    assert "asks for a pause" in failure.message
    assert site.hits == {"/mug.png": 4}


def test_a_host_that_asks_for_a_long_pause_is_left_alone_and_named(
    make_fetcher, site: Site, said: list[str]
) -> None:
    fetcher = make_fetcher()
    assert kinds(fetch(fetcher, [answers(site, "/1.png", 429, Retry_After="3600")])) == ["http_429"]
    [fetched] = fetch(fetcher, [answers(site, "/2.png")])
    [failure] = fetched.failures
    assert (failure.kind, failure.retryable) == ("host_paused", True)
    assert site.hits == {"/1.png": 1}
    host = site.address.removeprefix("http://")
    assert host in failure.message
    assert said == [
        f"{host} is paused since it asks for 3600 s; its pictures are tried again later"
    ]


def test_hosts_that_rest_hold_no_place_that_others_need(
    make_fetcher, portal: BlockingPortal, closing: ExitStack, site: Site
) -> None:
    fetcher = make_fetcher(replace(PATIENT, concurrency=2))
    other = started(portal, closing)
    served = Event()

    async def busy(_: web.Request) -> web.Response:
        if served.is_set():
            return web.Response(body=PNG)
        return web.Response(status=429, headers={"Retry-After": "1"})

    async def last(_: web.Request) -> web.Response:
        served.set()
        return web.Response(body=PNG)

    async def good(_: web.Request) -> web.Response:
        return web.Response(body=PNG)

    urls = [site.serve(f"/{n}.png", busy) for n in range(4)]
    urls += [other.serve(f"/{n}.png", good) for n in range(20)] + [other.serve("/last", last)]
    assert kinds(fetch(fetcher, urls)) == [""] * len(urls)


def test_a_silent_host_is_learnt_by_its_first_pictures_and_the_others_come(
    make_fetcher, site: Site, silent: str, said: list[str]
) -> None:
    good = [answers(site, f"/{n}.png") for n in range(20)]
    bad = [f"http://{silent}/{n}.png" for n in range(20)]
    found = kinds(fetch(make_fetcher(replace(PATIENT, read=2)), good + bad))
    assert found[:20] == [""] * 20
    assert sorted(found[20:]) == ["host_paused"] * 16 + ["timeout"] * 4
    [line] = said
    assert line.startswith(f"{silent} is paused after 4 failures in a row")


def test_a_paused_host_that_answers_again_is_gone_on_with(
    make_fetcher, site: Site, said: list[str]
) -> None:
    fetcher = make_fetcher(replace(PATIENT, host_pause=0.01))
    down = [site.page(f"/down/{n}.png", status=500) for n in range(30)]
    assert set(kinds(fetch(fetcher, down))) == {"http_500", "host_paused"}
    up = answers(site, "/up.png")
    assert any(kinds(fetch(fetcher, [up])) == [""] for _ in range(1000))
    assert kinds(fetch(fetcher, [answers(site, "/again.png")])) == [""]
    assert said[-1] == f"{site.address.removeprefix('http://')} answers again"


def test_two_pages_at_once_fetch_an_address_once(make_fetcher, site: Site) -> None:
    fetcher = make_fetcher()
    asked, release = Event(), asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        asked.set()
        await release.wait()
        return web.Response(body=PNG)

    async def quick(_: web.Request) -> web.Response:
        release.set()
        return web.Response(body=PNG)

    shared, other = site.serve("/shared.png", slow), site.serve("/other.png", quick)
    first: list[FetchedProduct] = []
    page = Thread(target=lambda: first.extend(fetch(fetcher, [shared])))
    page.start()
    assert asked.wait(10)
    second = fetch(fetcher, [shared, other])
    page.join()
    assert site.hits == {"/shared.png": 1, "/other.png": 1}
    assert second[0].pictures[0] is first[0].pictures[0]
