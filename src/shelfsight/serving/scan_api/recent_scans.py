"""The scans answered lately, so that feedback is about what was really shown."""

import secrets
from collections.abc import Sequence

from cachetools import FIFOCache

from shelfsight.records import Modality, ModelPair
from shelfsight.scan.matching import Match
from shelfsight.serving.scan_api.auth import Caller
from shelfsight.serving.scan_api.problems import NotFoundError
from shelfsight.storage.search.feedback import ShownScan

RECENT = 2000
"""How many scans are remembered, each with its matches: at 100 matches about 100 MB in all."""


class RecentScans:
    """The last scans of this server; a restart forgets them. To be used from one thread."""

    def __init__(self, size: int = RECENT) -> None:
        self._scans: FIFOCache[str, ShownScan] = FIFOCache(size)

    def add(
        self, owner: str | None, kind: Modality, models: ModelPair, matches: Sequence[Match]
    ) -> str:
        """Remember what was shown of an owner's products; gives an id that cannot be guessed."""
        id_ = secrets.token_urlsafe(16)
        self._scans[id_] = ShownScan(
            id=id_, owner=owner, query_kind=kind, models=models, matches=tuple(matches)
        )
        return id_

    def get(self, id_: str, caller: Caller) -> ShownScan:
        """A scan of this caller's owner.

        Raises:
            NotFoundError: it is unknown, too old, or somebody else's.
        """
        scan = self._scans.get(id_)
        if scan is None or not (caller.sees_all or scan.owner == caller.owner):
            raise NotFoundError(
                "scan_unknown", "no such scan: feedback is taken for this server's last scans only"
            )
        return scan
