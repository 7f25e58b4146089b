"""Which engine a backfill has."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from shelfsight import wiring
from shelfsight.backfill.progress import choose
from shelfsight.backfill.runs import Run
from shelfsight.engines.cluster_options import Cluster
from shelfsight.engines.ray_worker import Worker
from shelfsight.errors import EngineError, ModelMismatchError
from shelfsight.postgres.connection import Database
from shelfsight.records import ModelPair
from shelfsight.settings import Settings
from shelfsight.testing import MODELS


def test_without_ray_it_is_said_how_to_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "shelfsight.engines.ray_cluster", raising=False)
    opened = wiring.open_engine(
        Settings(),
        Database("postgresql://nobody@localhost/none"),
        choose(as_json=True, verbose=False),
        cluster=Cluster(),
    )
    with (
        pytest.raises(EngineError, match=r"ray is not installed: pip install 'shelfsight\[ray\]'"),
        opened,
    ):
        pass


def test_a_worker_with_other_models_than_the_run_stores_nothing() -> None:
    later = ModelPair(image=MODELS.image, text="hashed-words@a later commit")

    @contextmanager
    def open_pipeline(*_: object) -> Iterator[Any]:
        yield SimpleNamespace(models=later)

    worker = Worker(open_pipeline, 1)
    assert worker.open() == later
    with pytest.raises(ModelMismatchError, match="a later commit"):
        worker.work(cast(Run, SimpleNamespace(models=MODELS)))
