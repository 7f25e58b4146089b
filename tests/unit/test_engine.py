"""Which engine a backfill has."""

import sys

import pytest

from shelfsight import wiring
from shelfsight.database import Database
from shelfsight.engines.cluster import Cluster
from shelfsight.errors import EngineError
from shelfsight.progress import choose
from shelfsight.settings import Settings


def test_without_ray_it_is_said_how_to_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "shelfsight.engines.ray_engine", raising=False)
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
