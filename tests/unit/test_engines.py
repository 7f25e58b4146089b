"""The engines: which versions of workers fit, how many to start, what they did, and no Ray."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from shelfsight import __version__
from shelfsight.backfill.progress_output import choose
from shelfsight.backfill.report import Report
from shelfsight.backfill.runs import Job, Run
from shelfsight.engines.cluster_options import ClusterOptions
from shelfsight.engines.compatibility import cannot_start, own_release, require_compatible
from shelfsight.engines.ray_worker import Worker
from shelfsight.engines.remote import count_difference, is_enough
from shelfsight.errors import EngineError, ModelMismatchError
from shelfsight.postgres.connection import Database
from shelfsight.records import (
    NO_CONTENT,
    EmbeddedProduct,
    ModelPair,
    Need,
    PictureFile,
    Product,
    Selection,
)
from shelfsight.settings import Settings
from shelfsight.storage.runs.lease_keeper import count_outcomes
from shelfsight.wiring.engine import open_engine

FILE = PictureFile(url="http://shop.test/1.png", content_hash="0" * 64)
MAJOR, MINOR, PATCH = __version__.split(".")[:3]


def run_with(**values: Any) -> Run:
    job = Job(selection=Selection(), batch_size=10, max_batches=0)
    return Run(id=1, job=job, models=ModelPair(image="a@1", text="b@1"), due=100, **values)


def test_the_own_release_fits_and_so_do_later_patches_with_more_to_tell() -> None:
    require_compatible(own_release())
    patched = f"{MAJOR}.{MINOR}.{int(PATCH) + 1}"
    require_compatible(own_release() | {"version": patched, "python": "3.99"})


@pytest.mark.parametrize(
    "worker",
    [
        own_release() | {"version": f"{MAJOR}.{int(MINOR) + 1}.0"},
        own_release() | {"version": f"{int(MAJOR) + 1}.{MINOR}.0"},
        own_release() | {"protocol": 0},
        {"version": __version__},
        {},
    ],
)
def test_a_worker_of_another_release_is_refused_in_one_line_that_names_both(
    worker: dict[str, object],
) -> None:
    with pytest.raises(EngineError) as refused:
        require_compatible(worker)
    told = str(refused.value)
    assert "\n" not in told
    assert str(worker.get("version", "unknown")) in told
    assert f"this command has shelfsight {__version__}" in told
    assert "install the same version on every machine" in told


def test_a_worker_that_cannot_start_is_told_which_version_it_needs() -> None:
    told = str(cannot_start("No module named 'shelfsight'"))
    assert f"shelfsight {__version__}" in told
    assert "No module named" in told


def test_counts_of_workers_of_another_version_are_ignored_or_count_nothing() -> None:
    report = Report(due=100, recombined=3)
    before = run_with(counts={"found": 5, "unheard_of": 1, "lines": 7}, failures={"timeout": 1})
    after = run_with(
        counts={"found": 9, "text": 4, "unheard_of": 3, "lines": 8, "interrupted": 1, "due": 2},
        failures={"timeout": 1, "of_a_later_version": 2},
    )
    count_difference(report, before, after)
    assert report == Report(
        found=4, text=4, due=100, recombined=3, failures=Counter(of_a_later_version=2)
    )


def test_a_cluster_is_stopped_once_its_workers_have_reached_the_bound_of_this_call() -> None:
    job = Job(selection=Selection(skip_existing=False), batch_size=50, max_batches=10)
    before = replace(run_with(counts={"found": 500}), job=job)
    assert not is_enough(before, run_with(counts={"found": 999}))
    assert is_enough(before, run_with(counts={"found": 1000}))
    plain = replace(before, job=replace(job, selection=Selection()))
    assert not is_enough(plain, run_with(counts={"found": 1000}))


def test_all_that_a_worker_of_this_version_counts_is_counted() -> None:
    vector = np.ones(3, np.float32)
    page = [
        EmbeddedProduct(product=Product(id="1"), image=vector, text=vector, combined=vector),
        EmbeddedProduct(product=Product(id="2", image_need=Need.KEEP, files=(FILE,))),
        EmbeddedProduct(product=Product(id="3", files=(FILE,)), image=vector, combined=vector),
        EmbeddedProduct(product=Product(id="4"), failures=(NO_CONTENT,)),
        EmbeddedProduct(product=Product(id="5")),
    ]
    counted_here = Report()
    counted_here.add(page)
    from_ledger = Report()
    in_ledger = count_outcomes(page)
    after = run_with(counts=dict(in_ledger.products), failures=dict(in_ledger.failures))
    count_difference(from_ledger, run_with(), after)
    assert from_ledger == counted_here
    assert all(
        getattr(from_ledger, name) for name in ("embedded", "skipped", "failed", "refetched")
    )
    assert (from_ledger.unchanged, from_ledger.changed) == (1, 1)


@pytest.mark.parametrize(
    ("options", "workers"),
    [({"workers": 5, "gpus_per_worker": 1}, 5), ({}, 3), ({"gpus_per_worker": 0.5}, 4)],
)
def test_there_is_a_worker_a_gpu_or_a_machine_unless_told(
    options: dict[str, Any], workers: int
) -> None:
    assert ClusterOptions(**options).worker_count(machines=3, gpus=2) == workers


def test_too_few_gpus_are_an_error_that_says_so() -> None:
    with pytest.raises(EngineError, match="0 GPUs"):
        ClusterOptions(gpus_per_worker=1).worker_count(machines=3, gpus=0)


def test_without_ray_it_is_said_how_to_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "shelfsight.engines.ray_cluster", raising=False)
    opened = open_engine(
        Settings(),
        Database("postgresql://nobody@localhost/none"),
        choose(as_json=True, verbose=False),
        cluster=ClusterOptions(),
    )
    with (
        pytest.raises(EngineError, match=r"ray is not installed; .*pip install '\.\[ray\]'"),
        opened,
    ):
        pass


def test_a_worker_with_other_models_than_the_run_stores_nothing() -> None:
    later = ModelPair(image="a@1", text="b@a later commit")

    @contextmanager
    def open_pipeline(*_: object) -> Iterator[Any]:
        yield SimpleNamespace(models=later)

    worker = Worker()
    assert worker.open(open_pipeline, 1) == later
    with pytest.raises(ModelMismatchError, match="a later commit"):
        worker.work(run_with())
