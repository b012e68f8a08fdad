"""The segments of an analysis: names, codes and masks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydicom.sr.coding import Code

from CovidSeverityLib.findings import Findings
from CovidSeverityLib.reporting.palette import LOBE_COLOURS, LUNG_COLOUR, OPACITY_COLOURS, Rgb
from CovidSeverityLib.reporting.segmentation import LATERALITY, LOBE_TYPES, OPACITY_TYPES, SIDE_NAMES
from CovidSeverityLib.types import LOBE_NAMES, OPACITY_NAMES, Lobe, Opacity, Side

from .codes import ABNORMAL_STRUCTURE, ANATOMICAL_STRUCTURE, BILATERAL, LUNG, code_of

Part: TypeAlias = Side | Lobe | Opacity
"""What a segment shows."""


@dataclass(frozen=True)
class Segment:
    """One segment.

    Parameters
    ----------
    part : Side, Lobe or Opacity
        What it shows.
    name : str
        For people.
    category, kind : Code
        Category and type of the segmented property.
    laterality : Code or None
        Modifier of the type; None where the type tells the side.
    region : Code or None
        The anatomic region of an opacity.
    colour : tuple of three float
        Red, green, blue, 0 to 1.
    """

    part: Part
    name: str
    category: Code
    kind: Code
    laterality: Code | None
    region: Code | None
    colour: Rgb

    @property
    def site(self) -> tuple[Code, Code | None]:
        """Where it lies: anatomic location and laterality."""
        return (self.kind, self.laterality) if self.region is None else (self.region, BILATERAL)

    def planes(self, analysis: Findings) -> Iterator[NDArray[np.bool_]]:
        """Its mask plane by plane, in the order in which the input is stored."""
        layer = {Side: analysis.lungs, Lobe: analysis.lobes, Opacity: analysis.infection}[type(self.part)]
        return (plane == self.part.value for plane in analysis.volume.storage.to_stored(layer))


def all_segments() -> tuple[Segment, ...]:
    """Every segment that an analysis can have: lungs, lobes, opacities.

    Examples
    --------
    >>> [segment.name for segment in all_segments()][:3]
    ['right lung', 'left lung', 'right upper lobe']
    """
    anatomy = ANATOMICAL_STRUCTURE
    lungs = (
        Segment(side, name, anatomy, LUNG, code_of(LATERALITY[side]), None, LUNG_COLOUR)
        for side, name in SIDE_NAMES.items()
    )
    lobes = (
        Segment(lobe, name, anatomy, code_of(LOBE_TYPES[lobe]), _laterality(lobe), None, LOBE_COLOURS[lobe])
        for lobe, name in LOBE_NAMES.items()
    )
    opacities = (
        Segment(kind, name, ABNORMAL_STRUCTURE, code_of(OPACITY_TYPES[kind]), None, LUNG, OPACITY_COLOURS[kind])
        for kind, name in OPACITY_NAMES.items()
    )
    return (*lungs, *lobes, *opacities)


def _laterality(lobe: Lobe) -> Code | None:
    """The side of a lobe; the code of the middle lobe tells it."""
    return None if lobe is Lobe.RML else code_of(LATERALITY[lobe.side])
