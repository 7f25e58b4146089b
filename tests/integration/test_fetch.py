"""Fetching pictures over real HTTP on loopback: what is fetched, refused, and what fails."""

import asyncio
import base64
import gzip
import io
import socket
import ssl
import sys
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from aiohttp import web
from anyio.from_thread import BlockingPortal, start_blocking_portal
from PIL import Image

from shelfsight import __version__
from shelfsight.images import fetch as fetch_module
from shelfsight.images.decode import decode
from shelfsight.images.decoder.pool import DecoderPool
from shelfsight.images.download import FetchLimits
from shelfsight.images.fetch import FetchConfig, PictureFetcher
from shelfsight.images.resize import resize
from shelfsight.records import (
    Failure,
    FetchedProduct,
    KnownPicture,
    Need,
    Picture,
    PictureFile,
    PictureFormat,
    Product,
    Stage,
)
from tests.integration.name_server import downloads_ask

FORMAT = PictureFormat(side=16, resample="bicubic")
PATIENT = FetchLimits(connect=60, read=60, total=120, probe=60, retry_pause=0, max_bytes=100_000)
"""For hosts that answer: a busy machine may take its time."""

BROKEN = Failure(stage=Stage.IMAGE, kind="server_422", message="too dark")

# For localhost and 127.0.0.1, signed by itself, made for these tests and used nowhere else.
CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgMobuW3faOgkKmKgq
nyGBwxeiKlqCO4vGYUtHK6cRd/+hRANCAASJT6+sLB8TkQVxI97veF9cjTjavBEK
PLM4wuJ+l0GauYpQ29WY7ViIK0DVgnkrMfQg1RcLSSJrOqOkG7+2SiHM
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBeDCCAR6gAwIBAgIUa78tgovXc0xTYammF38VvIxOmE4wCgYIKoZIzj0EAwIw
EzERMA8GA1UEAwwIbG9vcGJhY2swIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEw
MDAwMDBaMBMxETAPBgNVBAMMCGxvb3BiYWNrMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEiU+vrCwfE5EFcSPe73hfXI042rwRCjyzOMLifpdBmrmKUNvVmO1YiCtA
1YJ5KzH0INUXC0kiazqjpBu/tkohzKNOMEwwHQYDVR0OBBYEFMoiF7fkRqlLxZZL
bVdV029xiPoRMA8GA1UdEwEB/wQFMAMBAf8wGgYDVR0RBBMwEYIJbG9jYWxob3N0
hwR/AAABMAoGCCqGSM49BAMCA0gAMEUCIG5Esuz/J9Jt2anjXsjkmmwcL6gZeq46
iPi3Wi6m9M7CAiEA+M5p5G4xV4l0TtyDcHsJAYaPNCjevoE5U7FJ2jUhu4o=
-----END CERTIFICATE-----
"""


def picture(colour: str = "red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(file, "PNG")
    return file.getvalue()


PNG = picture()


class Site:
    """A shop's picture server on loopback that answers as each test says, and counts."""

    def __init__(self) -> None:
        self.hits: Counter[str] = Counter()
        self.requests: list[web.Request] = []
        self.peers: set[object] = set()
        self.connections = 0
        self.busy = 0
        self.busiest = 0
        self.pages: dict[str, Callable] = {}
        self.address = ""

    def page(self, path: str, *, body: bytes = b"", status: int = 200, **headers: str) -> str:
        """Serve one fixed response; returns its address."""

        async def answer(_: web.Request) -> web.Response:
            fields = {name.replace("_", "-"): value for name, value in headers.items()}
            return web.Response(body=body, status=status, headers=fields)

        return self.serve(path, answer)

    def serve(self, path: str, handler: Callable) -> str:
        self.pages[path] = handler
        return f"{self.address}{path}"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.hits[request.path] += 1
        self.requests.append(request)
        self.peers.add(request.transport.get_extra_info("peername"))
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        try:
            return await self.pages[request.path](request)
        finally:
            self.busy -= 1


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as closing:
        yield closing


@pytest.fixture
def portal(closing: ExitStack) -> BlockingPortal:
    return closing.enter_context(start_blocking_portal())


def started(portal, closing: ExitStack, **listen) -> Site:
    site = Site()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", site.handle)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True)

    async def start() -> int:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, **listen).start()
        return runner.addresses[0][1]

    port = portal.call(start)
    closing.callback(portal.call, runner.cleanup)
    site.address = f"{'https' if listen else 'http'}://127.0.0.1:{port}"
    return site


@pytest.fixture
def site(portal, closing: ExitStack) -> Site:
    return started(portal, closing)


@pytest.fixture
def make_fetcher(closing: ExitStack, decoders: DecoderPool) -> Callable[..., PictureFetcher]:
    def make(limits: FetchLimits = PATIENT, **config) -> PictureFetcher:
        config.setdefault("private_hosts", frozenset({"127.0.0.1"}))
        fetcher = PictureFetcher(FORMAT, decoders, FetchConfig(**config), limits)
        closing.callback(fetcher.close)
        return fetcher

    return make


@pytest.fixture
def fetcher(make_fetcher) -> PictureFetcher:
    return make_fetcher()


@pytest.fixture
def connects() -> Iterator[list]:
    """Records every address that a socket of this process connects to, by audit events."""
    seen: list = []
    _watchers.append(seen)
    yield seen
    _watchers.remove(seen)


_watchers: list[list] = []


def _watch(event: str, arguments: tuple) -> None:
    if event == "socket.connect":
        for seen in _watchers:
            seen.append(arguments[1])


sys.addaudithook(_watch)


def get(fetcher: PictureFetcher, *urls: str) -> FetchedProduct:
    [fetched] = fetcher.fetch([Product(id="1", image_urls=urls)])
    return fetched


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for threads that still hold what they have just returned."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def failure(fetcher: PictureFetcher, url: str) -> Failure:
    fetched = get(fetcher, url)
    assert fetched.pictures == ()
    [found] = fetched.failures
    assert "\n" not in found.message
    return found


def kind(fetcher: PictureFetcher, url: str) -> str:
    return failure(fetcher, url).kind


def test_a_picture_comes_decoded_and_resized(fetcher, site) -> None:
    url = site.page("/mug.png", body=PNG, Content_Type="image/png")
    [found] = get(fetcher, url).pictures
    assert found.file.url == url
    assert found.file.content_hash == sha256(PNG).hexdigest()
    assert np.array_equal(found.pixels, resize(decode(PNG), FORMAT))
    assert site.requests[0].headers["User-Agent"] == f"shelfsight/{__version__}"
    assert site.requests[0].headers["Host"] == site.address.removeprefix("http://")


def test_products_keep_their_order_and_those_without_pictures_pass(make_fetcher, site) -> None:
    fetcher = make_fetcher(images_per_product=2)
    red, blue = (site.page(f"/{name}.png", body=picture(name)) for name in ("red", "blue"))
    gone = site.page("/gone.png", status=404)
    page = [
        Product(id="1"),
        Product(id="2", image_urls=(blue, red, gone)),
        Product(id="3", image_urls=(gone, red, blue)),
    ]
    first, second, third = fetcher.fetch(page)
    assert first == FetchedProduct(product=page[0])
    assert [found.file.url for found in second.pictures] == [blue, red]
    assert second.failures == ()
    assert [found.file.url for found in third.pictures] == [red]
    assert [found.kind for found in third.failures] == ["http_404"]
    assert third.pictures[0] is second.pictures[1]


def test_of_a_product_whose_image_is_not_needed_nothing_is_fetched(fetcher, site) -> None:
    mug, cap = (site.page(f"/{name}.png", body=PNG) for name in ("mug", "cap"))
    kept = Product(id="1", image_urls=(mug,), image_need=Need.KEEP)
    first, second = fetcher.fetch([kept, Product(id="2", image_urls=(cap,))])
    assert first == FetchedProduct(product=kept)
    assert len(second.pictures) == 1
    assert site.hits == {"/cap.png": 1}


def test_an_address_is_fetched_once_in_a_run_whatever_comes_of_it(fetcher, site) -> None:
    good, bad = site.page("/mug.png", body=PNG), site.page("/gone.png", status=404)
    page = [Product(id=str(n), image_urls=(good if n % 2 else bad,)) for n in range(20)]
    results = fetcher.fetch(page) + fetcher.fetch(page)
    assert site.hits == {"/mug.png": 1, "/gone.png": 1}
    assert len({id(found) for fetched in results for found in fetched.pictures}) == 1
    assert len([found for fetched in results for found in fetched.failures]) == 20


def broken(file: PictureFile) -> KnownPicture:
    return KnownPicture(file=file, result=BROKEN, color=np.zeros(256, np.float32))


def test_only_so_many_addresses_are_remembered(make_fetcher, site, monkeypatch) -> None:
    monkeypatch.setattr(fetch_module, "CACHED_ADDRESSES", 2)
    fetcher = make_fetcher(known_picture=broken)
    urls = [site.page(f"/{n}.png", body=PNG) for n in range(3)]
    for n in (0, 1, 0, 2, 0, 1):
        assert get(fetcher, urls[n]).pictures
    assert site.hits == {"/0.png": 1, "/1.png": 2, "/2.png": 1}


def test_a_picture_that_no_page_holds_is_known_by_its_result_or_fetched_again(
    make_fetcher, site
) -> None:
    known_hashes: set[str] = set()
    fetcher = make_fetcher(
        known_picture=lambda file: broken(file) if file.content_hash in known_hashes else None
    )
    url = site.page("/mug.png", body=PNG)
    [held] = get(fetcher, url).pictures
    [same] = get(fetcher, url).pictures
    assert same is held
    pixels = weakref.ref(held.pixels)
    del held, same
    wait_until(lambda: pixels() is None)
    [again] = get(fetcher, url).pictures
    assert isinstance(again, Picture)
    assert site.hits == {"/mug.png": 2}
    known_hashes.add(again.file.content_hash)
    pixels = weakref.ref(again.pixels)
    del again
    wait_until(lambda: pixels() is None)
    [known] = get(fetcher, url).pictures
    [copy] = get(fetcher, site.page("/copy.png", body=PNG)).pictures
    assert (known.result, copy.result) == (BROKEN, BROKEN)
    assert copy.file.url.endswith("/copy.png")
    assert site.hits == {"/mug.png": 2, "/copy.png": 1}


@pytest.mark.parametrize(
    ("status", "retryable"), [(403, False), (404, False), (410, False), (429, True), (500, True)]
)
def test_a_status_is_a_failure_at_once(fetcher, site, status: int, retryable: bool) -> None:
    found = failure(fetcher, site.page("/mug.png", status=status, body=PNG))
    assert (found.kind, found.retryable) == (f"http_{status}", retryable)
    assert str(status) in found.message
    assert site.hits["/mug.png"] == 1


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_server_between_two_restarts_is_asked_once_more(fetcher, site, status: int) -> None:
    async def second_time(_: web.Request) -> web.Response:
        ready = site.hits["/mug.png"] > 1
        return web.Response(body=PNG) if ready else web.Response(status=status)

    assert get(fetcher, site.serve("/mug.png", second_time)).pictures
    assert kind(fetcher, site.page("/never.png", status=status)) == f"http_{status}"
    assert site.hits == {"/mug.png": 2, "/never.png": 2}


def broken_off(request: web.Request) -> None:
    request.transport.abort()


async def half(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": str(len(PNG))})
    await response.prepare(request)
    await response.write(PNG[:20])
    broken_off(request)
    return response


def test_a_reset_in_the_middle_is_tried_once_more_and_then_a_failure(fetcher, site) -> None:
    async def second_time(request: web.Request) -> web.StreamResponse:
        return await half(request) if site.hits["/mug.png"] == 1 else web.Response(body=PNG)

    assert get(fetcher, site.serve("/mug.png", second_time)).pictures
    found = failure(fetcher, site.serve("/never.png", half))
    assert (found.kind, found.retryable) == ("connection_failed", True)
    assert site.hits == {"/mug.png": 2, "/never.png": 2}


def test_a_refused_connection_is_a_failure_at_once(fetcher, connects) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        found = failure(fetcher, f"http://127.0.0.1:{port}/mug.png")
    assert (found.kind, found.retryable) == ("connection_failed", True)
    assert "refused" in found.message
    assert connects == [("127.0.0.1", port)]


def test_a_server_that_does_not_speak_http_is_a_failure(fetcher) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"220 mail.example ready\r\n")

        with ThreadPoolExecutor(1) as pool:
            pool.submit(greet)
            port = server.getsockname()[1]
            found = failure(fetcher, f"http://127.0.0.1:{port}/mug.png?token=secret")
    assert found.kind == "connection_failed"
    assert "secret" not in found.message


def test_a_name_that_nobody_has_is_unresolvable(make_fetcher, monkeypatch) -> None:
    with downloads_ask(monkeypatch, []):
        found = failure(make_fetcher(), "http://shop.example/mug.png")
    assert (found.kind, found.retryable) == ("unresolvable", True)


async def never(_: web.Request) -> web.Response:
    await asyncio.Event().wait()
    return web.Response()


async def dripping(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b".")
        await asyncio.sleep(0.02)


def test_a_server_that_is_silent_or_only_drips_is_given_up(make_fetcher, site) -> None:
    fetcher = make_fetcher(FetchLimits(read=0.1, total=0.3, probe=0.3))
    for found in (
        failure(fetcher, site.serve("/silent.png", never)),
        failure(fetcher, site.serve("/dripping.png", dripping)),
    ):
        assert (found.kind, found.retryable) == ("timeout", True)


def test_what_is_too_large_is_given_up_by_its_announcement_or_on_the_way(fetcher, site) -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(bytes(10_000))
            sent += 10_000

    async def announced(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100001"})
        await response.prepare(request)
        return await never(request)

    assert kind(fetcher, site.serve("/announced.png", announced)) == "too_large"
    assert kind(fetcher, site.serve("/endless.png", endless)) == "too_large"
    assert sent < 50_000_000


def test_bytes_are_counted_as_they_are_after_unpacking(fetcher, site) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    url = site.page("/bomb.png", body=bomb, Content_Encoding="gzip")
    assert len(bomb) < PATIENT.max_bytes
    assert kind(fetcher, url) == "too_large"
    packed = site.page("/mug.png", body=gzip.compress(PNG), Content_Encoding="gzip")
    assert get(fetcher, packed).pictures
    false = site.page("/false.png", body=PNG, Content_Encoding="gzip")
    assert kind(fetcher, false) == "connection_failed"


def test_the_bytes_decide_what_a_picture_is(fetcher, site) -> None:
    wrong = site.page("/mug", body=PNG, Content_Type="text/html")
    assert get(fetcher, wrong).pictures
    html = site.page("/html.png", body=b"<!DOCTYPE html><p>Gone", Content_Type="image/png")
    assert kind(fetcher, html) == "not_an_image"
    assert kind(fetcher, site.page("/cut.png", body=PNG[:-30])) == "broken_image"
    assert kind(fetcher, site.page("/empty.png")) == "empty"


def test_five_redirects_are_followed_and_not_six(fetcher, site) -> None:
    site.page("/0", body=PNG)
    for n in range(1, 7):
        site.page(f"/{n}", status=302, Location=f"/{n - 1}")
    assert get(fetcher, f"{site.address}/5").pictures
    assert kind(fetcher, f"{site.address}/6") == "too_many_redirects"
    loop = site.page("/loop", status=301, Location="/loop")
    assert kind(fetcher, loop) == "too_many_redirects"
    assert site.hits["/loop"] == 6


def needs_cookie(request: web.Request) -> web.Response:
    """Redirect to itself with a cookie, until the cookie comes back."""
    if request.cookies.get("seen") == "1":
        return web.Response(body=PNG)
    return web.Response(status=302, headers={"Location": request.path, "Set-Cookie": "seen=1"})


def test_cookies_come_back_within_one_chain_of_redirects_and_are_then_forgotten(
    fetcher, site
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return needs_cookie(request)

    for path in ("/a.png", "/b.png"):
        assert get(fetcher, site.serve(path, answer)).pictures
        assert site.hits[path] == 2


def test_a_cookie_goes_to_no_other_host(make_fetcher, site) -> None:
    port = site.address.rpartition(":")[2]
    fetcher = make_fetcher(private_hosts=frozenset({"127.0.0.1", "localhost"}))
    there = f"http://localhost:{port}/there.png"
    site.page("/here.png", status=302, Location=there, Set_Cookie="seen=1")
    site.page("/there.png", body=PNG)
    assert get(fetcher, f"{site.address}/here.png").pictures
    assert "Cookie" not in site.requests[-1].headers


def test_an_answer_that_a_proxy_has_changed_is_read(fetcher, site) -> None:
    assert get(fetcher, site.page("/mug.png", body=PNG, status=203)).pictures


def test_blanks_inside_an_address_are_kept(fetcher, site) -> None:
    site.page("/my red mug.png", body=PNG)
    assert get(fetcher, f" {site.address}/my red mug.png ").pictures
    assert site.requests[-1].raw_path == "/my%20red%20mug.png"


def test_a_server_is_told_which_formats_are_read(fetcher, site) -> None:
    get(fetcher, site.page("/mug.png", body=PNG))
    accepted = site.requests[-1].headers["Accept"]
    for media in ("jpeg", "png", "webp", "gif", "bmp", "tiff", "avif", "heic"):
        assert f"image/{media}" in accepted


def test_a_truncated_picture_is_read_and_named(make_fetcher, site) -> None:
    notices: list[str] = []
    fetcher = make_fetcher(notify=notices.append)
    file = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(file, "JPEG")
    url = site.page("/cut.jpg", body=file.getvalue()[:-1])
    assert get(fetcher, url, site.page("/mug.png", body=PNG)).pictures
    assert notices == [f"{url} is truncated, and was read without its last bytes"]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("http://127.0.0.2:{port}/secret", "forbidden_address"),
        ("http://localhost:{port}/secret", "forbidden_address"),
        ("http://169.254.169.254/latest/meta-data", "forbidden_address"),
        ("file:///etc/passwd", "bad_address"),
        ("//user:secret@127.0.0.1:{port}/secret", "bad_address"),
        ("http://[::1", "bad_address"),
    ],
)
def test_a_redirect_to_where_nothing_may_be_fetched_is_refused(
    make_fetcher, site, connects, target: str, expected: str
) -> None:
    host = site.address.removeprefix("http://")
    fetcher = make_fetcher(private_hosts=frozenset({host}))
    site.page("/secret", body=PNG)
    target = target.format(port=host.partition(":")[2])
    found = failure(fetcher, site.page("/mug.png", status=302, Location=target))
    assert found.kind == expected
    assert site.hits == {"/mug.png": 1}
    assert {address[0] for address in connects} == {"127.0.0.1"}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::1]"])
def test_loopback_is_refused_unless_allowed_and_nothing_is_connected(
    make_fetcher, connects, host: str
) -> None:
    fetcher = make_fetcher(private_hosts=frozenset())
    found = failure(fetcher, f"http://{host}/mug.png")
    assert (found.kind, found.retryable) == ("forbidden_address", False)
    assert "ALLOW_PRIVATE_IMAGES" in found.message
    assert connects == []


UNUSED = "2e00::1"  # global unicast by its number, but given to nobody


def test_a_name_that_turns_from_public_to_loopback_gains_nothing(
    make_fetcher, connects, monkeypatch
) -> None:
    with downloads_ask(monkeypatch, [UNUSED], ["127.0.0.1"]) as names:
        fetcher = make_fetcher(replace(PATIENT, connect=0.5), private_hosts=frozenset())
        found = kind(fetcher, "http://rebinding.example/mug.png")
    assert found in {"connection_failed", "timeout"}
    assert sorted(names.asked) == ["rebinding.example", "rebinding.example/6"]
    assert {address[0] for address in connects} == {UNUSED}


@pytest.mark.parametrize("answer", [["127.0.0.1"], [UNUSED, "10.0.0.1"], ["fd00::1", UNUSED]])
def test_a_name_with_any_private_address_is_refused(
    make_fetcher, connects, monkeypatch, answer: list[str]
) -> None:
    urls = [f"http://shop.example/{n}.png" for n in range(5)]
    with downloads_ask(monkeypatch, answer):
        fetcher = make_fetcher(private_hosts=frozenset())
        found = fetcher.fetch([Product(id=url, image_urls=(url,)) for url in urls])
    assert [fetched.failures[0].kind for fetched in found] == ["forbidden_address"] * 5
    assert connects == []


def test_proxy_variables_are_ignored(fetcher, site, monkeypatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert get(fetcher, site.page("/mug.png", body=PNG)).pictures


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    path = tmp_path / "certificate.pem"
    path.write_text(CERTIFICATE)
    return path


@pytest.fixture
def secure_site(portal, closing: ExitStack, certificate: Path) -> Site:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return started(portal, closing, ssl_context=context)


def test_a_certificate_that_is_not_trusted_is_a_failure(fetcher, secure_site) -> None:
    found = failure(fetcher, secure_site.page("/mug.png", body=PNG))
    assert (found.kind, found.retryable) == ("tls_failed", False)
    assert "certificate" in found.message
    assert secure_site.hits == {}


def test_a_picture_comes_over_tls(make_fetcher, secure_site, certificate, monkeypatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert get(make_fetcher(), secure_site.page("/mug.png", body=PNG)).pictures


def test_a_server_without_tls_is_a_failure(fetcher, site) -> None:
    url = site.page("/mug.png", body=PNG).replace("http:", "https:")
    assert kind(fetcher, url) == "tls_failed"


def test_many_are_fetched_at_once_but_no_more_than_the_limit_of_a_host(make_fetcher, site) -> None:
    full = asyncio.Event()
    fetcher = make_fetcher(replace(PATIENT, per_host=3))

    async def wait_for_others(_: web.Request) -> web.Response:
        if site.busy == 3:
            full.set()
        await asyncio.wait_for(full.wait(), 30)
        return web.Response(body=PNG)

    urls = [site.serve(f"/{n}.png", wait_for_others) for n in range(24)]
    found = fetcher.fetch([Product(id=url, image_urls=(url,)) for url in urls])
    assert all(fetched.pictures for fetched in found)
    assert site.busiest == 3
    assert len(site.peers) == 3


def test_a_slow_host_does_not_hold_up_the_others(make_fetcher, portal, closing, site) -> None:
    fetcher = make_fetcher(FetchLimits(concurrency=10))
    other = started(portal, closing)
    served = threading.Event()
    release = asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        await release.wait()
        return web.Response(body=PNG)

    async def last(_: web.Request) -> web.Response:
        served.set()
        release.set()
        return web.Response(body=PNG)

    urls = [site.serve(f"/{n}.png", slow) for n in range(30)] + [other.serve("/mug.png", last)]
    found = fetcher.fetch([Product(id=url, image_urls=(url,)) for url in urls])
    assert served.is_set()
    assert all(fetched.pictures for fetched in found)


def test_closing_breaks_off_what_is_under_way_and_may_be_done_twice(make_fetcher, site) -> None:
    fetcher = make_fetcher(FetchLimits())
    asked = threading.Event()

    async def ask(request: web.Request) -> web.Response:
        asked.set()
        return await never(request)

    url = site.serve("/mug.png", ask)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(get, fetcher, url)
        assert asked.wait(10)
        fetcher.close()
        with pytest.raises(CancelledError):
            waiting.result(10)
    fetcher.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "pictures"]
    with pytest.raises(CancelledError):
        get(fetcher, url)


def test_closing_breaks_off_a_page_whose_thread_has_only_just_begun_it(
    make_fetcher, site, monkeypatch
) -> None:
    fetcher = make_fetcher(FetchLimits())
    asked, broken_off = threading.Event(), threading.Event()

    async def ask(request: web.Request) -> web.Response:
        asked.set()
        try:
            return await never(request)
        finally:
            broken_off.set()

    url = site.serve("/mug.png", ask)
    begin = BlockingPortal.start_task_soon

    def held_up(portal: BlockingPortal, *task) -> Future:
        """Return late in the thread that fetches: once closing has done what it does without it."""
        future = begin(portal, *task)
        if threading.current_thread().name.startswith("fetches"):
            assert asked.wait(10)
            broken_off.wait(0.5)
        return future

    monkeypatch.setattr(BlockingPortal, "start_task_soon", held_up)
    with ThreadPoolExecutor(1, thread_name_prefix="fetches") as pool:
        waiting = pool.submit(get, fetcher, url)
        assert asked.wait(10)
        fetcher.close()
        with pytest.raises(CancelledError):
            waiting.result(10)


def test_a_bug_is_raised_as_it_is(fetcher, site, monkeypatch) -> None:
    def hash_badly(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(fetch_module, "sha256", hash_badly)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        get(fetcher, site.page("/mug.png", body=PNG))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "pictures"
    (root / "mugs").mkdir(parents=True)
    (root / "mugs" / "red mug.png").write_bytes(PNG)
    (root / "100%.png").write_bytes(PNG)
    (root / "notes.txt").write_text("no picture")
    (tmp_path / "secret.png").write_bytes(PNG)
    (root / "out.png").symlink_to(tmp_path / "secret.png")
    (root / "in.png").symlink_to(root / "100%.png")
    (root / "circle.png").symlink_to(root / "circle.png")
    return root


@pytest.mark.parametrize(
    "path",
    [
        "mugs/red mug.png",
        "./mugs/../100%.png",
        "in.png",
        "{root}/100%.png",
        "file:mugs/red%20mug.png",
        "file://{root}/mugs/red%20mug.png",
        "FILE://localhost{root}/mugs/red%20mug.png",
    ],
)
def test_a_path_below_the_folder_is_read(make_fetcher, folder: Path, path: str) -> None:
    [found] = get(make_fetcher(image_root=folder), path.format(root=folder)).pictures
    assert isinstance(found, Picture)
    assert found.file.content_hash == sha256(PNG).hexdigest()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("../secret.png", "forbidden_path"),
        ("mugs/../../secret.png", "forbidden_path"),
        ("out.png", "forbidden_path"),
        ("/etc/passwd", "forbidden_path"),
        ("file:///etc/passwd", "forbidden_path"),
        ("file:%2e%2e/secret.png", "forbidden_path"),
        ("file://server/mugs/red%20mug.png", "bad_address"),
        ("mugs/blue mug.png", "file_not_found"),
        ("mugs", "file_not_found"),
        ("notes.txt/mug.png", "file_not_found"),
        ("circle.png", "file_unreadable"),
        ("m" * 5000, "file_unreadable"),
        ("nul\0.png", "bad_address"),
        ("notes.txt", "not_an_image"),
        ("data:image/png;base64,iVBORw0KGgo=", "broken_image"),
        ("data:image/png;base64,iVBORw0KGgo", "bad_address"),
        ("data:image/png,%89PNG", "bad_address"),
    ],
)
def test_another_path_is_a_failure(make_fetcher, folder: Path, path: str, expected: str) -> None:
    assert kind(make_fetcher(image_root=folder), path) == expected


def test_without_a_folder_a_path_is_refused_and_the_setting_named(fetcher) -> None:
    found = failure(fetcher, "mugs/red.png")
    assert found.kind == "bad_address"
    assert "IMAGE_ROOT" in found.message


def test_a_failure_says_which_address_without_its_secrets(fetcher, site) -> None:
    url = site.page("/gone.png", status=404)
    found = failure(fetcher, f"{url}?token=secret")
    assert found.message == f"{url}: the server says 404 Not Found"


def test_a_server_cannot_write_into_the_message(fetcher, site) -> None:
    async def shout(_: web.Request) -> web.Response:
        return web.Response(status=404, reason="Buy our mugs instead")

    url = site.serve("/gone.png", shout)
    assert failure(fetcher, url).message == f"{url}: the server says 404 Not Found"


def refetch(fetcher: PictureFetcher, *files: PictureFile) -> FetchedProduct:
    """Ask again for the pictures of a stored image that is made of these files."""
    urls = tuple(file.url for file in files)
    [fetched] = fetcher.fetch(
        [Product(id="1", image_urls=urls, image_need=Need.CHECK, files=files)]
    )
    return fetched


def seen(fetcher: PictureFetcher, url: str) -> PictureFile:
    """The file of a picture, as a first run stores it."""
    [found] = get(fetcher, url).pictures
    return found.file


@pytest.fixture
def again(make_fetcher) -> Callable[[], PictureFetcher]:
    """Makes the fetcher of another run, with an empty cache."""
    return lambda: make_fetcher(images_per_product=2)


def versioned(site: Site, path: str, bodies: list[bytes], **validators: str) -> str:
    """Serve the last of `bodies` as a server with ETags does; `{}` is its number in validators."""

    async def answer(request: web.Request) -> web.Response:
        headers = {
            name.replace("_", "-"): value.format(len(bodies)) for name, value in validators.items()
        }
        asked = {
            "ETag": request.headers.get("If-None-Match"),
            "Last-Modified": request.headers.get("If-Modified-Since"),
        }
        is_same = any(value and asked.get(name) == value for name, value in headers.items())
        if is_same:
            return web.Response(status=304, headers=headers)
        return web.Response(body=bodies[-1], headers=headers)

    return site.serve(path, answer)


@pytest.mark.parametrize(
    ("validators", "condition"),
    [
        ({"ETag": '"v{}"', "Last_Modified": "Sun, 22 Nov 2026 10:00:0{} GMT"}, "If-None-Match"),
        ({"ETag": 'W/"v{}"'}, "If-None-Match"),
        ({"Last_Modified": "Sun, 22 Nov 2026 10:00:0{} GMT"}, "If-Modified-Since"),
    ],
)
def test_a_server_is_asked_for_another_file_only_and_sends_it_if_there_is_one(
    again, site, validators: dict[str, str], condition: str
) -> None:
    bodies = [PNG]
    url = versioned(site, "/mug.png", bodies, **validators)
    file = seen(again(), url)
    kept = refetch(again(), file)
    assert (kept.product.image_need, kept.kept, kept.pictures) == (Need.KEEP, (file,), ())
    sent = {name for name in site.requests[-1].headers if name.startswith("If-")}
    assert sent == {condition}
    bodies.append(picture("blue"))
    changed = refetch(again(), file)
    assert changed.product.image_need is Need.MAKE
    assert [found.file.content_hash for found in changed.pictures] == [
        sha256(bodies[1]).hexdigest()
    ]
    [now] = [found.file for found in changed.pictures]
    assert refetch(again(), now).kept == (now,)


def test_where_the_server_says_nothing_of_its_files_their_content_decides(again, site) -> None:
    url = site.page("/mug.png", body=PNG)
    file = seen(again(), url)
    assert (file.etag, file.last_modified) == (None, None)
    assert refetch(again(), file).kept == (file,)
    site.page("/mug.png", body=picture("blue"))
    assert len(refetch(again(), file).pictures) == 1


def test_the_same_content_under_a_new_etag_is_no_change_and_its_etag_is_kept(again, site) -> None:
    url = site.page("/mug.png", body=PNG, ETag='"1"')
    file = seen(again(), url)
    site.page("/mug.png", body=PNG, ETag='"2"')
    assert refetch(again(), file).kept == (replace(file, etag='"2"'),)


def test_an_unasked_304_is_a_failure_and_what_is_stored_stays(again, site) -> None:
    url = site.page("/mug.png", body=PNG)
    file = seen(again(), url)
    site.page("/mug.png", status=304)
    kept = refetch(again(), file)
    assert [found.kind for found in kept.failures] == ["http_304"]
    assert (kept.product.image_need, kept.kept) == (Need.KEEP, ())
    assert kind(again(), url) == "http_304"


def test_a_condition_goes_only_to_the_address_that_gave_the_validators(again, site) -> None:
    versioned(site, "/one", [PNG], ETag='"1"')
    versioned(site, "/two", [picture("blue")], ETag='"1"')
    url = site.page("/mug.png", status=302, Location="/one", ETag='"1"')
    file = seen(again(), url)
    assert file.source == f"{site.address}/one"
    assert refetch(again(), file).kept == (file,)
    assert "If-None-Match" not in site.requests[-2].headers
    site.page("/mug.png", status=302, Location="/two")
    assert len(refetch(again(), file).pictures) == 1
    assert "If-None-Match" not in site.requests[-1].headers


def test_validators_that_no_database_takes_are_not_kept(again, site) -> None:
    for value in ('"caf\xe9"', f'"{"x" * 600}"'):
        file = seen(again(), site.page("/mug.png", body=PNG, ETag=value))
        assert file.etag is None


@pytest.mark.parametrize("etag", ["*", " *", "*, *", 'W/"a", *'])
def test_a_validator_that_fits_every_file_is_not_asked_with(again, site, etag: str) -> None:
    """`If-None-Match: *` asks whether there is any file at all (RFC 9110, 13.1.2)."""
    bodies = [PNG]

    async def answer(request: web.Request) -> web.Response:
        asked = request.headers.get("If-None-Match", "")
        if "*" in asked:
            return web.Response(status=304)
        return web.Response(body=bodies[-1], headers={"ETag": etag})

    url = site.serve("/mug.png", answer)
    file = seen(again(), url)
    assert refetch(again(), file).kept == (file,)
    bodies.append(picture("blue"))
    assert len(refetch(again(), file).pictures) == 1


def test_headers_of_any_length_are_a_failure_and_what_is_stored_stays(again, site) -> None:
    url = site.page("/mug.png", body=PNG, ETag='"1"')
    file = seen(again(), url)
    site.page("/mug.png", body=PNG, ETag='"' + "x" * 100_000 + '"')
    kept = refetch(again(), file)
    assert (kept.product.image_need, kept.kept) == (Need.KEEP, ())
    assert [found.kind for found in kept.failures] == ["connection_failed"]


def test_a_redirect_to_where_nothing_may_be_fetched_is_refused_when_asked_again_too(
    again, site
) -> None:
    url = site.page("/mug.png", body=PNG, ETag='"1"')
    file = seen(again(), url)
    for target in ("http://169.254.169.254/latest", "http://user:word@127.0.0.1/", "file:///etc"):
        site.page("/mug.png", status=302, Location=target)
        moved = replace(file, source=target)
        for known in (file, moved):
            kept = refetch(again(), known)
            assert (kept.product.image_need, kept.kept) == (Need.KEEP, ())
            assert kept.failures[0].kind in {"forbidden_address", "bad_address"}


def test_where_one_picture_has_changed_all_of_that_product_are_read(again, site) -> None:
    bodies = [PNG]
    files = [
        seen(again(), versioned(site, path, bodies, ETag='"{}"')) for path in ("/a.png", "/b.png")
    ]
    versioned(site, "/b.png", [PNG], ETag='"{}"')
    bodies.append(picture("blue"))
    changed = refetch(again(), *files)
    assert [found.file.url for found in changed.pictures] == [file.url for file in files]
    assert all(isinstance(found, Picture) for found in changed.pictures)
    site.page("/b.png", status=500)
    lost = refetch(again(), *files)
    assert (lost.product.image_need, lost.pictures, len(lost.failures)) == (Need.KEEP, (), 1)


def test_products_that_share_an_address_ask_once_and_each_by_what_it_has(again, site) -> None:
    bodies = [PNG]
    url = versioned(site, "/mug.png", bodies, ETag='"{}"')
    old = seen(again(), url)
    bodies.append(picture("blue"))
    new = seen(again(), url)
    site.hits.clear()
    page = [
        Product(id=str(n), image_urls=(url,), image_need=Need.CHECK, files=(old if n else new,))
        for n in range(3)
    ]
    fetcher = again()
    first, *others = fetcher.fetch(page) + fetcher.fetch(page)
    assert first.kept == (new,)
    assert [len(other.pictures) for other in others] == [1, 1, 0, 1, 1]
    assert site.hits["/mug.png"] == 2  # once for what has changed, once to read it


def test_a_file_is_read_again_and_compared(make_fetcher, tmp_path: Path) -> None:
    path = tmp_path / "mug.png"
    path.write_bytes(PNG)
    file = seen(make_fetcher(image_root=tmp_path), "mug.png")
    assert refetch(make_fetcher(image_root=tmp_path), file).kept == (file,)
    path.write_bytes(picture("blue"))
    assert len(refetch(make_fetcher(image_root=tmp_path), file).pictures) == 1
    path.unlink()
    gone = refetch(make_fetcher(image_root=tmp_path), file)
    assert [found.kind for found in gone.failures] == ["file_not_found"]


def test_a_path_follows_the_base_url_and_whole_addresses_do_not(
    make_fetcher, site, folder: Path
) -> None:
    site.page("/media/mugs/red mug.png", body=picture("blue"))
    whole = site.page("/mug.png", body=PNG)
    fetcher = make_fetcher(
        image_root=folder, image_base_url=f"{site.address}/media/", images_per_product=4
    )
    urls = ("mugs/red mug.png", "/mugs/red%20mug.png", whole, "file:mugs/red%20mug.png")
    found = get(fetcher, *urls).pictures
    assert tuple(one.file.url for one in found) == urls
    hashes = [sha256(body).hexdigest() for body in (picture("blue"), PNG)]
    assert [hashes.index(one.file.content_hash) for one in found] == [0, 0, 1, 1]


def test_a_failure_below_the_base_url_names_the_whole_address_and_the_setting(
    make_fetcher, site
) -> None:
    site.page("/gone.png", status=404)
    fingerprints = {"image_base_url": "image_base_url=0123", "image_root": "image_root=4567"}
    base = make_fetcher(image_base_url=site.address, fingerprints=fingerprints)
    found = failure(base, "gone.png")
    host = site.address.removeprefix("http://")
    assert found.message.startswith(f"{site.address}/gone.png: ")
    assert (found.kind, found.host, found.settings) == ("http_404", host, "image_base_url=0123")
    assert failure(base, f"{site.address}/gone.png").settings == ""
    none = failure(make_fetcher(fingerprints=fingerprints), "gone.png")
    assert (none.kind, none.host) == ("bad_address", None)
    assert none.settings == "image_root=4567 image_base_url=0123"


def test_no_base_url_leads_to_a_private_address(make_fetcher, site, connects) -> None:
    fetcher = make_fetcher(image_base_url=site.address, private_hosts=frozenset())
    assert kind(fetcher, "mug.png") == "forbidden_address"
    assert kind(fetcher, "//127.0.0.1/mug.png") == "forbidden_address"
    assert connects == []


def test_a_presigner_behind_the_base_url_may_redirect(make_fetcher, site) -> None:
    bucket = site.page("/bucket/mug.png", body=PNG, ETag='"1"')
    site.page("/sign/mug.png", status=302, Location=f"{bucket}?X-Amz-Signature=abc")
    file = seen(make_fetcher(image_base_url=f"{site.address}/sign"), "mug.png")
    assert (file.url, file.content_hash) == ("mug.png", sha256(PNG).hexdigest())


def test_after_a_move_of_the_pictures_no_server_is_asked_by_the_validators_of_another(
    make_fetcher, site
) -> None:
    for path in ("/old/mug.png", "/new/mug.png"):
        versioned(site, path, [PNG], ETag='"{}"')
    old, new = (f"{site.address}/{name}" for name in ("old", "new"))
    file = seen(make_fetcher(image_base_url=old), "mug.png")
    assert (file.url, file.source) == ("mug.png", f"{old}/mug.png")
    assert refetch(make_fetcher(image_base_url=old), file).kept == (file,)
    assert "If-None-Match" in site.requests[-1].headers
    moved = refetch(make_fetcher(image_base_url=new), file)
    assert "If-None-Match" not in site.requests[-1].headers
    assert (moved.product.image_need, moved.pictures) == (Need.KEEP, ())


def test_a_picture_in_its_own_address_is_read(make_fetcher, connects) -> None:
    address = f"data:image/png;base64,{base64.encodebytes(PNG).decode()}"
    [found] = get(make_fetcher(), address).pictures
    assert isinstance(found, Picture)
    assert found.file.content_hash == sha256(PNG).hexdigest()
    message = failure(make_fetcher(), "data:image/png;base64,AAAA").message
    assert message.startswith("data:image/png;base64: ")
    assert connects == []
