"""Scores of masks that a person corrected: the same numbers as the analysis where nothing was changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.ctss import Severity, severity_for
from CovidSeverityLib.features.config import MeasureConfig
from CovidSeverityLib.features.published_score import SliceScoreConfig, published_score
from CovidSeverityLib.features.quantification import (
    Counts,
    LobeScore,
    SliceRow,
    lobe_scores,
    rows_of_slices,
)
from CovidSeverityLib.features.spill import spill_matters, spilled_lobes
from CovidSeverityLib.features.totals import Totals, ctss_of
from CovidSeverityLib.morphology.grid import bounding_box
from CovidSeverityLib.types import Geometry, Lobe, Opacity, Side

from .parts import CODES, SIDES_OF_LOBES, combine, lobes_of, opacities_of, sides_of

NEAREST_VOXELS = 2_000_000
"""The nearest lobe of added lung is looked for among at most so many voxels: every third along each axis of a 0.7 mm
CT, which is finer than a lobe's border is known."""

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class ScoringRules:
    """What a score needs besides masks; all of it stands in the files of the automatic analysis.

    Parameters
    ----------
    voxel_ml : float
        Volume of a voxel, ml.
    shape : (int, int, int)
        Of the CT, (K, J, I).
    z_mm : mapping of int to float
        LPS position of every acquired slice by its index, mm.
    slice_scores : SliceScoreConfig or None
        Of the published method; None scores lobes by their volume.
    approximate : bool
        Whether the lobes' borders are known to a few millimetres only.
    confidence : mapping of Lobe to float or None
        Of every lobe's automatic outline, 0 to 1, where it is known.
    ctss_definition : str
        How the score is made, for people.
    least_percent, spill_percent : float
        Involvement up to which a lobe scores 0, as in :class:`~CovidSeverityLib.features.config.MeasureConfig`.
    """

    voxel_ml: float
    shape: tuple[int, int, int]
    z_mm: Mapping[int, float]
    slice_scores: SliceScoreConfig | None
    approximate: bool
    confidence: Mapping[Lobe, float | None]
    ctss_definition: str
    least_percent: float = MeasureConfig.least_percent
    spill_percent: float = MeasureConfig.spill_percent

    @classmethod
    def of_report(cls, report: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> ScoringRules:
        """The rules of an analysis.

        Parameters
        ----------
        report : mapping of str to any
            Content of its ``report.json``.
        rows : iterable of mapping of str to any
            Of its ``slices.csv``, numbers parsed.
        """
        size, spacing = report["input"]["size"], report["input"]["spacing_mm"]
        geometry = Geometry(tuple(size), tuple(spacing), (0.0, 0.0, 0.0), IDENTITY)
        configuration = report["provenance"]["configuration"]
        published, measures = configuration.get("slice_scores"), configuration.get("measures", {})
        lobes = report["ctss"]["lobes"]
        return cls(
            voxel_ml=geometry.voxel_ml,
            shape=geometry.shape,
            z_mm=MappingProxyType({int(row["index"]): float(row["z_mm"]) for row in rows}),
            slice_scores=None if published is None else SliceScoreConfig(**published),
            approximate=report["lobes"]["approximate"],
            confidence=MappingProxyType({lobe: lobes[lobe.name]["confidence"] for lobe in Lobe}),
            ctss_definition=report["ctss"]["definition"],
            **{name: measures[name] for name in ("least_percent", "spill_percent") if name in measures},
        )


@dataclass(frozen=True, eq=False)
class Rescored(Totals):
    """Counts of corrected masks and the scores that follow.

    ``well_aerated_voxels`` is None where the CT was not at hand. No range is known: it belongs to thresholds and
    fissures, not to a person's hand.
    """

    voxel_ml: float
    side_voxels: Mapping[Side, int]
    opacity_voxels: Mapping[Opacity, int]
    lobe_scores: tuple[LobeScore, ...]
    slices: tuple[SliceRow, ...]
    severity: Severity
    ctss_definition: str
    well_aerated_voxels: int | None
    ctss_max_variant: int | None = None
    ctss_range: tuple[int, int] | None = None


def tally(codes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(K, CODES) voxels of every code in every slice of (K, J, I) ``codes``."""
    return np.array([np.bincount(plane.ravel(), minlength=CODES) for plane in codes]).reshape(len(codes), CODES)


def rescore(
    lungs: NDArray[np.uint8],
    lobes: NDArray[np.uint8],
    infection: NDArray[np.uint8],
    rules: ScoringRules,
    well_aerated: int | None = None,
) -> Rescored:
    """Score masks by the rules of an automatic analysis.

    Parameters
    ----------
    lungs, lobes, infection : (K, J, I) ndarray of uint8
        Labels of :class:`Side`, :class:`Lobe` and :class:`Opacity`. Opacity outside the lungs is not counted.
    rules : ScoringRules
        Of the analysis.
    well_aerated : int, optional
        Voxels of well-aerated lung; None where that is not known.

    Raises
    ------
    ValueError
        If the masks have another shape than the CT.
    """
    for name, mask in (("lungs", lungs), ("lobes", lobes), ("infection", infection)):
        if mask.shape != rules.shape:
            raise ValueError(f"{name} {mask.shape} do not match the analysed CT {rules.shape} (K, J, I)")
    codes = combine(lungs, lobes, infection)
    return rescore_tally(tally(codes), codes, rules, well_aerated)


def rescore_tally(
    table: NDArray[np.int64],
    codes: NDArray[np.uint8],
    rules: ScoringRules,
    well_aerated: int | None = None,
    changed: Collection[Lobe] = (),
) -> Rescored:
    """:func:`rescore` of masks that have been counted.

    Parameters
    ----------
    table : ndarray of int64
        Of :func:`tally`, a row for every slice of the CT.
    codes : (K, J, I) ndarray of uint8
        Codes of at least the part of the CT that is not empty; looked at only where a lobe holds so little that it may
        be spilled into.
    rules, well_aerated
        As for :func:`rescore`.
    changed : collection of Lobe
        Lobes that were corrected; nothing is known about how sure they are.
    """
    counts = _counts(table)
    published = None
    if rules.slice_scores is not None:
        published = published_score(counts, rules.shape[1] * rules.shape[2], rules.slice_scores)
    means, least = (None, rules.least_percent) if published is None else (published.mean, 0.0)
    doubted = rules.approximate and published is None and spill_matters(counts, least, rules.spill_percent)
    spilled = spilled_lobes(opacities_of(codes) > 0, lobes_of(codes)) if doubted else frozenset()
    confidence = {lobe: None if lobe in changed else rules.confidence.get(lobe) for lobe in Lobe}
    scores = lobe_scores(counts, rules.voxel_ml, means, confidence, spilled, least, rules.spill_percent)
    every = np.arange(CODES, dtype=np.uint8)
    voxels, inside = table.sum(axis=0), sides_of(every) > 0
    return Rescored(
        voxel_ml=rules.voxel_ml,
        side_voxels={side: int(voxels[sides_of(every) == side].sum()) for side in Side},
        opacity_voxels={kind: int(voxels[inside & (opacities_of(every) == kind)].sum()) for kind in Opacity},
        lobe_scores=scores,
        slices=rows_of_slices(counts, rules.z_mm, rules.voxel_ml),
        severity=severity_for(ctss_of(scores)),
        ctss_definition=rules.ctss_definition,
        well_aerated_voxels=well_aerated,
        ctss_max_variant=sum(published.maximum.values()) if published else None,
    )


def nearest_lobes(
    codes: NDArray[np.uint8], voxels: tuple[NDArray[np.intp], ...], sides: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """(N,) labels of the lobes that lie nearest to voxels of a side; 0 where that side has none.

    Parameters
    ----------
    codes : (K, J, I) ndarray of uint8
        Codes: lobes are looked for in them, among every n-th voxel of large arrays.
    voxels : tuple of ndarray of intp
        Three (N,) arrays of indices along K, J and I.
    sides : (N,) ndarray of uint8
        Labels of :class:`Side`; lobes of the other side are not looked at.
    """
    result = np.zeros(len(sides), dtype=np.uint8)
    step = max(1, ceil((codes.size / NEAREST_VOXELS) ** (1 / 3)))
    coarse = codes[::step, ::step, ::step]
    lobes, named = lobes_of(coarse), SIDES_OF_LOBES[lobes_of(coarse)] == sides_of(coarse)
    for side in np.unique(sides):
        own = named & (sides_of(coarse) == side)
        here = sides == side
        if side and own.any():
            wanted = tuple(np.minimum(n[here] // step, size - 1) for n, size in zip(voxels, coarse.shape, strict=True))
            result[here] = _nearest_label(np.where(own, lobes, np.uint8(0)), wanted)
    return result


def _counts(table: NDArray[np.int64]) -> Counts:
    every = np.arange(CODES, dtype=np.uint8)
    inside = sides_of(every) > 0
    lung, infected = (np.zeros((len(table), len(Lobe) + 1), dtype=np.int64) for _ in range(2))
    for column in range(len(Lobe) + 1):
        own = inside & (lobes_of(every) == column)
        lung[:, column] = table[:, own].sum(axis=1)
        infected[:, column] = table[:, own & (opacities_of(every) > 0)].sum(axis=1)
    return Counts(lung, infected)


def _nearest_label(labels: NDArray[np.uint8], voxels: tuple[NDArray[np.intp], ...]) -> NDArray[np.uint8]:
    """The label nearest to every voxel; some label is not 0."""
    wanted = labels > 0
    wanted[voxels] = True
    box = bounding_box(wanted)
    part = labels[box]
    where = np.asarray(ndimage.distance_transform_edt(part == 0, return_distances=False, return_indices=True))
    here = tuple(n - cut.start for n, cut in zip(voxels, box, strict=True))
    return part[tuple(axis[here] for axis in where)]
