"""One of the two examinations: masks and scores, with or without the CT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.features.quantification import LobeScore, opacity_voxels, side_voxels
from CovidSeverityLib.features.totals import Totals
from CovidSeverityLib.findings import Findings
from CovidSeverityLib.immutable import Value
from CovidSeverityLib.types import Geometry, Lobe, Opacity, QualityNote, Side, StorageOrder


@dataclass(frozen=True)
class PersonMark:
    """Who and when, as far as DICOM says so. It never enters a report.

    Parameters
    ----------
    patient : str
        PatientID; empty where it is not known.
    day : str
        Date of the acquisition, YYYYMMDD; empty where it is not known.
    """

    patient: str = field(default="", repr=False)
    day: str = field(default="", repr=False)


@dataclass(frozen=True, eq=False, repr=False)
class Examination(Value, Totals):
    """What was found in one CT, as far as a comparison needs it.

    Parameters
    ----------
    name : str
        Of the CT, without the folders above it.
    geometry, stored_geometry : Geometry
        Of the arrays, and of the CT as it was stored.
    storage : StorageOrder
        How the stored axes map to (K, J, I).
    lungs, lobes, infection : (K, J, I) ndarray of uint8
        Labels of ``Side``, ``Lobe`` and ``Opacity``.
    lobe_scores : tuple of LobeScore
        Of every lobe, with ranges where the profile knows them.
    ctss_range : tuple of two int, or None
        Of the total.
    severity : str
        The word for the score.
    version, profile : str
        Of the program, and name of the configuration.
    configuration : mapping
        The whole of it.
    quality : tuple of QualityNote
        What its reader should know.
    hu : (K, J, I) ndarray of int16, or None
        The CT, where it is at hand.
    person : PersonMark
        Who and when.
    """

    name: str
    geometry: Geometry
    stored_geometry: Geometry
    storage: StorageOrder
    lungs: NDArray[np.uint8]
    lobes: NDArray[np.uint8]
    infection: NDArray[np.uint8]
    side_voxels: Mapping[Side, int]
    opacity_voxels: Mapping[Opacity, int]
    lobe_scores: tuple[LobeScore, ...]
    ctss_range: tuple[int, int] | None
    severity: str
    version: str
    profile: str
    configuration: Mapping[str, Any]
    quality: tuple[QualityNote, ...] = ()
    hu: NDArray[np.int16] | None = None
    person: PersonMark = PersonMark()

    well_aerated_voxels = None

    def __repr__(self) -> str:
        what = "masks" if self.hu is None else "CT and masks"
        return f"Examination({self.name!r}, {what}, CTSS {self.ctss}, {self.infection_percent:.1f} % infected)"

    @classmethod
    def of(cls, found: Findings, person: PersonMark = PersonMark()) -> Examination:
        """The examination that an analysis found."""
        return cls(
            name=found.volume.name,
            geometry=found.volume.geometry,
            stored_geometry=found.volume.stored_geometry,
            storage=found.volume.storage,
            lungs=found.lungs,
            lobes=found.lobes,
            infection=found.infection,
            side_voxels=found.side_voxels,
            opacity_voxels=found.opacity_voxels,
            lobe_scores=found.lobe_scores,
            ctss_range=found.ctss_range,
            severity=found.severity.label,
            version=found.provenance.version,
            profile=found.provenance.profile,
            configuration=found.provenance.configuration,
            quality=found.quality,
            hu=found.volume.hu,
            person=person,
        )

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel, ml."""
        return self.geometry.voxel_ml

    @property
    def opacity(self) -> NDArray[np.bool_]:
        """(K, J, I) any opacity inside the lungs."""
        return (self.infection > 0) & (self.lungs > 0)

    def lobe(self, lobe: Lobe) -> LobeScore:
        """What was found in one lobe."""
        return next(score for score in self.lobe_scores if score.lobe is lobe)


def counted(lungs: NDArray[np.uint8], infection: NDArray[np.uint8]) -> dict[str, Any]:
    """The fields of an examination that follow from its masks."""
    return {"side_voxels": side_voxels(lungs), "opacity_voxels": opacity_voxels(infection, lungs)}
