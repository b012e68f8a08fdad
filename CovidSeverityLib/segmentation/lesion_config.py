"""The constants of the default profile's infection mask."""

from __future__ import annotations

from dataclasses import dataclass
from math import log


@dataclass(frozen=True)
class LesionConfig:
    """Constants of the default profile's infection mask.

    Parameters
    ----------
    probability : from which on a place is opacity.
    stricter, more_lenient : the same for the ends of the score's range.
    smoothing_mm : standard deviation of the Gaussian over the log-odds, inside the lungs: readers outline regions.
    smallest_ml : volume of the smallest opacity.
    fill_holes : False leaves the filling of enclosed vessels and bronchi out (for ablation).

    Raises
    ------
    ValueError
        If the probabilities do not lie between 0 and 1 in their order, or a size is negative.
    """

    probability: float = 0.5
    stricter: float = 0.7
    more_lenient: float = 0.3
    smoothing_mm: float = 1.0
    smallest_ml: float = 0.3
    fill_holes: bool = True

    def __post_init__(self) -> None:
        levels = self.more_lenient, self.probability, self.stricter
        if not 0 < levels[0] <= levels[1] <= levels[2] < 1:
            raise ValueError(f"probabilities are {levels}; expected them to rise between 0 and 1")
        for name in ("smoothing_mm", "smallest_ml"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected 0 or more")

    @property
    def levels(self) -> tuple[float, float, float]:
        """Log-odds of the three probabilities: as it is marked, stricter, more lenient."""
        return tuple(log(p / (1 - p)) for p in (self.probability, self.stricter, self.more_lenient))
