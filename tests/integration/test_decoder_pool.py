"""Decoder processes: pixels as in this process, and an end to whatever a file does to them."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import closing
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from shelfsight.errors import DecoderError
from shelfsight.images import photo_views
from shelfsight.images.decode import decode, pixels
from shelfsight.images.decoder.fair_queue import BlockingFairQueue
from shelfsight.images.decoder.limits import DecoderLimits
from shelfsight.images.decoder.pool import DecoderPool
from shelfsight.images.decoder.protocol import DecodeJob, reduced, thumbnail, whole
from shelfsight.images.decoder.protocol import photo_views as views
from shelfsight.images.resize import resize
from shelfsight.images.unusable import UnusablePictureError
from shelfsight.records import PictureFormat, Stage
from tests.siege.attacks_pictures import ATTACKS
from tests.unit.test_decode import SEEDS, damaged

FORMAT = PictureFormat(side=32, resample="bicubic")
SHORT = DecoderLimits(cpu_seconds=1, wall_seconds=60)
SHORT_AND_QUICK = DecoderLimits(cpu_seconds=1, wall_seconds=60, quick_seconds=0.2)
LIMIT_KINDS = {"too_slow_to_decode", "too_much_memory", "decoder_crashed", "decode_timeout"}


@cache
def attack(name: str) -> bytes:
    return ATTACKS[name]()


def slow_file() -> bytes:
    return attack("jpeg_of_hidden_scans")


@cache
def ordinary() -> bytes:
    rng = np.random.default_rng(1)
    file = BytesIO()
    Image.fromarray(rng.integers(0, 256, (90, 120, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


def assert_decodes(pool: DecoderPool) -> None:
    expected = resize(decode(ordinary()), FORMAT)
    assert np.array_equal(pool.decode(whole(FORMAT), ordinary())[0], expected)


def failure_kind(pool: DecoderPool, data: bytes, job: DecodeJob | None = None) -> str:
    try:
        pool.decode(job or whole(FORMAT), data)
    except UnusablePictureError as error:
        assert error.failure.stage is Stage.DECODE
        assert "\n" not in error.failure.message
        return error.failure.kind
    return ""


@pytest.fixture(scope="module")
def bounded() -> Iterator[DecoderPool]:
    with closing(DecoderPool(SHORT, size=1)) as pool:
        yield pool


def children() -> set[int]:
    """The decoder processes of this process."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        if parent == os.getpid() and b"decoder.worker" in command:
            found.add(int(folder.name))
    return found


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = monotonic() + seconds
    while not condition():
        assert monotonic() < end
        sleep(0.05)


@pytest.mark.parametrize("seed", range(len(SEEDS)))
def test_a_decoder_process_gives_the_pixels_that_decoding_here_gives(
    decoders: DecoderPool, seed: int
) -> None:
    data = SEEDS[seed]
    small = decode(data, min_side=20)
    small.thumbnail((20, 20), Image.Resampling.LANCZOS)
    for job, expected in (
        (whole(FORMAT), [resize(decode(data), FORMAT)]),
        (reduced(FORMAT), [pixels(data, FORMAT)]),
        (thumbnail(20), [np.asarray(small)]),
    ):
        assert np.array_equal(decoders.decode(job, data), np.stack(expected))
    photo = decoders.decode_photo(views(3, FORMAT), data)
    assert np.array_equal(photo.views, np.stack(photo_views.photo_views(data, 3, FORMAT)))
    assert photo.codes == ()


@pytest.mark.parametrize(
    ("data", "kind"),
    [(b"", "empty"), (b"hello", "not_an_image"), (b"\x89PNG\r\n\x1a\nno more", "broken_image")],
)
def test_a_file_that_cannot_be_used_is_named_as_here(
    decoders: DecoderPool, data: bytes, kind: str
) -> None:
    assert failure_kind(decoders, data) == kind


@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_ends_and_the_next_picture_is_read(bounded: DecoderPool, name: str) -> None:
    began = monotonic()
    failure_kind(bounded, attack(name))
    assert monotonic() - began < SHORT.wall_seconds + 5
    assert_decodes(bounded)


def test_a_file_that_takes_too_long_is_ended_by_the_kernel(bounded: DecoderPool) -> None:
    with pytest.raises(UnusablePictureError, match="more than 1 s of processor time"):
        bounded.decode(whole(FORMAT), slow_file())


def test_a_file_that_takes_too_much_memory_fails() -> None:
    limits = DecoderLimits(memory_bytes=100_000_000)
    with closing(DecoderPool(limits, size=1)) as pool:
        assert failure_kind(pool, attack("png_of_zeros")) == "too_much_memory"
        assert failure_kind(pool, attack("tiff_of_a_huge_tile")) in LIMIT_KINDS | {"broken_image"}
        assert_decodes(pool)


def test_a_file_that_is_not_done_in_time_is_left_and_tried_again_later() -> None:
    before = children()
    with closing(DecoderPool(DecoderLimits(wall_seconds=0.2), size=1)) as pool:
        with pytest.raises(UnusablePictureError) as caught:
            pool.decode(whole(FORMAT), slow_file())
        assert (caught.value.failure.kind, caught.value.failure.retryable) == (
            "decode_timeout",
            True,
        )
        wait_until(lambda: children() == before)


@settings(max_examples=200)
@given(damaged())
def test_no_damage_to_a_file_does_more_than_fail_it(decoders: DecoderPool, data: bytes) -> None:
    assert failure_kind(decoders, data) not in LIMIT_KINDS
    assert_decodes(decoders)


def test_slow_files_of_one_caller_do_not_hold_up_the_files_of_others() -> None:
    with closing(DecoderPool(SHORT_AND_QUICK, size=1)) as pool:
        hostile = [pool.submit(whole(FORMAT), slow_file()) for _ in range(8)]
        for _ in range(3):
            assert_decodes(pool)
        assert not all(future.done() for future in hostile)
        assert hostile[0].exception(60).failure.kind == "too_slow_to_decode"


def test_a_caller_with_many_files_leaves_others_their_turn() -> None:
    done: list[str] = []
    with closing(DecoderPool(size=1)) as pool:
        assert_decodes(pool)
        futures = []
        for caller in ("many",) * 50 + ("one",):
            future = pool.submit(whole(FORMAT), attack("tiff_of_a_huge_strip"), caller)
            future.add_done_callback(lambda _, caller=caller: done.append(caller))
            futures.append(future)
        futures[-1].result(60)
        assert done.index("one") < 5


@given(st.lists(st.sampled_from("abc"), max_size=30))
def test_a_fair_queue_gives_every_caller_its_turn(callers: list[str]) -> None:
    queue: BlockingFairQueue[tuple[str, int]] = BlockingFairQueue()
    for number, caller in enumerate(callers):
        queue.put(caller, (caller, number))
    queue.close()
    taken = list(iter(queue.get, None))
    assert sorted(number for _, number in taken) == list(range(len(callers)))
    for caller in set(callers):
        numbers = [number for one, number in taken if one == caller]
        assert numbers == sorted(numbers)
    first_round = [caller for caller, _ in taken[: len(set(callers))]]
    assert sorted(first_round) == sorted(set(callers))


@given(st.lists(st.sampled_from("abc"), max_size=30), st.sets(st.sampled_from("abc")))
def test_items_of_a_caller_to_skip_stay_in_the_queue_until_it_is_closed(
    callers: list[str], skip: set[str]
) -> None:
    queue: BlockingFairQueue[str] = BlockingFairQueue()
    for caller in callers:
        queue.put(caller, caller)
    others = [queue.get(skip) for caller in callers if caller not in skip]
    assert sorted(others) == sorted(caller for caller in callers if caller not in skip)
    queue.close()
    rest = list(iter(partial(queue.get, skip), None))
    assert sorted(others + rest) == sorted(callers)


def test_a_place_that_is_closed_to_a_caller_opens_when_its_slow_files_are_done() -> None:
    with closing(DecoderPool(SHORT_AND_QUICK, size=2)) as pool:
        files = [pool.submit(whole(FORMAT), slow_file(), "slow") for _ in range(3)]
        files += [pool.submit(whole(FORMAT), ordinary(), "slow") for _ in range(3)]
        for _ in range(3):
            assert_decodes(pool)
        kinds = [file.exception(90) and file.exception().failure.kind for file in files]
        assert kinds == ["too_slow_to_decode"] * 3 + [None] * 3
        assert not pool._slow_load


def test_a_file_that_nobody_waits_for_any_more_gives_its_place_back() -> None:
    for quick_seconds in (None, 0.1):
        limits = DecoderLimits(cpu_seconds=600, wall_seconds=600, quick_seconds=quick_seconds)
        with closing(DecoderPool(limits, size=1)) as pool:
            futures = [pool.submit(whole(FORMAT), slow_file()) for _ in range(4)]
            sleep(1)
            assert all(future.cancel() for future in futures)
            assert_decodes(pool)


def test_nothing_is_started_before_the_first_file_and_nothing_is_left_after_the_end() -> None:
    before = children()
    pool = DecoderPool(size=2)
    assert children() == before
    assert_decodes(pool)
    assert len(children() - before) == 1
    stuck = pool.submit(whole(FORMAT), slow_file())
    pool.close()
    pool.close()
    assert children() == before
    assert stuck.cancelled()
    with pytest.raises(CancelledError):
        pool.decode(whole(FORMAT), ordinary())


def test_a_process_that_dies_between_two_files_is_replaced(bounded: DecoderPool) -> None:
    assert_decodes(bounded)
    for pid in children():
        os.kill(pid, signal.SIGKILL)
    sleep(0.2)
    assert failure_kind(bounded, b"hello") == "not_an_image"
    assert_decodes(bounded)


def test_a_process_that_a_file_kills_fails_only_this_file() -> None:
    before = children()
    with closing(DecoderPool(DecoderLimits(cpu_seconds=600), size=1)) as pool:
        assert_decodes(pool)
        dying = pool.submit(whole(FORMAT), slow_file())
        sleep(1)
        [pid] = children() - before
        os.kill(pid, signal.SIGSEGV)
        assert dying.exception(60).failure.kind == "decoder_crashed"
        assert_decodes(pool)


@pytest.mark.parametrize(
    ("program", "words"), [("/nowhere/python", "can be started"), ("/bin/false", "exit status 1")]
)
def test_no_process_that_can_be_started_is_an_error_in_words(monkeypatch, program, words) -> None:
    monkeypatch.setattr(sys, "executable", program)
    with closing(DecoderPool(size=1)) as pool, pytest.raises(DecoderError, match=words):
        pool.decode(whole(FORMAT), ordinary())


def test_a_bug_in_a_decoder_process_is_raised_here(decoders: DecoderPool) -> None:
    with pytest.raises(RuntimeError, match="KeyError: 'nonsense'"):
        decoders.decode(DecodeJob(result="nonsense", side=1), ordinary())  # type: ignore[arg-type]
    assert_decodes(decoders)


PARENT = """
import sys
from pathlib import Path
from shelfsight.images.decoder.limits import DecoderLimits
from shelfsight.images.decoder.pool import DecoderPool
from shelfsight.images.decoder.protocol import thumbnail
pool = DecoderPool(DecoderLimits(cpu_seconds=2), size=2)
small, stuck = (Path(name).read_bytes() for name in sys.argv[1:])
pool.decode(thumbnail(8), small)
pool.submit(thumbnail(8), stuck)
while len(pool._idle):
    pass
print("stuck", flush=True)
input()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_signal_that_ends_the_parent_ends_its_decoders(
    tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "small").write_bytes(ordinary())
    (tmp_path / "stuck").write_bytes(slow_file())
    command = [sys.executable, "-c", PARENT, str(tmp_path / "small"), str(tmp_path / "stuck")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as parent:
        assert parent.stdout.readline() == b"stuck\n"
        tree = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
        pids = [
            int(pid)
            for task in tree.parent.parent.glob("*/children")
            for pid in task.read_text().split()
        ]
        assert pids
        parent.send_signal(number)
        parent.wait(30)
    wait_until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in pids))


def test_a_parent_that_ends_by_itself_does_not_wait_for_a_stuck_decoder(tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(ordinary())
    (tmp_path / "stuck").write_bytes(slow_file())
    script = PARENT.replace("cpu_seconds=2", "cpu_seconds=600").replace("input()", "")
    command = [sys.executable, "-c", script, str(tmp_path / "small"), str(tmp_path / "stuck")]
    subprocess.run(command, check=True, timeout=60, stdout=subprocess.DEVNULL)


def test_a_slow_file_goes_on_with_a_lower_priority() -> None:
    limits = DecoderLimits(cpu_seconds=600, quick_seconds=0.1)
    before = children()
    with closing(DecoderPool(limits, size=1)) as pool:
        pool.submit(whole(FORMAT), slow_file())
        wait_until(
            lambda: any(os.getpriority(os.PRIO_PROCESS, pid) > 0 for pid in children() - before)
        )


def test_a_phone_photo_of_48_megapixels_is_read(decoders: DecoderPool) -> None:
    file = BytesIO()
    Image.new("RGB", (8000, 6000), (250, 120, 5)).save(file, "JPEG")
    photo = decoders.decode_photo(views(3, FORMAT, codes=True), file.getvalue())
    others = (whole(FORMAT), reduced(FORMAT), thumbnail(32))
    for found in (photo.views, *(decoders.decode(job, file.getvalue()) for job in others)):
        assert np.abs(found.astype(int) - (250, 120, 5)).max() < 6


def test_a_decoder_process_has_no_way_to_write_files(decoders: DecoderPool) -> None:
    assert_decodes(decoders)
    limits = {pid: Path(f"/proc/{pid}/limits").read_text() for pid in children()}
    assert limits
    for text in limits.values():
        fields = next(line for line in text.splitlines() if line.startswith("Max file size"))
        assert fields.split()[3] == "0"
