"""Which engine a backfill has."""

import sys

import pytest

from shelfsight import wiring
from shelfsight.backfill.progress import choose
from shelfsight.engines.cluster_options import ClusterOptions
from shelfsight.errors import EngineError
from shelfsight.postgres.connection import Database
from shelfsight.settings import Settings


def test_without_ray_it_is_said_how_to_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "shelfsight.engines.ray_cluster", raising=False)
    opened = wiring.open_engine(
        Settings(),
        Database("postgresql://nobody@localhost/none"),
        choose(as_json=True, verbose=False),
        cluster=ClusterOptions(),
    )
    with (
        pytest.raises(EngineError, match=r"ray is not installed: pip install 'shelfsight\[ray\]'"),
        opened,
    ):
        pass
