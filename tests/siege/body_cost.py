"""Print what it costs to refuse a hostile body: seconds and memory, each in a process of its own.

python -m tests.siege.body_cost            # bodies of 31 MB
python -m tests.siege.body_cost 1000000
"""

import sys
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

from pydantic import BaseModel

from shelfsight.embedding.openai_wire import OpenAIRequest
from shelfsight.embedding.wire import TextRequest
from shelfsight.serving.refusals import RequestRefusedError
from shelfsight.serving.request_body import parse
from shelfsight.serving.scan_api.requests import ScanBody
from tests.siege.attacks import hostile_bodies


def model_of(body: bytes) -> type[BaseModel]:
    if body.startswith(b'{"texts"'):
        return TextRequest
    return OpenAIRequest if body.startswith(b'{"input"') else ScanBody


def megabytes(field: str) -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split(f"{field}:")[1].split()[0]) / 1000


def measure(name: str, body: bytes) -> None:
    before, started = megabytes("VmRSS"), perf_counter()
    with suppress(RequestRefusedError):
        parse(body, model_of(body))
    seconds, memory = perf_counter() - started, max(0, megabytes("VmHWM") - before)
    sys.stdout.write(f"{name:20} {seconds:6.2f} s  {memory:6.0f} MB\n")


def main() -> None:
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 31_000_000
    for name, body in hostile_bodies(size).items():
        process = get_context("fork").Process(target=measure, args=(name, body))
        process.start()
        process.join()


if __name__ == "__main__":
    main()
