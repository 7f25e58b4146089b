"""Draw pictures, and serve them from a loopback host that counts the requests."""

import colorsys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from threading import Thread

from PIL import Image, ImageDraw

Answer = Callable[[BaseHTTPRequestHandler], None]


def draw(number: int) -> Image.Image:
    """Return a picture that looks unlike those of other numbers: shapes in two colours."""
    hue = number * 0.381966 % 1
    ground, ink = (
        tuple(round(255 * c) for c in colorsys.hsv_to_rgb(h, s, v))
        for h, s, v in ((hue, 0.35, 0.95), ((hue + 0.45) % 1, 0.9, 0.5))
    )
    image = Image.new("RGB", (96, 96), ground)
    pen = ImageDraw.Draw(image)
    kind, size = number % 3, 12 + number % 5 * 5
    for place in range(2 + number % 4):
        x, y = 8 + place * 19 % 60, 8 + place * (17 + number) % 60
        box = (x, y, x + size, y + size)
        (pen.ellipse if kind == 0 else pen.rectangle if kind == 1 else _triangle(pen))(
            box, fill=ink
        )
    return image


def png(image: Image.Image) -> bytes:
    """Return the picture as a PNG file."""
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


class PictureHost:
    """Serves `pictures` by path, calls the handlers in `answers`, and responds 404 otherwise.

    `asked` counts the requests for each path.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.host = address.removeprefix("http://")
        self.pictures: dict[str, bytes] = {}
        self.answers: dict[str, Answer] = {}
        self.asked: Counter[str] = Counter()

    def url(self, path: str) -> str:
        """Return the URL of a path."""
        return self.address + path

    def draw(self, *numbers: int) -> list[str]:
        """Serve the drawings of these numbers; return their URLs."""
        self.pictures.update({f"/{number}.png": png(draw(number)) for number in numbers})
        return [self.url(f"/{number}.png") for number in numbers]

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Serve afterwards what is served now, and have counted what is counted now."""
        before = self.pictures.copy(), self.answers.copy(), self.asked.copy()
        yield
        self.pictures, self.answers, self.asked = before


@contextmanager
def picture_host() -> Iterator[PictureHost]:
    """Serve pictures on a free loopback port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host.asked[self.path] += 1
            answer = host.answers.get(self.path)
            if answer is not None:
                answer(self)
            elif self.path in host.pictures:
                send(self, host.pictures[self.path])
            else:
                self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    host = PictureHost(f"http://127.0.0.1:{server.server_port}")
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()


def send(
    handler: BaseHTTPRequestHandler,
    body: bytes,
    *,
    kind: str = "image/png",
    length: int | None = None,
) -> None:
    """Respond 200; `length` overrides the Content-Length header."""
    handler.send_response(200)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


def _triangle(pen: ImageDraw.ImageDraw) -> Callable[..., None]:
    def draw_triangle(box: tuple[int, int, int, int], fill: object) -> None:
        left, top, right, bottom = box
        pen.polygon([(left, bottom), (right, bottom), ((left + right) // 2, top)], fill=fill)

    return draw_triangle
