"""Host names are looked up by a real DNS server, which also stays silent and changes its mind."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfsight.images import download, names
from shelfsight.images.addresses import PublicResolver, is_public
from shelfsight.images.download import Downloader
from shelfsight.images.names import NameResolver
from shelfsight.images.unusable import UnusablePictureError
from tests.integration.name_server import Answer, NameServer

PUBLIC = "2e00::1"  # global unicast by its number, but given to nobody


@asynccontextmanager
async def resolving(server: NameServer) -> AsyncIterator[NameResolver]:
    resolver = NameResolver([server.address])
    try:
        yield resolver
    finally:
        await resolver.close()


async def found(resolver: NameResolver, host: str) -> list[str]:
    """The addresses of a name; none if it cannot be resolved."""
    try:
        return [result["host"] for result in await resolver.resolve(host, 80)]
    except OSError:
        return []


def test_forty_names_that_nobody_answers_do_not_hold_up_the_others(monkeypatch) -> None:
    monkeypatch.setattr(names, "LOOKUP_SECONDS", 60.0)

    def answer(name: str, _: int) -> Answer:
        return None if name.startswith("silent") else [PUBLIC]

    async def main() -> None:
        async with resolving(server) as resolver:
            silent = [
                asyncio.create_task(resolver.prefetch(f"silent{n}.example")) for n in range(40)
            ]
            while len({name for name in server.asked if name.endswith("example")}) < 40:
                await asyncio.sleep(0.01)
            for n in range(100):
                assert await found(resolver, f"shop{n}.example") == [PUBLIC]
            assert not any(task.done() for task in silent)
            for task in silent:
                task.cancel()

    with NameServer(answer) as server:
        asyncio.run(main())


def test_a_name_that_nobody_answers_is_given_up(monkeypatch) -> None:
    monkeypatch.setattr(names, "LOOKUP_SECONDS", 0.1)

    async def main() -> None:
        async with resolving(server) as resolver:
            assert await found(resolver, "silent.example") == []

    with NameServer(lambda *_: None) as server:
        asyncio.run(main())


@pytest.mark.parametrize("failure", [[], None], ids=["no such name", "silent"])
def test_a_name_that_failed_is_not_asked_again_within_its_time(monkeypatch, failure) -> None:
    monkeypatch.setattr(names, "LOOKUP_SECONDS", 0.1)

    async def main() -> None:
        async with resolving(server) as resolver:
            assert await found(resolver, "gone.example") == []
            asked = len(server.asked)
            assert asked >= 2
            assert [await found(resolver, "gone.example") for _ in range(10)] == [[]] * 10
            assert len(server.asked) == asked

    with NameServer(lambda *_: failure) as server:
        asyncio.run(main())


def test_a_name_that_failed_is_asked_again_after_its_time(monkeypatch) -> None:
    monkeypatch.setattr(names, "FAILED_SECONDS", 0.0)

    async def main() -> None:
        async with resolving(server) as resolver:
            assert await found(resolver, "soon.example") == []
            assert await found(resolver, "soon.example") == [PUBLIC]

    with NameServer(lambda _, turn: [PUBLIC] if turn else []) as server:
        asyncio.run(main())


def test_no_more_names_are_remembered_than_there_is_room_for(monkeypatch) -> None:
    monkeypatch.setattr(names, "CACHED_NAMES", 8)

    async def main() -> None:
        async with resolving(server) as resolver:
            for n in range(20):
                await resolver.prefetch(f"gone{n}.example")
            server.asked.clear()
            await resolver.prefetch("gone19.example")
            assert server.asked == []
            await resolver.prefetch("gone0.example")
            assert "gone0.example" in server.asked

    with NameServer(lambda *_: []) as server:
        asyncio.run(main())


def test_requests_for_one_name_at_a_time_share_a_lookup() -> None:
    async def main() -> None:
        async with resolving(server) as resolver:
            many = [found(resolver, "shop.example") for _ in range(50)]
            assert await asyncio.gather(*many) == [[PUBLIC]] * 50
        assert sorted(server.asked) == ["shop.example", "shop.example/6"]

    with NameServer(lambda *_: [PUBLIC]) as server:
        asyncio.run(main())


def test_a_caller_that_gives_up_takes_the_lookup_from_nobody() -> None:
    async def main() -> None:
        async with resolving(server) as resolver:
            first = asyncio.create_task(found(resolver, "shop.example"))
            second = asyncio.create_task(found(resolver, "shop.example"))
            await asyncio.sleep(0)
            first.cancel()
            assert await second == [PUBLIC]

    with NameServer(lambda *_: [PUBLIC]) as server:
        asyncio.run(main())


def test_both_families_and_the_hosts_file_are_known() -> None:
    async def main() -> None:
        async with resolving(server) as resolver:
            assert set(await found(resolver, "both.example")) == {PUBLIC, "93.184.215.14"}
            assert await found(resolver, "four.example") == ["93.184.215.14"]
            assert {"127.0.0.1"} <= set(await found(resolver, "localhost")) <= {"127.0.0.1", "::1"}
        assert not any("localhost" in name for name in server.asked)

    answers = {"both.example": ["93.184.215.14", PUBLIC], "four.example": ["93.184.215.14"]}
    with NameServer(lambda name, _: answers.get(name, [])) as server:
        asyncio.run(main())


@pytest.mark.parametrize(
    ("host", "is_asked"),
    [("printer", True), ("printer.local", True), ("printer.local.", True), ("a.example", False)],
)
def test_the_system_is_asked_for_local_names_that_dns_does_not_know(
    monkeypatch, host: str, is_asked: bool
) -> None:
    asked = []

    def mdns(name: str, *_: object, **__: object) -> list[tuple]:
        asked.append(name)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.168.1.9", 0))]

    async def main() -> None:
        async with resolving(server) as resolver:
            assert await found(resolver, host) == (["192.168.1.9"] if is_asked else [])

    monkeypatch.setattr(socket, "getaddrinfo", mdns)
    with NameServer(lambda *_: []) as server:
        asyncio.run(main())
    assert asked == ([host] if is_asked else [])


def test_pictures_on_silent_names_occupy_no_place_of_other_pictures(monkeypatch) -> None:
    monkeypatch.setattr(names, "LOOKUP_SECONDS", 60.0)
    hosts = [f"silent{n}.example" for n in range(40)]

    async def respond(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nmug")
        writer.close()

    async def fetch(downloader: Downloader, address: str) -> bytes:
        async with downloader.download(address) as body:
            return body

    async def main() -> None:
        async with await asyncio.start_server(respond, "127.0.0.1", 0) as shop:
            port = shop.sockets[0].getsockname()[1]
            async with Downloader(frozenset({f"shop.example:{port}"})) as downloader:
                silent = [asyncio.create_task(fetch(downloader, f"http://{h}/")) for h in hosts]
                while not set(hosts) <= set(server.asked):
                    await asyncio.sleep(0.01)
                assert await fetch(downloader, f"http://shop.example:{port}/") == b"mug"
                assert not any(task.done() for task in silent)
                for task in silent:
                    task.cancel()

    with NameServer(lambda name, _: ["127.0.0.1"] if name == "shop.example" else None) as server:
        monkeypatch.setattr(download, "NameResolver", partial(NameResolver, [server.address]))
        asyncio.run(asyncio.wait_for(main(), 30))


ADDRESSES = st.one_of(
    st.ip_addresses(),
    st.ip_addresses(network="2e00::/16"),
    st.ip_addresses(network="93.184.0.0/16"),
).map(str)


def test_a_name_is_refused_if_any_of_its_addresses_is_not_public() -> None:
    current: list[str] = []

    @given(st.lists(ADDRESSES, min_size=1, max_size=6, unique=True), st.uuids())
    def check(addresses: list[str], name: object) -> None:
        current[:] = addresses
        with asyncio.Runner() as runner:
            runner.run(resolve_and_compare(addresses, f"{name}.example"))

    async def resolve_and_compare(addresses: list[str], host: str) -> None:
        async with resolving(server) as resolver:
            public = PublicResolver(resolver)
            if all(map(is_public, addresses)):
                results = await public.resolve(host, 80)
                hosts = {ip_address(result["host"]) for result in results}
                assert hosts == set(map(ip_address, addresses))
            else:
                with pytest.raises(UnusablePictureError) as refusal:
                    await public.resolve(host, 80)
                assert refusal.value.failure.kind == "forbidden_address"

    with NameServer(lambda *_: tuple(current)) as server:
        check()
