"""The constants that turn the similarities of a pair of models into probabilities."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from pydantic import TypeAdapter, ValidationError

from shelfsight.records import EvidenceKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the similarity of one modality says; `scan.evidence` has the formulas.

    Attributes:
        sharp: the temperature of a query that is clear, in units of the similarity.
        broad: the temperature of a query that is hard to recognise; the same unit.
        clear: the share of clear queries, in [0, 1].
        absent: the log-likelihood ratio of "not in the catalogue" at a best similarity of 0.
        absent_slope: how much that ratio falls when the best similarity grows by 1.
    """

    sharp: float
    broad: float
    clear: float
    absent: float = 0.0
    absent_slope: float = 0.0

    def __post_init__(self) -> None:
        if not (self.sharp > 0 and self.broad > 0 and 0 <= self.clear <= 1):
            raise ValueError("temperatures must be above 0, and shares within 0 and 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The evidence of each kind for a pair of models.

    Attributes:
        evidence: the constants of the kinds that were measured: "image", "text", "color".
        source: what they were fitted on, in words for people.
    """

    evidence: Mapping[EvidenceKind, Evidence]
    source: str

    def as_json(self) -> dict[str, object]:
        """Return the calibration as JSON; `from_json` reads it."""
        return {
            "evidence": {name: asdict(one) for name, one in self.evidence.items()},
            "source": self.source,
        }

    @classmethod
    def from_json(cls, stored: object) -> "Calibration":
        """Read what `as_json` returned.

        Raises:
            ValueError: it is something else.
        """
        try:
            return TypeAdapter(cls).validate_python(stored)
        except ValidationError as error:
            raise ValueError(f"not a calibration: {error}") from error
