"""Authentication: by API key or, as long as no key exists, by being on this machine."""

from dataclasses import dataclass
from functools import partial

from fastapi import Request

from shelfsight.serving.access import check_local, check_origin
from shelfsight.serving.callers import CALLER, address_of
from shelfsight.serving.refusals import ForbiddenError, UnauthorizedError
from shelfsight.serving.scan_api.rate_limits import RateLimiter
from shelfsight.serving.thread_pool import ThreadPool
from shelfsight.storage.api_keys import ApiKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The client that sent a request.

    `owner` is the owner whose products the client may see; None means all products. `id` identifies
    the client for its rate limit; a client without an id is not limited. `may_confirm` says
    whether photos that the client confirms change what others find.
    """

    owner: str | None = None
    id: str | None = None
    may_confirm: bool = True

    @property
    def sees_all(self) -> bool:
        """Whether the client may see the products of every owner, as with an admin's key."""
        return self.owner is None

    def owner_to_search(self, requested: str | None) -> str | None:
        """Return the owner whose products to search, or None for the products of all owners.

        `requested` is the owner that the request names, if any.

        Raises:
            ForbiddenError: the client may not see the products of the requested owner.
        """
        if self.sees_all:
            return requested
        if requested not in (None, self.owner):
            raise ForbiddenError("foreign_owner", "this key sees the products of its own owner")
        return self.owner


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRule:
    """Which clients are served without a key, as long as no key was ever created.

    Clients on this machine are always served; with `open_to_all`, all clients are. Web pages of
    other sites are refused, unless their origin is one of `origins`.
    """

    open_to_all: bool = False
    origins: tuple[str, ...] = ()


class Authenticator:
    """Finds out which client sent a request, and counts the request against its rate limit."""

    def __init__(
        self, keys: ApiKeys, threads: ThreadPool, rate_limiter: RateLimiter, rule: AccessRule
    ) -> None:
        self._keys = keys
        self._threads = threads
        self._rate_limiter = rate_limiter
        self._rule = rule
        self._has_keys = False

    async def authenticate(self, request: Request) -> Caller:
        """Return the client that sent a request, count the request, and set `CALLER`.

        The key is looked up in the database each time, so that a revoked key is refused at once.

        Raises:
            UnauthorizedError: the key is missing, wrong or revoked.
            ForbiddenError: no key exists, and the request comes from another site or host, or was
                forwarded by a proxy.
            RateLimitedError: there were too many requests within a minute.
            DatabaseError: the keys cannot be read.
        """
        CALLER.set(address_of(request))
        caller = await self._identify(request)
        if caller.id is not None:
            self._rate_limiter.count_request(caller.id)
        return caller

    async def _identify(self, request: Request) -> Caller:
        scheme, _, sent = request.headers.get("authorization", "").partition(" ")
        if sent.strip() and scheme.lower() == "bearer":
            key = await self._threads.run(partial(self._keys.find, sent.strip()))
            if key is None:
                raise UnauthorizedError("key_refused", "this key is wrong, or was revoked")
            CALLER.set(f"key {key.id}")
            return Caller(owner=key.owner, id=key.id, may_confirm=key.may_confirm)
        # Keys are revoked but never deleted, so this stays true once a key exists.
        self._has_keys = self._has_keys or await self._threads.run(self._keys.exist)
        if self._has_keys:
            raise UnauthorizedError("key_missing", "send a key as: Authorization: Bearer KEY")
        return self._without_key(request)

    async def authenticate_admin(self, request: Request) -> Caller:
        """Return the client that sent a request; it must be allowed to see all owners' products.

        Raises:
            ForbiddenError: the key belongs to one owner.
            RequestRefusedError, DatabaseError: as in `authenticate`.
        """
        caller = await self.authenticate(request)
        if not caller.sees_all:
            raise ForbiddenError("admin_only", "this needs the key of an admin")
        return caller

    def _without_key(self, request: Request) -> Caller:
        """Return the client of a request without a key, when no key exists.

        The client must be on this machine, and must not be another site's web page that attacks
        through a browser on this machine.
        """
        check_origin(request, self._rule.origins)
        if self._rule.open_to_all:
            return Caller(id=address_of(request), may_confirm=False)
        check_local(request)
        return Caller()
