"""What must not be fetched is not fetched: no packet is sent, by Python's audit and by traps.

A trap is a real socket that listens on every loopback address, on a port that the rule is told to
allow, so that only the rules about hosts stand before it.
"""

import asyncio
import gzip
import socket
import sys
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from random import randrange
from threading import current_thread

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from shelfsight.images import addresses
from shelfsight.images.download import Downloader, FetchLimits
from shelfsight.images.unusable import UnusablePictureError
from tests.integration.name_server import THREAD, downloads_ask

PATIENT = FetchLimits(connect=60, read=60, total=120, probe=60, retry_pause=0, max_bytes=100_000)
"""For hosts that answer: a busy machine may take its time."""

QUICK = replace(PATIENT, connect=0.5, read=0.5, total=2, probe=2)
"""For hosts that do not."""

UNUSED = "2e00::1"  # global unicast by its number, but given to nobody

LOOPBACK = """
127.0.0.1 127.0.0.1. 127.1 127.0.1 127.0.0.2 127.255.255.254 127.1.1.1
2130706433 017700000001 0x7f000001 0X7F000001 0x7F.1 0177.1 0x7f.0x0.0x0.0x1 0177.0.0.01
127.000.000.001 00127.0.0.1 127.0.0.0x1 127.0.0.01 0177.0.0.1 0x7f.0.0.1 0b1111111.0.0.1
4294967297 18446744073709551617 1.1 127..1 .127.0.0.1 127.0.0.1.. 127.0.0.1.1 127.0.0.256
[::1] [0:0:0:0:0:0:0:1] [0000::0001] [::0:1] [::1%25lo] [::1%lo] [::1%251] [::00001]
[::ffff:127.0.0.1] [::ffff:7f00:1] [::FFFF:7F00:0001] [0:0:0:0:0:ffff:127.0.0.1]
[::127.0.0.1] [::7f00:1] [::ffff:0:127.0.0.1] [::ffff:127.0.0.1%25lo]
[64:ff9b::127.0.0.1] [64:ff9b::7f00:1] [64:ff9b:1::127.0.0.1] [64:ff9b:1:fffe::7f00:1]
[2002:7f00:1::] [2002:7f00:1::1] [2001:0:7f00:1::1] [2001::ffff:80ff:fffe]
０.0.0.0 １２７.0.0.1 ①②⑦.⓪.⓪.① 127。0。0。1 127．0．0．1 127｡0｡0｡1 [::①] [::１] १२७.0.0.1
𝟏𝟐𝟕.𝟎.𝟎.𝟏 ¹²⁷.0.0.1 0ｘ7f000001
0.0.0.0 0 0x0 0. 0.0.0.1 0.255.255.255 [::] [::0] [0::0] [::ffff:0.0.0.0] [64:ff9b::0.0.0.0]
"""
"""Ways to write loopback, and "this host"."""

PRIVATE = """
10.0.0.1 10.255.255.255 167772161 0xa000001 012.0.0.1 10.1 [::ffff:10.0.0.1] [64:ff9b::a00:1]
172.16.0.1 172.31.255.255 0xac100001 192.168.0.1 192.168.1.1 3232235777 0xc0a80101 192.168.257
[::ffff:192.168.1.1] [64:ff9b::192.168.1.1] [2002:c0a8:101::1] [::192.168.1.1]
169.254.169.254 169.254.170.2 169.254.0.1 2852039166 0xa9fea9fe 0251.0376.0251.0376 169.16689662
⑯⑨.②⑤④.⑯⑨.②⑤④ [::ffff:169.254.169.254] [::ffff:a9fe:a9fe] [::a9fe:a9fe]
[64:ff9b::169.254.169.254] [64:ff9b::a9fe:a9fe] [64:ff9b:1::a9fe:a9fe] [2002:a9fe:a9fe::]
[fd00:ec2::254] [fd20:ce::254] [fe80::a9fe:a9fe] [fe80::a9fe:a9fe%25eth0]
100.64.0.1 100.100.100.200 100.127.255.255 168.63.129.16 192.0.0.192 192.0.0.1
[::ffff:100.100.100.200] [64:ff9b::168.63.129.16]
192.0.2.1 198.51.100.1 203.0.113.1 192.88.99.1 198.18.0.1 198.19.255.255
224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255 4294967295 0xffffffff
[::ffff:224.0.0.1] [64:ff9b::ffff:ffff]
[fc00::1] [fd12:3456:789a::1] [fdff:ffff::1] [fec0::1] [fe80::1] [fe80::1%25eth0] [fe80::1%lo]
[febf::1] [ff02::1] [ff05::c] [ff0e::1] [2606:4700::1%25eth0] [2606:4700::1%25]
[100::1] [2001:db8::1] [3fff::1] [5f00::1] [2001:10::1] [2001:20::1] [4000::1] [e000::1]
"""
"""Private, shared, link-local with its metadata services, reserved, multicast."""

TRICKS = [
    "http://shop.example@127.0.0.1:{port}/",
    "http://shop.example:80@127.0.0.1:{port}/",
    "http://user:secret@shop.example:{port}/",
    "http://@127.0.0.1:{port}/",
    "http://:@127.0.0.1:{port}/",
    "http://shop.example;@127.0.0.1:{port}/",
    "http://shop.example%40127.0.0.1:{port}/",
    "http://127.0.0.1:{port}@shop.example/",
    "http://127.0.0.1:{port}#@shop.example/",
    "http://127.0.0.1:{port}?@shop.example/",
    "http://127.0.0.1:{port}\\@shop.example/",
    "http://shop.example\\@127.0.0.1:{port}/",
    "http://shop.example\\.127.0.0.1:{port}/",
    "http://shop.example:80\\@127.0.0.1:{port}/",
    "http:\\\\127.0.0.1:{port}\\",
    "http:/\\127.0.0.1:{port}/",
    "http:\\/127.0.0.1:{port}/",
    "http:///127.0.0.1:{port}/",
    "http:////127.0.0.1:{port}/",
    "http:/127.0.0.1:{port}/",
    "http:127.0.0.1:{port}/",
    "http://127.0.0.1%00.shop.example:{port}/",
    "http://127.0.0.1%2f.shop.example:{port}/",
    "http://127.0.0.1%23.shop.example:{port}/",
    "http://127.0.0.1;.shop.example:{port}/",
    "http://127.0.0.1,shop.example:{port}/",
    "http://[::1].shop.example:{port}/",
    "http://[::1]127.0.0.1:{port}/",
    "http://::1:{port}/",
    "http://[127.0.0.1]:{port}/",
    "http://[v1.::1]:{port}/",
    "http://[::1:{port}/",
    "http://[]:{port}/",
    "http://:{port}/",
    "http://127.0.0.1:{port}:80/",
    "http://127.0.0.1:80:{port}/",
    "http://shop.example:99999/",
    "http://shop.example:-80/",
    "http://shop.example:0x50/",
    "http://shop.example:0/",
    "http://shop.example:22/",
    "http://shop.example:25/",
    "http://shop.example:5432/",
    "http://shop.example:6379/",
    "http://shop.example:8080/",
    "http://shop.example:65535/",
    "https://127.0.0.1:{port}/",
    "HTTP://127.0.0.1:{port}/",
    "file:///etc/passwd",
    "file://127.0.0.1:{port}/etc/passwd",
    "ftp://127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/_GET",
    "dict://127.0.0.1:{port}/d:shop",
    "ws://127.0.0.1:{port}/",
    "unix://127.0.0.1:{port}/run/docker.sock",
    "http+unix://%2frun%2fdocker.sock/",
    "data:text/plain,127.0.0.1:{port}",
    "javascript:fetch('http://127.0.0.1:{port}/')",
    "jar:http://127.0.0.1:{port}/!/",
    "url:http://127.0.0.1:{port}/",
    "view-source:http://127.0.0.1:{port}/",
]
"""Logins, backslashes, ports and schemes."""

UNPRINTABLE = [
    "http://127.0.0.1\t:{port}/",
    "http://127.0.0.1\n:{port}/",
    "ht\ntp://127.0.0.1:{port}/",
    "http://\r\n127.0.0.1:{port}/",
    "http://shop.example/\r\nHost: 127.0.0.1:{port}",
    "http://shop.example\x00@127.0.0.1:{port}/",
    "http://127.0.0.1\x00.shop.example:{port}/",
    "http://local\u200bhost:{port}/",
    "http://local\u00adhost:{port}/",
    "http://\u202e127.0.0.1:{port}/",
    "http://127.0.0.1\u2028:{port}/",
    "\x01http://127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "/\\127.0.0.1:{port}/",
    "\\\\127.0.0.1:{port}\\share",
    "",
]
"""Characters that no redirect can carry, and what has no scheme of its own."""

NAMES = {
    "localhost": ["127.0.0.1"],
    "localhost.": ["::1"],
    "LOCALHOST": ["127.0.0.1"],
    "ｌｏｃａｌｈｏｓｔ": ["127.0.0.1"],
    "ⅼocalhost": ["127.0.0.1"],
    "localhost.localdomain": ["127.0.0.1"],
    "ip6-localhost": ["::1"],
    "shop.localhost": ["127.0.0.1"],
    "127.0.0.1.nip.example": ["127.0.0.1"],
    "7f000001.nip.example": ["127.0.0.1"],
    "1e3": ["127.0.0.1"],
    "metadata": ["169.254.169.254"],
    "metadata.google.internal": ["169.254.169.254"],
    "metadata.google.internal.": ["169.254.169.254"],
    "instance-data.ec2.internal": ["169.254.169.254"],
    "metadata.azure.internal": ["168.63.129.16"],
    "kubernetes.default.svc": ["10.96.0.1"],
    "host.docker.internal": ["192.168.65.2"],
    "router.example": ["192.168.1.1"],
    "shared.example": ["100.64.0.1"],
    "this.example": ["0.0.0.0"],
    "six.example": ["::"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "compatible.example": ["::127.0.0.1"],
    "nat64.example": ["64:ff9b::7f00:1"],
    "sixtofour.example": ["2002:7f00:1::"],
    "teredo.example": ["2001:0:7f00:1::1"],
    "local.example": ["fd00:ec2::254"],
    "link.example": ["fe80::1"],
    "many.example": ["224.0.0.1"],
    "mixed.example": [UNUSED, "127.0.0.1"],
    "mixed-six.example": ["::1", UNUSED],
    "mixed-late.example": [UNUSED, "2e00::2", "2e00::3", "10.0.0.1"],
}
"""What a name server may say."""

HOSTS = [*LOOPBACK.split(), *PRIVATE.split()]
ADDRESSES = [*(f"http://{host}:{{port}}/mug.jpg" for host in HOSTS), *TRICKS]

REFUSED = {"bad_address", "forbidden_address"}

_SENDING = {"socket.connect", "socket.sendto", "socket.sendmsg"}
_watchers: list[list[tuple]] = []


def _watch(event: str, arguments: tuple) -> None:
    if event in _SENDING and current_thread().name != THREAD:
        for seen in _watchers:
            seen.append(arguments[1])


sys.addaudithook(_watch)


@dataclass
class Wire:
    """What this process sent to: addresses by Python's audit, and knocks at the trap."""

    trap: socket.socket
    targets: list[tuple] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.trap.getsockname()[1]

    def knocks(self) -> int:
        count = 0
        while True:
            try:
                self.trap.accept()[0].close()
            except BlockingIOError:
                return count
            count += 1


@pytest.fixture(scope="module")
def trap() -> Iterator[socket.socket]:
    """On a port that the kernel gives to nobody: tests beside this one knock at ports they had."""
    six = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if six else socket.AF_INET
    for port in range(randrange(20_000, 30_000), 32_768):
        with suppress(OSError):
            trap = socket.create_server(("", port), family=family, dualstack_ipv6=six)
            break
    with trap:
        trap.setblocking(False)
        yield trap


@pytest.fixture
def wire(trap: socket.socket, monkeypatch) -> Iterator[Wire]:
    wire = Wire(trap)
    monkeypatch.setattr(addresses, "ALLOWED_PORTS", frozenset({80, 443, wire.port}))
    _watchers.append(wire.targets)
    yield wire
    _watchers.remove(wire.targets)
    assert wire.knocks() == 0


@pytest.fixture(scope="module", params=[False, True], ids=["asyncio", "uvloop"])
def portal(request) -> Iterator[BlockingPortal]:
    with start_blocking_portal(backend_options={"use_uvloop": request.param}) as portal:
        yield portal


@contextmanager
def downloading(
    portal: BlockingPortal, *listed: str, limits: FetchLimits = QUICK
) -> Iterator[Callable[[str], str]]:
    """A downloader; calling it gives the kind of failure, or "fetched"."""

    async def kind(address: str) -> str:
        try:
            async with downloader.download(address):
                return "fetched"
        except UnusablePictureError as error:
            return error.failure.kind

    async def make() -> Downloader:
        return Downloader(frozenset(listed), limits)

    downloader = portal.call(make)
    with portal.wrap_async_context_manager(downloader):
        yield lambda address: portal.call(kind, address)


@pytest.fixture(scope="module")
def fetch(portal) -> Iterator[Callable[[str], str]]:
    with downloading(portal) as fetch:
        yield fetch


def test_the_watch_sees_what_is_sent_and_the_trap_is_open(portal, wire) -> None:
    with downloading(portal, f"127.0.0.1:{wire.port}") as fetch:
        assert fetch(f"http://127.0.0.1:{wire.port}/") == "timeout"
    assert set(wire.targets) == {("127.0.0.1", wire.port)}
    assert wire.knocks() == 1


def test_at_least_150_addresses_are_tried() -> None:
    assert len({*HOSTS, *TRICKS, *UNPRINTABLE, *NAMES}) >= 150


@pytest.mark.parametrize("address", [*ADDRESSES, *UNPRINTABLE])
def test_nothing_is_sent_to_an_address_that_must_not_be_fetched(fetch, wire, address: str) -> None:
    assert fetch(address.format(port=wire.port)) in REFUSED
    assert wire.targets == []


def test_nothing_is_sent_on_the_usual_ports_either(fetch, wire) -> None:
    forms = ("http://{}/", "https://{}/", "http://{}:443/")
    tried = [form.format(host) for host in HOSTS for form in forms]
    assert [address for address in tried if fetch(address) not in REFUSED] == []
    assert wire.targets == []


@pytest.fixture
def plain() -> Iterator[BlockingPortal]:
    """An event loop of asyncio."""
    with start_blocking_portal() as portal:
        yield portal


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_sent_where_a_name_leads_to_what_is_not_public(
    plain, wire, monkeypatch, name: str
) -> None:
    with downloads_ask(monkeypatch, NAMES[name]), downloading(plain) as fetch:
        for address in (f"http://{name}/", f"http://{name}:{wire.port}/", f"https://{name}:443/"):
            assert fetch(address) == "forbidden_address"
    assert wire.targets == []


def test_localhost_by_the_real_names_of_this_machine_is_not_fetched(fetch, wire) -> None:
    assert fetch(f"http://localhost:{wire.port}/") == "forbidden_address"
    assert wire.targets == []


@pytest.mark.parametrize("second", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254"])
def test_a_name_that_answers_otherwise_the_second_time_gains_nothing(
    plain, wire, monkeypatch, second: str
) -> None:
    address = f"http://rebinding.example:{wire.port}/"
    with downloads_ask(monkeypatch, [UNUSED], [second]) as names:
        with downloading(plain) as fetch:
            assert fetch(address) in {"connection_failed", "timeout"}
        assert sorted(names.asked) == ["rebinding.example", "rebinding.example/6"]
        with downloading(plain) as fetch:
            assert fetch(address) == "forbidden_address"
    assert {target[0] for target in wire.targets} == {UNUSED}


def test_proxies_of_the_environment_are_not_asked(plain, wire, monkeypatch) -> None:
    for scheme in ("http", "https", "all", "socks"):
        for variable in (f"{scheme}_proxy", f"{scheme.upper()}_PROXY"):
            monkeypatch.setenv(variable, f"http://127.0.0.1:{wire.port}")
    monkeypatch.setenv("NO_PROXY", "")
    with downloads_ask(monkeypatch, [UNUSED]), downloading(plain) as fetch:
        for address in ("http://shop.example/", "https://shop.example/"):
            assert fetch(address) in {"connection_failed", "timeout"}
    assert {target[0] for target in wire.targets} == {UNUSED}


Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Server:
    """A picture server on loopback, listed as allowed, that answers byte for byte as told."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.port = 0

    def serve(self, path: str, answer: Answer | bytes) -> str:
        """Have `path` answered, by bytes or by what writes them; gives its address."""

        async def fixed(writer: asyncio.StreamWriter) -> None:
            writer.write(answer)

        self.answers[path] = fixed if isinstance(answer, bytes) else answer
        return f"http://127.0.0.1:{self.port}{path}"

    def redirect(self, path: str, target: str, status: int = 302) -> str:
        head = f"HTTP/1.1 {status} Elsewhere\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n"
        return self.serve(path, head.encode())

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError), closing(writer):
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split()[1].decode()
            missing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
            if path in self.answers:
                await self.answers[path](writer)
            else:
                writer.write(missing)
            await writer.drain()


@pytest.fixture
def server(plain: BlockingPortal) -> Iterator[Server]:
    server = Server()

    @asynccontextmanager
    async def listening() -> AsyncIterator[None]:
        async with await asyncio.start_server(server.handle, "127.0.0.1", 0) as listener:
            server.port = listener.sockets[0].getsockname()[1]
            yield

    with plain.wrap_async_context_manager(listening()):
        yield server


@pytest.fixture
def fetch_listed(plain: BlockingPortal, server: Server) -> Iterator[Callable[[str], str]]:
    with downloading(plain, f"127.0.0.1:{server.port}", limits=PATIENT) as fetch:
        yield fetch


def test_no_redirect_leads_to_an_address_that_must_not_be_fetched(
    server, fetch_listed, wire
) -> None:
    for address in ADDRESSES:
        found = fetch_listed(server.redirect("/mug.png", address.format(port=wire.port)))
        # What names no host is a path on this very server, which has no such page.
        assert found in {*REFUSED, "http_404"}, address
    assert set(wire.targets) == {("127.0.0.1", server.port)}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("hops", [1, 3, 5])
def test_no_chain_of_redirects_leads_there_either(
    server, fetch_listed, wire, status: int, hops: int
) -> None:
    for target in ("http://127.0.0.1:{}/", "//127.0.0.1:{}/", "http://me@127.0.0.1:{}/"):
        server.redirect("/1", target.format(wire.port), status)
        for hop in range(2, hops + 1):
            server.redirect(f"/{hop}", f"/{hop - 1}", status)
        assert fetch_listed(f"http://127.0.0.1:{server.port}/{hops}") in REFUSED
    assert set(wire.targets) == {("127.0.0.1", server.port)}


def test_a_name_that_turns_between_redirects_gains_nothing(
    plain, server, wire, monkeypatch
) -> None:
    listed = f"127.0.0.1:{server.port}"
    address = server.redirect("/mug.png", f"http://rebinding.example:{wire.port}/")
    with (
        downloads_ask(monkeypatch, ["127.0.0.1"]),
        downloading(plain, listed, limits=PATIENT) as fetch,
    ):
        assert fetch(address) == "forbidden_address"
    assert set(wire.targets) == {("127.0.0.1", server.port)}


OK = b"HTTP/1.1 200 OK\r\n"


def endless(head: bytes, piece: bytes) -> Answer:
    """An answer that never ends, as fast as it is read."""

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while not writer.transport.is_closing():
            writer.write(piece)
            await writer.drain()

    return write


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNK = b"10000\r\n" + bytes(0x10000) + b"\r\n"
LARGE = {
    "a length": (OK + b"Content-Length: 100001\r\n\r\n", "too_large"),
    "a length beyond reason": (
        OK + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n",
        "connection_failed",
    ),
    "no length": (endless(OK + b"\r\n", bytes(65_536)), "too_large"),
    "chunks": (endless(CHUNKED, CHUNK), "too_large"),
    "one huge chunk": (endless(CHUNKED + b"ffffffffff\r\n", bytes(65_536)), "too_large"),
    "gzip": (
        OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(bytes(50_000_000)),
        "too_large",
    ),
    "deflate": (
        OK + b"Content-Encoding: deflate\r\n\r\n" + zlib.compress(bytes(50_000_000)),
        "too_large",
    ),
    "an endless header": (endless(OK + b"X: ", b"x" * 65_536), "connection_failed"),
    "endless headers": (endless(OK, b"X: x\r\n" * 1000), "connection_failed"),
    "an endless first line": (endless(b"HTTP/1.1 200 ", b"K" * 65_536), "connection_failed"),
    "endless chunk extensions": (endless(CHUNKED + b"1;", b"x" * 65_536), "timeout"),
    "endless interim answers": (endless(b"", b"HTTP/1.1 102 Processing\r\n\r\n"), "timeout"),
    "an endless redirect": (
        endless(b"HTTP/1.1 302 Found\r\nLocation: /picture\r\n\r\n", bytes(65_536)),
        "http_404",
    ),
    "an endless error": (endless(b"HTTP/1.1 500 Oops\r\n\r\n", bytes(65_536)), "http_500"),
}


@pytest.mark.parametrize("form", LARGE)
def test_an_answer_of_any_length_costs_little_memory(plain, server, form: str) -> None:
    answer, kind = LARGE[form]
    address = server.serve("/large.png", answer)
    limits = QUICK if kind == "timeout" else PATIENT
    with downloading(plain, f"127.0.0.1:{server.port}", limits=limits) as fetch, traced() as peak:
        assert fetch(address) == kind
        assert peak() < 16_000_000


@contextmanager
def traced() -> Iterator[Callable[[], int]]:
    """What gives the most bytes that Python has had at a time since then."""
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
