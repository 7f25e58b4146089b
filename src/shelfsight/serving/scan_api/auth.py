"""Who asks: the holder of a key, or, as long as there is no key, whoever is on this machine."""

from dataclasses import dataclass
from functools import partial

from fastapi import Request

from shelfsight.serving.access import is_loopback
from shelfsight.serving.refusals import KeyRefusedError
from shelfsight.serving.scan_api.problems import ForbiddenError
from shelfsight.serving.scan_api.rate_limits import RateLimiter
from shelfsight.serving.scan_api.thread_pool import ThreadPool
from shelfsight.storage.api_keys import ApiKey, ApiKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks. `owner` None sees all products; `id` tells callers apart, None is not limited."""

    owner: str | None = None
    id: str | None = None

    @property
    def sees_all(self) -> bool:
        """Whether the products of every owner may be seen, as with an admin's key."""
        return self.owner is None

    def owner_to_search(self, asked: str | None) -> str | None:
        """Whose products are searched when those of `asked` are asked for; None is everyone's.

        Raises:
            ForbiddenError: they are not this caller's.
        """
        if self.sees_all:
            return asked
        if asked not in (None, self.owner):
            raise ForbiddenError("foreign_owner", "this key sees the products of its own owner")
        return self.owner


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRule:
    """Who is served without a key, as long as none was ever made.

    Those on this machine; with `open_to_all` everyone; and pages of the sites `origins`.
    """

    open_to_all: bool = False
    origins: tuple[str, ...] = ()


class Authenticator:
    """Knows who may ask, and how much."""

    def __init__(
        self, keys: ApiKeys, workers: ThreadPool, rate_limiter: RateLimiter, rule: AccessRule
    ) -> None:
        self._keys = keys
        self._workers = workers
        self._rate_limiter = rate_limiter
        self._rule = rule
        self._has_keys = False

    async def of(self, request: Request) -> Caller:
        """Who sent this request; asked of the database each time, so that a revoked key is out.

        Counts the request.

        Raises:
            KeyRefusedError: no key, or one that is wrong or revoked.
            ForbiddenError: a page of another site asks, through the browser of someone here.
            LimitedError: too many requests within a minute.
            DatabaseError: the keys cannot be read.
        """
        caller = await self._of(request)
        if caller.id is not None:
            self._rate_limiter.request(caller.id)
        return caller

    async def _of(self, request: Request) -> Caller:
        scheme, _, sent = request.headers.get("authorization", "").partition(" ")
        if sent.strip() and scheme.lower() == "bearer":
            key = await self._workers.run(partial(self._keys.find, sent.strip()))
            if key is None:
                raise KeyRefusedError("key_refused", "this key is wrong, or was revoked")
            return _holder(key)
        # Keys are revoked, never deleted: once there is one there always is.
        self._has_keys = self._has_keys or await self._workers.run(self._keys.exist)
        if self._has_keys:
            raise KeyRefusedError("key_missing", "send a key as: Authorization: Bearer KEY")
        return self._without_key(request)

    async def admin(self, request: Request) -> Caller:
        """Who sent this request, who must be allowed to see the products of every owner.

        Raises:
            ForbiddenError: the key is that of one owner.
            KeyRefusedError: as `of`.
            DatabaseError: as `of`.
        """
        caller = await self.of(request)
        if not caller.sees_all:
            raise ForbiddenError("admin_only", "this needs the key of an admin")
        return caller

    def _without_key(self, request: Request) -> Caller:
        """Someone on this machine, and not a web page that uses their browser to get here.

        A name that is made to point to 127.0.0.1 shows in `Host`, another site's page in `Origin`.
        """
        origin = request.headers.get("origin")
        own = f"{request.url.scheme}://{request.url.netloc}"
        if origin is not None and origin != own and origin not in self._rule.origins:
            raise ForbiddenError("foreign_origin", "pages of other sites may not ask without a key")
        if self._rule.open_to_all:
            return Caller(id=request.client.host if request.client else "unknown")
        if not is_loopback(request.url.hostname or ""):
            raise ForbiddenError(
                "foreign_host", "without a key ask by 127.0.0.1 or localhost, or make a key"
            )
        return Caller()


def _holder(key: ApiKey) -> Caller:
    return Caller(owner=key.owner, id=key.id)
