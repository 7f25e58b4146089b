"""Mixed good and hostile requests from many clients at once.

The test sends a sample; all of it, with the memory printed:

    python -m tests.integration.test_hostile_input 10000
"""

import base64
import json
import random
import struct
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from time import monotonic, sleep

import numpy as np
from PIL import Image

from tests.integration.embedding_server import Answer, ask, cosine, in_base64, in_process, picture

REQUESTS = 500
CLIENTS = 16
ROOM = 1.10
"""How much memory there may be afterwards, against what there was after the first requests."""

GOOD = "vector"


@dataclass(frozen=True)
class Case:
    """A request, its status, and for each item `GOOD` or the kind of its error."""

    path: str
    body: bytes
    status: int
    items: tuple[str, ...] = ()
    vector: tuple[int, np.ndarray] | None = None
    """Where a vector that is known beforehand must stand."""


def saved(image: Image.Image, kind: str, **options: object) -> str:
    file = BytesIO()
    image.save(file, kind, **options)
    return base64.b64encode(file.getvalue()).decode()


def png_that_claims(width: int, height: int) -> str:
    """A PNG whose header names a size that its few bytes do not hold."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + content + chunk(b"IEND", b"")).decode()


def pictures() -> dict[str, tuple[str, str]]:
    """The pictures to send, and the expected result of each."""
    photo = Image.fromarray(picture(1, 300))
    frames = [Image.fromarray(picture(n, 64)) for n in range(3)]
    sixteen = Image.fromarray(np.linspace(0, 65535, 40_000).reshape(200, 200).astype(np.uint16))
    jpeg = in_base64(picture(2, 300), "JPEG")
    return {
        "jpeg": (jpeg, GOOD),
        "1x1": (saved(Image.new("RGB", (1, 1)), "PNG"), GOOD),
        "cmyk": (saved(photo.convert("CMYK"), "JPEG"), GOOD),
        "16 bit": (saved(sixteen, "PNG"), GOOD),
        "animated": (saved(frames[0], "GIF", save_all=True, append_images=frames[1:]), GOOD),
        "alpha": (saved(photo.convert("RGBA"), "WEBP"), GOOD),
        "truncated": (jpeg[: len(jpeg) // 8 * 4], "broken_image"),
        "claims much": (png_that_claims(50_000, 50_000), "too_many_pixels"),
        "is much": (saved(Image.new("L", (8000, 8000)), "PNG"), "too_many_pixels"),
        "no base64": (jpeg[:100] + "*", "bad_base64"),
        "not ascii": ("ü" * 100, "bad_base64"),
        "empty": ("", "empty"),
        "html": (base64.b64encode(b"<html>404</html>").decode(), "not_an_image"),
        "address": ("http://169.254.169.254/latest", "url_not_fetched"),
    }


TEXTS = {
    "a blue mug": GOOD,
    "": "empty_text",
    " \n\t ": "empty_text",
    "huge " * 200_000: GOOD,
    "\x00": GOOD,
    "a\x00b": GOOD,
    "half \ud83d a pair": GOOD,
    "مرحبا 😀 \u202e": GOOD,
}


def cases() -> list[Case]:
    sent = pictures()
    good = sent["jpeg"][0]
    here = in_process()
    known = here.embed_texts(["a blue mug"])[0]
    single = [
        Case("/embed/image", as_json(image_data=picture), 200 if end == GOOD else 422, (end,))
        for picture, end in sent.values()
    ]
    single += [
        Case("/embed/text", as_json(texts=[text]), 200 if end == GOOD else 422, (end,))
        for text, end in TEXTS.items()
    ]
    texts = list(TEXTS)
    good_texts = [text for text, end in TEXTS.items() if end == GOOD]
    mixed = [
        Case("/embed/text", as_json(texts=texts), 200, tuple(TEXTS.values()), (0, known)),
        Case("/v1/embeddings", as_json(input=good_texts), 200, (GOOD,) * len(good_texts)),
        *(
            Case("/embed/image", as_json(images=[good, picture]), 200, (GOOD, end))
            for picture, end in sent.values()
            if end != GOOD
        ),
    ]
    wrong = [
        Case("/embed/text", body, status)
        for body, status in (
            (b"", 400),
            (b'{"texts": ["a"', 400),
            (b"\xff\xfe\x00", 400),
            (b"[" * 10_000, 422),
            (b'{"texts": [NaN]}', 400),
            (b'{"texts": {"a": 1}}', 422),
            (b'{"texts": [["a"]]}', 422),
            (b"null", 422),
        )
    ]
    return single + mixed + wrong


def as_json(**body: object) -> bytes:
    return json.dumps(body).encode()


def noise(rng: random.Random) -> Case:
    """Random bytes as a picture, beside a text lane that is left alone."""
    sent = base64.b64encode(rng.randbytes(rng.randrange(1, 20_000))).decode()
    return Case("/embed/image", as_json(images=[sent]), 422, ("not_an_image",))


def verdict(case: Case, answer: Answer) -> str:
    """ "as expected", or what is wrong."""
    if answer.status != case.status:
        return f"{answer.status} for {case.path} {case.body[:80]!r}: {answer.content[:200]!r}"
    if not case.items:
        return "as expected" if answer.error in ("bad_json", "bad_request") else answer.error
    told = answer.json
    vectors = [item["embedding"] for item in told["data"]] if "data" in told else told["embeddings"]
    kinds = [answer.kinds.get(place, GOOD) for place in range(len(vectors))]
    if tuple(kinds) != case.items or any(
        (v is None) == (k == GOOD) for v, k in zip(vectors, kinds, strict=True)
    ):
        return f"{kinds} instead of {case.items}"
    if not all(np.isclose(np.linalg.norm(v), 1, atol=1e-4) for v in vectors if v is not None):
        return "a vector that is not of unit length"
    if case.vector and cosine(vectors[case.vector[0]], case.vector[1]) < 0.9995:
        return "another vector than alone"
    return "as expected"


def attack(url: str, count: int, seed: int) -> Counter[str]:
    """Send requests from many clients; returns how many ended in which way."""
    rng = random.Random(seed)
    known = cases()
    chosen = [rng.choice(known) if rng.random() < 0.95 else noise(rng) for _ in range(count)]

    def one(case: Case) -> str:
        return verdict(case, ask(url, case.path, case.body))

    with ThreadPoolExecutor(CLIENTS) as clients:
        return Counter(clients.map(one, chosen))


@contextmanager
def server() -> Iterator[tuple[int, str]]:
    """A server in a process of its own: its id and its address."""
    command = [sys.executable, "-m", "shelfsight", "serve-models", "--models=lite", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().split(" at ")[1].split(";")[0]
            deadline = monotonic() + 60
            while not answers(url):
                assert monotonic() < deadline
                sleep(0.05)
            yield process.pid, url
        finally:
            process.terminate()


def answers(url: str) -> bool:
    try:
        return ask(url, "/ready").status == 200
    except OSError:
        return False


def memory(process: int) -> float:
    """Resident megabytes."""
    shown = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(process)], capture_output=True, check=True
    )
    return int(shown.stdout) / 1024


def run(count: int) -> tuple[Counter[str], float, float]:
    """Returns how requests ended, and the memory after a first part of them and after all."""
    with server() as (process, url):
        ended = attack(url, count // 2, seed=1)
        before = memory(process)
        ended += attack(url, count - count // 2, seed=2)
        after = memory(process)
        health = ask(url, "/health")
        assert (health.status, health.json["problems"]) == (200, [])
        assert b'status="500"' not in ask(url, "/metrics").content
    return ended, before, after


def test_hostile_requests_harm_neither_the_server_nor_the_good_ones_beside_them() -> None:
    ended, before, after = run(REQUESTS)
    assert ended == {"as expected": REQUESTS}
    assert after < ROOM * before


def main() -> None:
    began = monotonic()
    count = int(sys.argv[1])
    ended, before, after = run(count)
    for what, times in ended.most_common():
        sys.stdout.write(f"{times:>6} {what}\n")
    sys.stdout.write(f"memory: {before:.0f} MB halfway, {after:.0f} MB at the end\n")
    sys.stdout.write(f"{count / (monotonic() - began):.0f} requests/s\n")


if __name__ == "__main__":
    main()
