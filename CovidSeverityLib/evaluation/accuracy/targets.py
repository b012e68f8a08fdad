"""The targets of ``evaluate accuracy``: acceptance bounds that the project has set itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Sense(str, Enum):
    """The required side of a bound."""

    AT_LEAST = "at least"
    AT_MOST = "at most"
    UNDER = "under"

    def met(self, value: float, bound: float) -> bool:
        """Whether ``value`` is on the required side of ``bound``."""
        if self is Sense.AT_LEAST:
            return value >= bound
        return value <= bound if self is Sense.AT_MOST else value < bound


@dataclass(frozen=True)
class Target:
    """The target of a figure: an acceptance bound of the project."""

    sense: Sense
    bound: float
    unit: str = ""

    @property
    def text(self) -> str:
        """``at least 0.97``."""
        return f"{self.sense.value} {self.bound:g}{self.unit}"

    def met(self, value: float | None) -> bool | None:
        """Whether ``value`` reaches the target; None without a value."""
        return None if value is None else self.sense.met(value, self.bound)


SLICE_AUC = Target(Sense.AT_LEAST, 0.97)
POOLED_AUC = Target(Sense.AT_LEAST, 0.90)
LOBE_AUC = Target(Sense.AT_LEAST, 0.90)
"""Radiologists' labels of slices and lobes."""

HEALTHY_PERCENT = Target(Sense.UNDER, 0.15, " %")
HEALTHY_CTSS = Target(Sense.AT_MOST, 1)
"""A healthy chest, unchanged and with each of its variations."""

MEAN_DICE = Target(Sense.AT_LEAST, 0.85)
CONSOLIDATION_RECALL = Target(Sense.AT_LEAST, 0.85)
GROUND_GLASS_RECALL = Target(Sense.AT_LEAST, 0.90)
VOLUMES_RIGHT = Target(Sense.AT_LEAST, 90, " %")
SCORES_RIGHT = Target(Sense.AT_LEAST, 95, " %")
RANGES_RIGHT = Target(Sense.AT_LEAST, 85, " %")
LUNGS_DICE = Target(Sense.AT_LEAST, 0.96)
"""Simulated lesions: each volume within 15 % or 10 ml, scores within 1."""

VARIED_PERCENT = Target(Sense.UNDER, 0.5, " %")
CTSS_CHANGE = Target(Sense.AT_MOST, 1)
VOLUME_CHANGE = Target(Sense.AT_MOST, 20, " %")
"""The same CT with other slices, pixels and noise; the first is of a normal CT."""
