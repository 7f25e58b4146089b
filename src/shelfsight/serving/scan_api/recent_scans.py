"""Remembers recent scans, so that feedback is stored with the matches that were shown."""

import secrets
from collections.abc import Sequence

from cachetools import FIFOCache

from shelfsight.records import Modality, ModelPair
from shelfsight.scan.matching import Match
from shelfsight.serving.scan_api.auth import Caller
from shelfsight.serving.scan_api.problems import NotFoundError
from shelfsight.storage.search.feedback import ShownScan

MAX_SCANS = 2000
"""The number of scans that are remembered: about 100 MB if each has 100 matches."""


class RecentScans:
    """The most recent scans of this server, until it is restarted. For use from one thread."""

    def __init__(self, size: int = MAX_SCANS) -> None:
        self._scans: FIFOCache[str, ShownScan] = FIFOCache(size)

    def add(
        self, owner: str | None, kind: Modality, models: ModelPair, matches: Sequence[Match]
    ) -> str:
        """Remember a scan of an owner's products; return an id that cannot be guessed."""
        id_ = secrets.token_urlsafe(16)
        self._scans[id_] = ShownScan(
            id=id_, owner=owner, query_kind=kind, models=models, matches=tuple(matches)
        )
        return id_

    def get(self, id_: str, caller: Caller) -> ShownScan:
        """Return a scan that this client may see.

        Raises:
            NotFoundError: the scan is unknown, too old, or of another owner.
        """
        scan = self._scans.get(id_)
        if scan is None or not (caller.sees_all or scan.owner == caller.owner):
            raise NotFoundError(
                "scan_unknown", "no such scan: feedback is taken for this server's last scans only"
            )
        return scan
