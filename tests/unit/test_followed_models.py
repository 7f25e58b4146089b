"""Which models a server loads, and which of them answer."""

from types import SimpleNamespace

import pytest

from shelfsight.errors import ModelError
from shelfsight.models.specs import Pair
from shelfsight.models.table import EFFICIENTNET_LITE1_LITE2, PAIRS, QWEN3, SIGLIP, WORDLLAMA
from shelfsight.records import ModelPair
from shelfsight.scan.scanner import Scanner
from shelfsight.serving.scan_api import followed_models
from shelfsight.serving.scan_api.followed_models import FollowedModels
from shelfsight.serving.scan_api.scan_models import LoadedModels
from shelfsight.storage.vectors.model_check import StoredModels
from shelfsight.storage.versions.set_models import IN_USE, PREVIOUS, STAGED
from shelfsight.testing import HashEmbedder

LITE = Pair(image=EFFICIENTNET_LITE1_LITE2, text=WORDLLAMA).identities
LARGE = Pair(image=SIGLIP, text=QWEN3).identities


def stored(models: ModelPair) -> list[StoredModels]:
    return [StoredModels(models.image, models.text, 5), StoredModels(None, models.text, 1)]


class Sets:
    """The sets of vectors, as a test says."""

    def __init__(self, **sets: list[StoredModels]) -> None:
        self.now = sets

    def read(self) -> dict[str, list[StoredModels]]:
        return self.now


def loaded(models: ModelPair) -> LoadedModels:
    return LoadedModels(
        embedder=HashEmbedder(models=models),
        scanner=SimpleNamespace(spec=Scanner),
        read_photo=lambda _data, _caller, _box: pytest.fail("nothing is scanned"),
        cached_answers=lambda: 0,
    )


def following(sets: Sets, loads: list[str]) -> FollowedModels:
    def load(name: str) -> LoadedModels:
        loads.append(name)
        return loaded(PAIRS[name].identities)

    return FollowedModels(loaded(LITE), sets, load)


def test_staged_models_are_loaded_once_answer_after_the_switch_and_go_when_forgotten() -> None:
    sets, loads = Sets(), list[str]()
    followed = following(sets, loads)
    sets.now = {IN_USE: stored(LITE), STAGED: []}
    followed.update()
    assert loads == []
    sets.now = {IN_USE: stored(LITE), STAGED: stored(LARGE)}
    followed.update()
    followed.update()
    assert loads == ["siglip-qwen3"]
    assert followed.current.embedder.models == LITE
    assert "siglip-qwen3 is loaded for the vectors staged" in followed.notes
    sets.now = {IN_USE: stored(LARGE), PREVIOUS: stored(LITE)}
    followed.update()
    assert followed.current.embedder.models == LARGE
    sets.now = {IN_USE: stored(LITE)}  # rolled back, and the staged set was discarded
    followed.update()
    assert followed.current.embedder.models == LITE
    sets.now = {IN_USE: stored(LITE), STAGED: stored(LARGE)}
    followed.update()
    assert loads == ["siglip-qwen3"] * 2


def test_models_that_are_not_known_are_named_and_change_nothing() -> None:
    other = ModelPair(image="pixels@1", text="letters@2")
    followed = following(Sets(), [])
    followed._sets = Sets(**{"in use": stored(LITE), STAGED: stored(other)})
    followed.update()
    assert followed.current.embedder.models == LITE
    assert followed.notes[1] == (
        "the vectors staged are by pixels@1 and letters@2, which cannot be loaded here"
    )


def test_models_that_cannot_be_loaded_are_tried_again_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, tries = [1000.0], []

    def fail(name: str) -> LoadedModels:
        tries.append(name)
        raise ModelError("its files are missing")

    monkeypatch.setattr(followed_models, "monotonic", lambda: now[0])
    sets = Sets(**{"in use": stored(LITE), STAGED: stored(LARGE)})
    followed = FollowedModels(loaded(LITE), sets, fail)
    followed.update()
    followed.update()
    assert len(tries) == 1
    assert followed.notes[1].endswith("its files are missing")
    now[0] += followed_models.RETRY_SECONDS + 1
    followed.update()
    assert len(tries) == 2
    assert followed.current.embedder.models == LITE
