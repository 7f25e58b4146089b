"""What decoding in processes of their own costs, against decoding in this process.

    python benchmarks/decoding.py

Each kind of picture is decoded for a backfill and for a scan (three views). Processor time is what
the pool costs in all; the cost is also given as a share of decoding and of embedding by `lite`. The
waiting times, of one picture and of eight at once, need a machine that does nothing else.
"""

import resource
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from io import BytesIO

import numpy as np
from PIL import Image

from shelfsight.embedding.local.onnx_model import open_pair
from shelfsight.images import photo_views
from shelfsight.images.decode import pixels
from shelfsight.images.decoder.limits import DecoderLimits
from shelfsight.images.decoder.pool import DecoderPool
from shelfsight.images.decoder.process import DecoderProcess
from shelfsight.images.decoder.protocol import DecodeJob, reduced
from shelfsight.images.decoder.protocol import photo_views as views_job
from shelfsight.records import PictureFormat, Pixels

VIEWS = 3
AT_ONCE = 8
ROUNDS = 40
WAITS = 9


def picture(width: int, height: int, kind: str, noise: float, **options: object) -> bytes:
    """Draw patches of many sizes with the noise of a camera, and encode them."""
    rng = np.random.default_rng(width)
    drawn = np.zeros((height, width, 3), np.float32)
    for cells in (4, 16, 64):
        patches = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), np.uint8))
        drawn += np.asarray(patches.resize((width, height), Image.Resampling.BICUBIC)) / 3.0
    drawn += noise * rng.standard_normal(drawn.shape, np.float32)
    file = BytesIO()
    Image.fromarray(drawn.clip(0, 255).astype(np.uint8)).save(file, kind, **options)
    return file.getvalue()


PICTURES = {
    "JPEG 1000 x 1000": lambda: picture(1000, 1000, "JPEG", 5, quality=80),
    "PNG 150 x 150": lambda: picture(150, 150, "PNG", 0),
    "WebP 1000 x 1000": lambda: picture(1000, 1000, "WEBP", 2, quality=70),
    "phone JPEG 4000 x 3000": lambda: picture(4000, 3000, "JPEG", 8, quality=85),
}


def decode_here(job: DecodeJob, data: bytes, threads: ThreadPoolExecutor) -> list[Pixels]:
    if job.codes:
        return photo_views.views_and_codes(data, job.count, job.picture_format, threads.map)[0]
    if job.result == "views":
        return photo_views.photo_views(data, job.count, job.picture_format, threads.map)
    return [pixels(data, job.picture_format)]


def milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)


def processor_ms() -> float:
    """Processor time of this process and of the processes that it has ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return 1000 * sum(usage.ru_utime + usage.ru_stime for usage in used)


def cost_here(job: DecodeJob, data: bytes) -> float:
    """Return the processor time of one picture, decoded in this process."""
    with ThreadPoolExecutor() as threads:
        before = processor_ms()
        for _ in range(ROUNDS):
            decode_here(job, data, threads)
        return (processor_ms() - before) / ROUNDS


def cost_in_pool(job: DecodeJob, data: bytes) -> float:
    """Return the same for a pool, without the start of its process."""

    def cost(rounds: int) -> float:
        before = processor_ms()
        with closing(DecoderPool(size=1)) as pool:
            for _ in range(rounds):
                pool.decode(job, data)
        return processor_ms() - before

    return (cost(ROUNDS + 1) - cost(1)) / ROUNDS


def waits(job: DecodeJob, data: bytes, count: int) -> tuple[float, float]:
    """Return the median time until `count` pictures are decoded, here and by a pool."""
    with (
        closing(DecoderPool()) as pool,
        ThreadPoolExecutor() as threads,
        ThreadPoolExecutor() as callers,
    ):

        def here() -> None:
            list(callers.map(lambda _: decode_here(job, data, threads), range(count)))

        def by_pool() -> None:
            for future in [pool.submit(job, data) for _ in range(count)]:
                future.result()

        here(), by_pool()
        pairs = [(milliseconds(here), milliseconds(by_pool)) for _ in range(WAITS)]
    of_here, of_pool = zip(*pairs, strict=True)
    return statistics.median(of_here), statistics.median(of_pool)


def model_cost(images: int) -> float:
    """Return the processor time of `lite` for one image, embedded with `images` others."""
    embedder = open_pair("lite", model_dir=None)
    grey = [np.full((224, 224, 3), 128, np.uint8)] * images
    embedder.embed_images(grey)
    before = processor_ms()
    for _ in range(5):
        embedder.embed_images(grey)
    return (processor_ms() - before) / 5 / images


def main() -> None:
    start = milliseconds(lambda: DecoderProcess(DecoderLimits()).end())
    form = PictureFormat(side=224, resample="bicubic")
    models = {"backfill": model_cost(64), "scan": VIEWS * model_cost(VIEWS)}
    jobs = {
        "backfill": reduced(form),
        "scan": views_job(VIEWS, form, codes=True),
        "without codes": views_job(VIEWS, form),
    }
    print(f"a process starts in {start:.0f} ms; processor time of the model:", models)
    for label, draw in PICTURES.items():
        data = draw()
        print(f"{label}, {len(data) // 1000} kB")
        for name, job in jobs.items():
            here, pool = cost_here(job, data), cost_in_pool(job, data)
            share = (pool - here) / (here + models.get(name, models["scan"]))
            alone, many = waits(job, data, 1), waits(job, data, AT_ONCE)
            print(
                f"  {name:13}  processor {here:.2f} ms here, {pool:.2f} in a pool: {share:+.1%} of"
                f" decoding and model;  wait {alone[0]:.1f}, {alone[1]:.1f};"
                f"  {AT_ONCE} at once {many[0]:.1f}, {many[1]:.1f}"
            )


if __name__ == "__main__":
    main()
