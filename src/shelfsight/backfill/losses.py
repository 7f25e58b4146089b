"""Keeps a run from taking away many of the stored vectors unless somebody has agreed.

A vector is taken away if its product has no such content any more, or has other content that fails.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shelfsight.backfill.ports import Ledger, VectorStore
from shelfsight.backfill.runs import Run
from shelfsight.errors import UnconfirmedLossError
from shelfsight.records import EmbeddedProduct, VectorCounts

MAX_SHARE = 0.1
"""The largest share of the vectors of a kind that is taken away without a question."""

FEW = 1
"""A number of vectors that is taken away without a question, also where that is a large share: the
edit of a product in a small shop."""

Count = Callable[[], VectorCounts]

Guard = Callable[[list[EmbeddedProduct]], list[EmbeddedProduct]]
"""Takes the products that are about to be stored, and returns those that may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPolicy:
    """What a run may do without a question.

    With `joins`, it joins an active run of the same job; otherwise it always begins a new run. With
    `accepts_losses`, it takes away any number of stored vectors, and does without columns that
    earlier runs have read. Otherwise `confirm` is asked before it takes away many vectors.
    """

    joins: bool = True
    accepts_losses: bool = False
    confirm: Callable[[str], bool] = lambda _question: False


def excess(lost: VectorCounts, stored: VectorCounts) -> str | None:
    """Say which kinds would lose more than `MAX_SHARE` of their vectors (and more than `FEW`).

    None if no kind would. The result begins a sentence, such as "300 of 300 text vectors".
    """
    found = [
        f"{lost_of_kind} of {stored_of_kind} {kind}"
        for kind, lost_of_kind, stored_of_kind in lost.beside(stored)
        if lost_of_kind > max(FEW, MAX_SHARE * stored_of_kind)
    ]
    return f"{' and '.join(found)} vectors" if found else None


def lost_by(page: Sequence[EmbeddedProduct]) -> VectorCounts:
    """Count the vectors that are taken away when a page is stored."""
    return sum((item.lost for item in page), VectorCounts())


class LossLimit:
    """Counts what a run takes away, page by page, and ends the run before that is too much.

    `stored` counts the stored vectors, and `taken` those that the run has taken away so far. Both
    are asked only for a page that takes vectors away.
    """

    def __init__(self, stored: Count, taken: Count) -> None:
        self._count_stored = stored
        self._count_taken = taken
        self._at_first: VectorCounts | None = None

    def check(self, page: list[EmbeddedProduct]) -> list[EmbeddedProduct]:
        """Return the page, which is about to be stored.

        Raises:
            UnconfirmedLossError: with this page the run would have taken away more than it may.
        """
        lost = lost_by(page)
        if lost.is_any:
            taken = self._count_taken()
            if self._at_first is None:
                self._at_first = self._count_stored() + taken
            if much := excess(taken + lost, self._at_first):
                raise UnconfirmedLossError(
                    f"the run ends before it has taken away {much}: their products have no such"
                    " content any more, or other content that fails; if that is right, add --yes"
                )
        return page


class LossPause:
    """Leaves out of each page the products that would lose vectors, once that is too much.

    `pending` counts the vectors of the whole catalogue that are lost if nothing is left out. It and
    `stored` are asked once, at the first loss.
    """

    def __init__(self, stored: Count, pending: Count, notify: Callable[[str], None]) -> None:
        self._count_stored = stored
        self._count_pending = pending
        self._notify = notify
        self._stored: VectorCounts | None = None
        self._lost = VectorCounts()
        self._is_over = False
        self.paused: set[str] = set()

    def filter(self, page: list[EmbeddedProduct]) -> list[EmbeddedProduct]:
        """Return the products of a page that may be stored; the others are added to `paused`."""
        losing = {item.product.id for item in page if item.lost.is_any}
        if not losing or not self._is_too_much(page):
            return page
        self.paused |= losing
        return [item for item in page if item.product.id not in losing]

    def _is_too_much(self, page: list[EmbeddedProduct]) -> bool:
        if self._is_over:
            return True
        if self._stored is None:
            self._stored = self._count_stored()
            self._check(self._count_pending())
        if not self._is_over:
            self._lost += lost_by(page)
            self._check(self._lost)
        return self._is_over

    def _check(self, lost: VectorCounts) -> None:
        much = excess(lost, self._stored or VectorCounts())
        if much is not None:
            self._is_over = True
            self._notify(
                f"{much} would be taken away, because their products have no such content any more"
                " or other content that fails: these products are left as they are; if that is"
                " right, run: shelfsight backfill --all --yes"
            )


def accept_losses(lost: VectorCounts, store: VectorStore, policy: RunPolicy) -> bool:
    """Return whether somebody has agreed that a run takes away any number of stored vectors.

    `lost` counts what it would take away. Nobody is asked if that is little.

    Raises:
        UnconfirmedLossError: it is much, and nobody agreed.
    """
    if policy.accepts_losses or not lost.is_any:
        return policy.accepts_losses
    much = excess(lost, store.count())
    if much is None:
        return False
    what = f"{much} would be taken away, because their products have no such content any more"
    if policy.confirm(what):
        return True
    raise UnconfirmedLossError(f"{what}; nothing was changed; if that is right, add --yes")


def guard_of(run: Run, store: VectorStore, ledger: Ledger) -> Guard:
    """Return what keeps a run from taking away more of the stored vectors than it may."""
    if run.losses_accepted:
        return lambda page: page

    def taken() -> VectorCounts:
        counts = ledger.run(run.id).counts
        return VectorCounts(
            image=counts.get("lost_image", 0),
            text=counts.get("lost_text", 0),
            combined=counts.get("lost_combined", 0),
        )

    return LossLimit(store.count, taken).check
