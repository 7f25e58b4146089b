"""Loads the models of every set of vectors, and uses those that made the vectors in use."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Event, Lock, Thread
from time import monotonic

from shelfsight.errors import ModelError, ShelfsightError
from shelfsight.models.choice import name_of_pair
from shelfsight.records import model_name
from shelfsight.serving.scan_api.scan_models import LoadedModels, ScanModels
from shelfsight.storage.vectors.model_check import StoredModels
from shelfsight.storage.versions.set_models import IN_USE, SetModels

POLL_SECONDS = 2.0
"""Seconds after which the sets of vectors are looked at again."""

RETRY_SECONDS = 60.0
"""Seconds after which models that could not be loaded are tried again."""

CONFIGURED = "the models of the settings"
"""The name of the models that the server was started with."""


class FollowedModels(ScanModels):
    """Follows a switch of models: those of the staged vectors are loaded before the switch.

    The models of all sets stay loaded, so that a rollback is followed at once, too. `load` loads a
    pair by what `MODELS` calls it.
    """

    def __init__(
        self,
        first: LoadedModels,
        sets: SetModels,
        load: Callable[[str], LoadedModels],
    ) -> None:
        super().__init__(first)
        self._sets = sets
        self._load = load
        self._lock = Lock()  # guards what follows
        self._loaded = {CONFIGURED: first}
        self._failed: dict[str, tuple[float, str]] = {}
        self._is_closed = Event()
        self._thread = Thread(target=self._follow, name="follow models", daemon=True)

    def start(self) -> None:
        """Look at the sets of vectors now, and then regularly in a thread."""
        self._try_update()
        self._thread.start()

    def close(self) -> None:
        """Stop following."""
        self._is_closed.set()

    def update(self) -> None:
        """Load the models of all sets, and take those of the vectors in use.

        Raises:
            DatabaseError: the sets cannot be read.
        """
        with self._lock:
            sets = self._sets.read()
            names = {name: self._name_of(models) for name, models in sets.items()}
            notes = []
            for set_name in sorted(names, key=lambda one: one != IN_USE):
                notes += self._prepare(set_name, names[set_name], sets[set_name])
            self._loaded = {
                name: loaded
                for name, loaded in self._loaded.items()
                if name == CONFIGURED or name in names.values()
            }
            self.current = self._loaded.get(names.get(IN_USE) or "", self.current)
            self.notes = tuple(notes)

    def _prepare(
        self, set_name: str, name: str | None, models: Sequence[StoredModels]
    ) -> list[str]:
        """Load the models of a set; return what people should know."""
        if not models:
            return []
        if name is None:
            made_by = " and ".join(one for one in (models[0].image, models[0].text) if one)
            return [f"the vectors {set_name} are by {made_by}, which cannot be loaded here"]
        failed_at, reason = self._failed.get(name, (0.0, ""))
        if name not in self._loaded and (not reason or monotonic() > failed_at + RETRY_SECONDS):
            self.notes = (f"loading {name}, the models of the vectors {set_name}",)
            self._failed.pop(name, None)
            try:
                self._loaded[name] = self._load(name)
            except ModelError as error:
                self._failed[name] = (monotonic(), str(error))
        if name in self._failed:
            return [f"{name}, the models of the vectors {set_name}: {self._failed[name][1]}"]
        return [f"{name} is loaded for the vectors {set_name}"]

    def _name_of(self, models: Sequence[StoredModels]) -> str | None:
        """Return the name of the models that made a set; None if they are not known here."""
        if all(one.fit(self._loaded[CONFIGURED].embedder.models) for one in models):
            return CONFIGURED
        images = {model_name(one.image) for one in models if one.image is not None}
        texts = {model_name(one.text) for one in models if one.text is not None}
        if len(images) > 1 or len(texts) > 1:
            return None
        return name_of_pair(next(iter(images), None), next(iter(texts), None))

    def _follow(self) -> None:
        while not self._is_closed.wait(POLL_SECONDS):
            self._try_update()

    def _try_update(self) -> None:
        with suppress(ShelfsightError):  # `/ready` tells what is wrong with the database
            self.update()
