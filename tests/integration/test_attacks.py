"""Attacks on both servers, each beside a caller whose requests are still answered, and rightly."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from time import monotonic
from typing import TypeVar

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from shelfsight.embedding.wire import TEXT_PATH
from shelfsight.postgres.connection import Database
from shelfsight.serving.callers import address_of
from shelfsight.serving.connections import ConnectionTable, TrustedProxies
from shelfsight.serving.limits import ConnectionLimits, ServerLimits
from shelfsight.storage.api_keys import ApiKeys
from tests.end_to_end.picture_host import picture_host
from tests.integration.embedding_server import ask, running, serving
from tests.integration.scan_server import (
    FEEDBACK,
    SCAN,
    in_png,
    photo,
    prepared,
    problem,
    scan,
    scan_server,
    send,
    skus,
)
from tests.shop import backfill_all, fill, picture
from tests.siege import attacks
from tests.siege.attacks import Ends, Target

CONNECTIONS = ConnectionLimits(
    connections=24,
    per_address=16,
    header_bytes=8_000,
    headers=50,
    header_seconds=1,
    body_seconds=2,
    response_seconds=1,
    idle_seconds=2,
)
LIMITS = ServerLimits(body_bytes=2_000_000, waiting_bytes=4_000_000, body_seconds=1.5)
LARGE = 1_900_000

Result = TypeVar("Result")


@dataclass(frozen=True)
class Server:
    """A server, the path that is attacked, and a request that must go on being answered."""

    url: str
    path: str
    behaves: Callable[[], bool]

    def beside(self, attack: Callable[[Target], Awaitable[Result]], **target: object) -> Result:
        """Attack, and send good requests until the attack ends; return how that ended."""
        aim = replace(Target(url=self.url, path=self.path), **target)

        async def whole() -> Result:
            return await attack(aim)

        with ThreadPoolExecutor(1) as thread:
            ends = thread.submit(asyncio.run, whole())
            good = 0
            while not ends.done() or good < 3:
                assert self.behaves()
                good += 1
            return ends.result()


@pytest.fixture(scope="module")
def shop(server: str) -> Iterator[Database]:
    with prepared(server, "attacks") as database:
        fill(database, 6, pictures=True)
        backfill_all(database)
        yield database


@contextmanager
def scans(shop: Database, **options: object) -> Iterator[Server]:
    config = {"limits": LIMITS}
    with scan_server(shop, config=config, connections=CONNECTIONS, **options) as url:
        asked = photo(3)
        yield Server(url, SCAN, lambda: skus(scan(url, imageBase64=asked, limit=1)) == ["sku-3"])


@contextmanager
def embeddings(_shop: Database) -> Iterator[Server]:
    with serving(limits=LIMITS, connections=CONNECTIONS) as url:

        def behaves() -> bool:
            answer = ask(url, TEXT_PATH, {"texts": ["a blue mug"]})
            return answer.status == 200 and len(answer.json["embeddings"][0]) == 1024

        yield Server(url, TEXT_PATH, behaves)


@pytest.fixture(scope="module", params=[scans, embeddings])
def attacked(request: pytest.FixtureRequest, shop: Database) -> Iterator[Server]:
    with request.param(shop) as server:
        yield server


def test_idle_connections_neither_fill_the_server_nor_stay(attacked: Server) -> None:
    began = monotonic()
    ends = attacked.beside(lambda target: attacks.idle_connections(target, 300))
    rounds = 1 + int((monotonic() - began) / CONNECTIONS.header_seconds)
    assert ends["open"] == 0
    assert sum(ends.values()) == 300
    # a connection keeps its place for `header_seconds`; the others are turned away
    assert ends["408"] <= rounds * CONNECTIONS.per_address


def test_idle_connections_of_many_addresses_give_way(attacked: Server) -> None:
    async def from_many(target: Target) -> Ends:
        ends = await asyncio.gather(
            *(
                attacks.idle_connections(replace(target, source=f"127.0.1.{last}"), 10)
                for last in range(1, 21)
            )
        )
        return sum(ends, Ends())

    assert attacked.beside(from_many)["open"] == 0


def test_headers_that_come_by_the_byte_are_given_up(attacked: Server) -> None:
    ends = attacked.beside(lambda target: attacks.slow_headers(target, 10))
    assert set(ends) == {"408"}


@pytest.mark.parametrize("attack", [attacks.endless_header, attacks.endless_headers])
def test_headers_without_end_are_refused(
    attacked: Server, attack: Callable[[Target], Awaitable[Ends]]
) -> None:
    ends = attacked.beside(attack)
    assert ends["open"] == 0


def test_headers_that_are_too_large_or_too_many_are_a_431(attacked: Server) -> None:
    host, port = Target(url=attacked.url, path="/").address
    for headers in ({"X-Large": "x" * 9_000}, {f"X-{number}": "x" for number in range(60)}):
        connection = HTTPConnection(host, port, timeout=30)
        connection.request("GET", "/health", headers=headers)
        assert connection.getresponse().status == 431
        connection.close()
    assert attacked.behaves()


@pytest.mark.parametrize("length", [40_000, 70_000, 200_000])
def test_an_address_that_is_too_long_is_a_431(attacked: Server, length: int) -> None:
    host, port = Target(url=attacked.url, path="/").address
    with closing(HTTPConnection(host, port, timeout=30)) as connection:
        connection.request("GET", f"/health?{'x' * length}")
        assert connection.getresponse().status == 431


@pytest.mark.parametrize("attack", [attacks.endless_trailers, attacks.endless_body])
def test_bodies_and_trailers_without_end_are_refused(
    attacked: Server, attack: Callable[[Target], Awaitable[Ends]]
) -> None:
    ends = attacked.beside(attack)
    assert ends["open"] == 0


def test_who_asks_on_and_on_and_reads_nothing_loses_the_connection(attacked: Server) -> None:
    ends = attacked.beside(
        lambda target: attacks.unread_responses(replace(target, path="/docs"), 3), seconds=20
    )
    assert ends["open"] == 0


def test_announced_bodies_take_no_room(attacked: Server) -> None:
    ends = attacked.beside(lambda target: attacks.announced_bodies(target, 12, LARGE))
    assert set(ends) <= {"408"}


def test_an_announced_body_that_is_too_large_is_refused_at_once(attacked: Server) -> None:
    ends = attacked.beside(lambda target: attacks.announced_bodies(target, 3, 3_000_000))
    assert set(ends) == {"413"}


def test_slow_bodies_give_way_to_others(attacked: Server) -> None:
    ends = attacked.beside(lambda target: attacks.slow_bodies(target, 12, LARGE))
    assert ends["open"] == 0
    assert ends["408"] + ends["429"] + ends["closed"] == 12


def test_slow_bodies_to_any_route_give_way_to_others(shop: Database) -> None:
    with scans(shop) as server:
        feedback = replace(server, path=FEEDBACK)
        ends = feedback.beside(lambda target: attacks.slow_bodies(target, 12, LARGE))
        assert set(ends) == {"413"}
        unread = replace(server, path="/health")
        ends = unread.beside(lambda target: attacks.slow_bodies(target, 12, LARGE))
        assert ends["open"] == 0


def test_one_keys_bodies_leave_room_for_those_of_another(database: Database) -> None:
    fill(database, 6, pictures=True)
    backfill_all(database)
    greedy, modest = (ApiKeys(database).create(owner=None, name="")[1] for _ in range(2))
    with scans(database) as server:
        asked = photo(3)

        def behaves() -> bool:
            answer = scan(server.url, imageBase64=asked, limit=1, key=modest)
            return skus(answer) == ["sku-3"]

        ends = replace(server, behaves=behaves).beside(
            lambda target: attacks.slow_bodies(target, 8, LARGE), key=greedy, source="127.0.0.1"
        )
        assert ends["open"] == 0


def test_hosts_that_keep_silent_do_not_hold_up_the_photos_of_others(database: Database) -> None:
    fill(database, 6, pictures=True)
    backfill_all(database)
    greedy, modest = (ApiKeys(database).create(owner=None, name="")[1] for _ in range(2))
    with ExitStack() as stack:
        silent = [
            stack.enter_context(closing(socket.create_server((f"127.0.9.{last}", 0))))
            for last in range(1, 31)
        ]
        hosts = ["{}:{}".format(*listener.getsockname()) for listener in silent]
        pictures = stack.enter_context(picture_host())
        pictures.pictures["/3.png"] = in_png(picture(3))
        config = {"private_hosts": frozenset([*hosts, pictures.host]), "seconds": 5}
        url = stack.enter_context(scan_server(database, config=config))
        callers = stack.enter_context(ThreadPoolExecutor(3))
        asked = [
            callers.submit(
                scan, url, images=[{"url": f"http://{host}/a.jpg"} for host in some], key=greedy
            )
            for some in (hosts[:10], hosts[10:20], hosts[20:])
        ]
        for _ in range(3):
            answer = scan(url, imageUrl=pictures.url("/3.png"), limit=1, key=modest)
            assert skus(answer) == ["sku-3"]
        assert not any(one.done() for one in asked)


def test_hostile_bodies_are_refused_while_others_are_answered(attacked: Server) -> None:
    async def every_body(target: Target) -> dict[str, Ends]:
        bodies = attacks.hostile_bodies(LARGE)
        return {name: await attacks.large_bodies(target, 4, bodies[name]) for name in bodies}

    ends = attacked.beside(every_body, seconds=60)
    assert {name: end for name, end in ends.items() if not set(end) <= {"400", "422", "429"}} == {}


@pytest.mark.parametrize("name", attacks.hostile_forms(1_000))
def test_hostile_forms_are_refused_while_others_are_answered(shop: Database, name: str) -> None:
    form = attacks.hostile_forms(LARGE)[name]
    kind = f"multipart/form-data; boundary={attacks.BOUNDARY}"
    with scans(shop) as server:
        ends = server.beside(lambda target: attacks.large_bodies(target, 4, form, kind), seconds=30)
        assert set(ends) <= {"400", "422", "429"}


@pytest.mark.parametrize(
    "header",
    ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via", "X-Forwarded-Host", "CF-Connecting-IP"],
)
def test_without_a_key_nothing_that_a_proxy_forwards_is_answered(
    database: Database, header: str
) -> None:
    with scan_server(database) as url:
        refused = send(url + SCAN, {"textQuery": "a"}, **{header.replace("-", "_"): "203.0.113.9"})
        assert problem(refused) == (403, "forwarded")
        assert scan(url, textQuery="a").status == 200
        secret = ApiKeys(database).create(owner=None, name="")[1]
        forwarded = {header.replace("-", "_"): "203.0.113.9"}
        assert send(url + SCAN, {"textQuery": "a"}, key=secret, **forwarded).status == 200


def test_without_a_key_the_models_are_for_this_machine_alone() -> None:
    body = {"texts": ["a"]}
    with serving() as url:
        for header, value in (("X_Forwarded_For", "203.0.113.9"), ("Host", "evil.test")):
            assert send(url + TEXT_PATH, body, **{header: value}).status == 403
        assert send(url + TEXT_PATH, body, Origin="https://evil.test").status == 403
        assert send(url + TEXT_PATH, body).status == 200
    with serving(open_to_all=True) as url:
        assert send(url + TEXT_PATH, body, X_Forwarded_For="203.0.113.9").status == 200


async def who(scope: Scope, receive: Receive, send: Send) -> None:
    """An app that tells the caller its address."""
    if scope["type"] == "lifespan":
        for event in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{event}.complete"})
        return
    await PlainTextResponse(address_of(Request(scope)))(scope, receive, send)


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        ((), "203.0.113.9", "127.0.0.1"),
        (("10.0.0.0/8",), "203.0.113.9", "127.0.0.1"),
        (("127.0.0.0/8",), "203.0.113.9", "203.0.113.9"),
        (("127.0.0.1", "10.0.0.2"), "198.51.100.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        (("127.0.0.1",), "198.51.100.1, 10.0.0.2", "10.0.0.2"),
    ],
)
def test_only_a_trusted_proxy_tells_the_address_and_only_the_last_hop_counts(
    proxies: tuple[str, ...], forwarded: str, address: str
) -> None:
    with running(who, ConnectionTable(proxies=TrustedProxies(proxies))) as url:
        assert send(url, X_Forwarded_For=forwarded).content.decode() == address
