"""A worker that is killed at once when it embeds a deadly text: `python -m ... URL`."""

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import closing

from shelfsight.ports import Advanced, ignore
from shelfsight.postgres.connection import Database
from shelfsight.records import Failure, Vector
from shelfsight.testing import HashEmbedder
from tests.shop import backfill_all

DEADLY = "deadly"


class DeadlyEmbedder(HashEmbedder):
    """Ends this process as the kernel does when there is no memory left."""

    def embed_texts(
        self, texts: Sequence[str], *, query: bool = False, advanced: Advanced = ignore
    ) -> list[Vector | Failure]:
        if any(DEADLY in text for text in texts):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().embed_texts(texts, query=query, advanced=advanced)


if __name__ == "__main__":
    with closing(Database(sys.argv[1])) as database:
        backfill_all(database, embedder=DeadlyEmbedder(), guarded=True)
