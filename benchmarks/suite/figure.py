"""One line of the table: what was measured, against which limit."""

from dataclasses import dataclass
from statistics import median
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """`rounds` are the ratios (or seconds) of one run in turn; `detail` says what they are of.

    `aim` is what they should reach, as `limit`: at least, or at the most.
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
        """Whether the aim is; None without one."""
        if self.aim is None:
            return None
        return self.value >= self.aim if self.limit == "least" else self.value <= self.aim

    def words(self) -> tuple[str, str, str, str]:
        """Name, value with its range, aim and whether it is reached, detail."""
        value = f"{self.value:.2f}{self.unit}"
        if len(self.rounds) > 1:
            value += f" ({min(self.rounds):.2f}-{max(self.rounds):.2f})"
        sign = ">=" if self.limit == "least" else "<="
        aim = "" if self.aim is None else f"{sign} {self.aim:g}{self.unit}"
        if self.is_reached is not None:
            aim += ", reached" if self.is_reached else ", missed"
        return self.name, value, aim, self.detail
