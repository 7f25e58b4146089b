"""The services, by the names that `EMBEDDING_SERVER_API` gives them."""

from collections.abc import Mapping

from yarl import URL

from shelfsight.embedding.remote.services.cohere import COHERE
from shelfsight.embedding.remote.services.gemini import GEMINI
from shelfsight.embedding.remote.services.jina import JINA
from shelfsight.embedding.remote.services.service import Service
from shelfsight.embedding.remote.services.voyage import VOYAGE

SERVICES: Mapping[str, Service] = {
    "jina": JINA,
    "cohere": COHERE,
    "voyage": VOYAGE,
    "gemini": GEMINI,
}


def service_of(api: str, url: str) -> Service | None:
    """Return the service with this API, or with `auto` the one whose host the address has.

    None is a server with shelfsight's own protocol or OpenAI's, which the handshake finds out.
    """
    if api != "auto":
        return SERVICES.get(api)
    host = URL(url).host
    return next((service for service in SERVICES.values() if host in service.hosts), None)
