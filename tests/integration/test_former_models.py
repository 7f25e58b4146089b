"""A shop that was embedded by the former models of `lite`."""

from dataclasses import replace

import pytest

from shelfsight.demo.run import selection_of
from shelfsight.errors import ModelMismatchError
from shelfsight.models.choice import name_of_pair
from shelfsight.models.specs import Pair
from shelfsight.models.table import PAIRS
from shelfsight.postgres.connection import Database
from shelfsight.records import ModelPair, Selection
from shelfsight.storage.vectors.model_check import refuse_others
from shelfsight.storage.vectors.store import PostgresVectorStore
from shelfsight.testing import direction
from tests.integration.test_failures import products
from tests.shop import FUSION, embed, fill

LITE, LITE0 = PAIRS["lite"].identities, PAIRS["lite0"].identities


@pytest.mark.parametrize(("name", "pair"), PAIRS.items())
def test_each_pair_is_recognised_by_what_it_stored(name: str, pair: Pair) -> None:
    assert name_of_pair(pair.image.identity, pair.text.identity) == name
    assert name_of_pair(None, pair.text.identity) in PAIRS
    assert name_of_pair("another@1", pair.text.identity) is None


@pytest.fixture
def shop(database: Database) -> Database:
    fill(database, 2)
    page = [replace(embed(one), image=direction(b"picture", 768)) for one in products(database)]
    PostgresVectorStore(database, FUSION).save(page, LITE0)
    return database


def test_other_models_are_refused_with_the_name_of_those_that_fit(shop: Database) -> None:
    assert refuse_others(shop, LITE0)
    with pytest.raises(ModelMismatchError, match=r"use those models \(--models lite0\)"):
        refuse_others(shop, LITE)


@pytest.mark.parametrize(("models", "replaces"), [(LITE, True), (LITE0, False)])
def test_the_demo_embeds_its_shop_again_after_an_upgrade(
    shop: Database, models: ModelPair, replaces: bool
) -> None:
    assert selection_of(shop, models) == Selection(skip_existing=not replaces)
