"""What a comparison found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.immutable import Value
from CovidSeverityLib.types import QualityNote

from .change import Margins
from .examination import Examination
from .lobe_changes import LobeChange
from .registration import Registration
from .registration_quality import RegistrationQuality


@dataclass(frozen=True, eq=False, repr=False)
class Compared(Value):
    """What changed between two examinations: :class:`~.comparison.Comparison` without its method for users."""

    before: Examination
    after: Examination
    registration: Registration
    registration_quality: RegistrationQuality
    labels: NDArray[np.uint8]
    changes: tuple[LobeChange, ...]
    margins: Margins
    days: int | None
    quality: tuple[QualityNote, ...]
    version: str
    configuration: Mapping[str, Any]
    seconds: Mapping[str, float]

    def __repr__(self) -> str:
        lungs = self.lungs
        return (
            f"{type(self).__name__}({self.before.name!r} and {self.after.name!r}, "
            f"CTSS {self.before.ctss} to {self.after.ctss}, "
            f"new {lungs.new_ml:.0f} ml, resolved {lungs.resolved_ml:.0f} ml, persistent {lungs.persistent_ml:.0f} ml)"
        )

    @property
    def lungs(self) -> LobeChange:
        """The change of both lungs."""
        return self.changes[-1]

    @property
    def lobes(self) -> tuple[LobeChange, ...]:
        """The changes of the lobes."""
        return self.changes[:-1]
