"""One line of the result table: a measured value and its target."""

from dataclasses import dataclass
from statistics import median
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A value measured in several rounds: ratios, or seconds.

    `detail` says what was measured. `aim` is the target for the median; `limit` says whether to
    reach it from above ("least": at least the aim) or from below ("most": at most the aim).
    """

    name: str
    rounds: tuple[float, ...]
    detail: str
    aim: float | None = None
    limit: Literal["least", "most"] = "least"
    unit: Literal["", " s", " x"] = ""

    @property
    def value(self) -> float:
        """The median of the rounds."""
        return median(self.rounds)

    @property
    def is_reached(self) -> bool | None:
        """Whether the median reaches the aim; None without an aim."""
        if self.aim is None:
            return None
        return self.value >= self.aim if self.limit == "least" else self.value <= self.aim

    def columns(self) -> tuple[str, str, str, str]:
        """Return name, value with its range, aim with whether it is reached, and detail."""
        value = f"{self.value:.2f}{self.unit}"
        if len(self.rounds) > 1:
            value += f" ({min(self.rounds):.2f}-{max(self.rounds):.2f})"
        sign = ">=" if self.limit == "least" else "<="
        aim = "" if self.aim is None else f"{sign} {self.aim:g}{self.unit}"
        if self.is_reached is not None:
            aim += ", reached" if self.is_reached else ", missed"
        return self.name, value, aim, self.detail
