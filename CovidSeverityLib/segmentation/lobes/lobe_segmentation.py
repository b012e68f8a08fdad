"""Five anatomical lobes: the lungs cut along the fissures of the atlas, refined by those of the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.morphology.grid import bounding_box
from CovidSeverityLib.parallel import map_in_order
from CovidSeverityLib.types import Box, Lobe, Side

from .config import LobeConfig, LungFrameConfig
from .fissure_surface import FissureSurface
from .fissures import find_fissures
from .lobe_atlas import Fissure, load_atlas
from .lung_frame import LungExtent, LungFrame, lung_extent, match_lungs
from .lung_image import LungImage
from .pieces import in_one_piece
from .values import FissureFinding, LobeSegmentation

ROW_MM = 0.5
"""Step along a fissure's plane at which its heights are tabled, mm: less than a voxel."""

MARGIN = (2, 4, 4)
"""Voxels (K, J, I) around a lung that are kept with it, for the samples beside its border."""


def anatomical_lobes(volume: CtVolume, lungs: NDArray[np.uint8], config: LobeConfig = LobeConfig()) -> LobeSegmentation:
    """Five lobes by an atlas of the fissures, refined where the image shows them.

    The confidence of a lobe is its expected Dice coefficient with the true lobe: 1 minus half the volume between the
    expected and the true fissures (their area times their expected distance), relative to the lobe's volume.

    Parameters
    ----------
    volume : CtVolume
        Chest CT.
    lungs : (K, J, I) ndarray of uint8
        Labels of :class:`Side`; one lung may be absent.
    config : LobeConfig
        How the lungs are matched to the atlas, and fissures found.

    Raises
    ------
    ValueError
        If ``lungs`` does not lie on the grid of ``volume``.
    """
    if lungs.shape != volume.hu.shape:
        raise ValueError(f"lungs {lungs.shape} do not match volume {volume.hu.shape}")
    labels = np.zeros(lungs.shape, dtype=np.uint8)
    confidence: dict[Lobe, float] = {}
    findings: list[FissureFinding] = []
    boxes = {side: bounding_box(lungs == side.value, margin=MARGIN) for side in Side}
    present = [(side, box) for side, box in boxes.items() if lungs[box].size]
    for lung in map_in_order(lambda item: _divided(volume, lungs, *item, config), present, "lobes", None):
        labels[lung.box] |= lung.labels
        confidence |= lung.confidence
        findings += lung.findings
    approximate = any(finding.expected_mm > config.well_seen_mm for finding in findings)
    return LobeSegmentation(labels, _source(findings), approximate, confidence, tuple(findings))


@dataclass(frozen=True, eq=False)
class _DividedLung:
    """Lobes in the box of one lung, 0 outside the lung, and what is known of them."""

    box: Box
    labels: NDArray[np.uint8]
    confidence: Mapping[Lobe, float]
    findings: Sequence[FissureFinding]


def _divided(volume: CtVolume, lungs: NDArray[np.uint8], side: Side, box: Box, config: LobeConfig) -> _DividedLung:
    """The lobes of the lung in ``box``."""
    atlas = load_atlas()
    mask = lungs[box] == side.value
    image = _lung_image(volume, box, mask, atlas.lungs[side], config.frame)
    models = {fissure: model for fissure, model in atlas.fissures.items() if fissure.side is side}
    surfaces = find_fissures(image, models, config.fissures)
    labels = _labels(image, surfaces)
    labels *= mask
    labels = in_one_piece(labels)
    voxels = {lobe: int(np.count_nonzero(labels == lobe.value)) for lobe in Lobe if lobe.side is side}
    findings = [_finding(fissure, surface) for fissure, surface in surfaces.items()]
    return _DividedLung(box, labels, _confidence(image, surfaces, voxels), findings)


def _lung_image(
    volume: CtVolume,
    box: Box,
    mask: NDArray[np.bool_],
    atlas_lung: LungExtent,
    config: LungFrameConfig,
) -> LungImage:
    """The lung in its box, with its frame; its ends are judged in the whole volume."""
    spacing = volume.geometry.spacing_kji
    faces = box[0].start == 0, box[0].stop == volume.hu.shape[0]
    frame = match_lungs(lung_extent(mask, spacing, faces, config), atlas_lung)
    return LungImage(volume.hu[box], mask, spacing, frame)


def _labels(image: LungImage, surfaces: Mapping[Fissure, FissureSurface]) -> NDArray[np.uint8]:
    """(K, J, I) lobes of every voxel of a lung's box."""
    left = Fissure.LEFT_OBLIQUE in surfaces
    above = _above(image, surfaces[Fissure.LEFT_OBLIQUE if left else Fissure.RIGHT_OBLIQUE])
    labels = np.full(above.shape, Lobe.LLL if left else Lobe.RLL, dtype=np.uint8)
    np.copyto(labels, np.uint8(Lobe.LUL if left else Lobe.RML), where=above)
    if not left:
        above &= _above(image, surfaces[Fissure.RIGHT_HORIZONTAL])
        np.copyto(labels, np.uint8(Lobe.RUL), where=above)
    return labels


def _above(image: LungImage, surface: FissureSurface) -> NDArray[np.bool_]:
    """(K, J, I) bool: voxels above a surface, or behind its end.

    A voxel's place along the plane (b) and its height depend on its slice and row alone, so that the surface's heights
    for a whole row of voxels are one row of a table.
    """
    k, j, i = (
        image.frame.to_atlas(n, np.arange(size) * mm)
        for n, (size, mm) in enumerate(zip(image.mask.shape, image.spacing_kji, strict=True))
    )
    grid = surface.grid
    a, b, h = grid.plane.of_atlas(k[:, None], j[None, :], i)
    rows = np.arange(grid.b[0], grid.b[-1] + ROW_MM, ROW_MM)
    cells = np.meshgrid((rows - grid.b[0]) / grid.cell_mm, (a - grid.a[0]) / grid.cell_mm, indexing="ij")
    table = ndimage.map_coordinates(surface.height.T, cells, output=np.float32, order=1, mode="nearest")
    row = np.clip(np.rint((b - rows[0]) / ROW_MM), 0, rows.size - 1).astype(np.intp)
    end = surface.end_at(a)
    above = np.empty(image.mask.shape, dtype=bool)
    for n in range(len(above)):
        np.greater(h[n, :, None].astype(np.float32), table[row[n]], out=above[n])
        above[n] |= b[n, :, None] >= end
    above[:, j >= surface.rearmost_j] = True
    return above


def _confidence(
    image: LungImage, surfaces: Mapping[Fissure, FissureSurface], voxels: Mapping[Lobe, int]
) -> dict[Lobe, float]:
    """Expected Dice coefficient of every lobe of a lung, 0 to 1; 0 for a lobe of no volume."""
    wrong = dict.fromkeys(voxels, 0.0)
    for fissure, surface in surfaces.items():
        k, j, i = surface.grid.positions(surface.height)
        between = surface.inside * surface.expected_mm * _cell_areas_mm2(surface, image.frame) / 1000.0
        if fissure is Fissure.LEFT_OBLIQUE:
            parts = {Lobe.LUL: 1.0, Lobe.LLL: 1.0}
        elif fissure is Fissure.RIGHT_OBLIQUE:
            upper = surfaces[Fissure.RIGHT_HORIZONTAL].above(k, j, i) > 0
            parts = {Lobe.RUL: upper, Lobe.RML: ~upper, Lobe.RLL: 1.0}
        else:
            front = surfaces[Fissure.RIGHT_OBLIQUE].above(k, j, i) > 0
            parts = {Lobe.RUL: front, Lobe.RML: front}
        for lobe, part in parts.items():
            wrong[lobe] += float((between * part).sum())
    voxel_ml = float(np.prod(image.spacing_kji)) / 1000.0
    return {
        lobe: max(0.0, 1.0 - ml / (2.0 * voxels[lobe] * voxel_ml)) if voxels[lobe] else 0.0
        for lobe, ml in wrong.items()
    }


def _cell_areas_mm2(surface: FissureSurface, frame: LungFrame) -> NDArray[np.float64]:
    """(P, Q) area of the surface over every cell, in the patient."""
    slope_a, slope_b = np.gradient(surface.height, surface.grid.cell_mm)
    size = float(np.prod(frame.scale)) ** (-2.0 / 3.0)
    return surface.grid.cell_mm**2 * np.sqrt(1.0 + slope_a**2 + slope_b**2) * size


def _finding(fissure: Fissure, surface: FissureSurface) -> FissureFinding:
    inside = surface.inside
    if not inside.any():
        return FissureFinding(fissure.value, 0.0, float(surface.expected_mm.max()))
    return FissureFinding(
        fissure.value, 100.0 * float(surface.seen[inside].mean()), float(surface.expected_mm[inside].mean())
    )


def _source(findings: list[FissureFinding]) -> str:
    """How the lobes were made, in words."""
    if not any(finding.seen_percent >= 1.0 for finding in findings):
        return "fissure atlas (the image shows no fissures)"
    seen = ", ".join(f"{finding.name} {finding.seen_percent:.0f} %" for finding in findings)
    return f"fissure atlas, refined where the image shows the fissures ({seen})"
