"""The constants of the default profile's infection mask."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Annotated

from CovidSeverityLib.checked import Range, check_fields
from CovidSeverityLib.errors import ConfigurationError

WIDEST_SMOOTHING_MM = 50.0
"""Half the width of a lung: beyond it nothing of where an opacity lies is left."""

Probability = Annotated[float, Range(0, 1, without_ends=True)]


@dataclass(frozen=True)
class OpacityConfig:
    """Constants of the default profile's infection mask.

    Parameters
    ----------
    probability : float, probability
        A place of at least this probability is opacity: the more probable of the two.
    stricter, more_lenient : float, probability
        The same for the ends of the score's range: odds of about 2 to 1 either way.
    smoothing_mm : float, mm
        Standard deviation of the Gaussian over the log-odds, inside the lungs: readers outline regions.
    smallest_ml : float, ml
        Volume of the smallest opacity: a ball of 8 mm.
    fill_holes : bool
        False does not fill enclosed vessels and bronchi (for ablation).

    Raises
    ------
    ConfigurationError
        If the probabilities do not lie between 0 and 1 in their order, or a size is negative or no number.
    """

    probability: Probability = 0.5
    stricter: Probability = 0.7
    more_lenient: Probability = 0.3
    smoothing_mm: Annotated[float, Range(0, WIDEST_SMOOTHING_MM)] = 1.0
    smallest_ml: Annotated[float, Range(0)] = 0.3
    fill_holes: bool = True

    def __post_init__(self) -> None:
        check_fields(self)
        levels = self.more_lenient, self.probability, self.stricter
        if not levels[0] <= levels[1] <= levels[2]:
            raise ConfigurationError(f"OpacityConfig: probabilities are {levels}; expected them to rise")

    @property
    def levels(self) -> tuple[float, float, float]:
        """Log-odds of the three probabilities: as it is marked, stricter, more lenient."""
        return tuple(log(p / (1 - p)) for p in (self.probability, self.stricter, self.more_lenient))
