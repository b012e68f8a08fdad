"""What a chest shows of its own orientation: signed measures, positive where the axes of the array are right.

Every measure changes its sign when its axis is reversed. None needs bone denser than 120 HU (many public scans are
clipped at 150 HU), a table, or healthy lungs; a measure whose organ is not seen is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.morphology.components import IN_PLANE_4, boxes_of, component_sizes
from CovidSeverityLib.morphology.grid import WorkingGrid
from CovidSeverityLib.types import Geometry, triple

from .config import ThoraxConfig
from .orientation_config import ChestViewConfig
from .thorax import body_mask


@dataclass(frozen=True, eq=False)
class ChestView:
    """A chest on blocks: what the measures look at.

    Parameters
    ----------
    hu : (K, J, I) ndarray of float32
        Hounsfield units.
    body : (K, J, I) ndarray of bool
        The patient.
    lung : (K, J, I) ndarray of bool
        Aerated lung.
    organ : (K, J, I) ndarray of bool
        The inside of heart and liver, straight above, below or between the lungs.
    spacing_mm : (float, float, float)
        Block edge (K, J, I), mm.
    config : ChestViewConfig
        How all of them are recognised.

    Examples
    --------
    >>> from CovidSeverityLib.evaluation.synthetic.phantom import make_phantom
    >>> view = ChestView.of(*(lambda v: (v.hu, v.geometry))(make_phantom(0, shape=(72, 96, 96),
    ...     spacing_mm=(4.0, 4.0, 4.4)).volume))
    >>> bool(view.lungs_ml > 3000)
    True
    """

    hu: NDArray[np.float32]
    body: NDArray[np.bool_]
    lung: NDArray[np.bool_]
    organ: NDArray[np.bool_]
    spacing_mm: tuple[float, float, float]
    config: ChestViewConfig = ChestViewConfig()

    @classmethod
    def of(
        cls,
        hu: NDArray[np.int16],
        geometry: Geometry,
        config: ChestViewConfig = ChestViewConfig(),
        thorax: ThoraxConfig = ThoraxConfig(),
    ) -> ChestView:
        """The view of a full-size volume (K, J, I)."""
        factors = triple(max(1, int(mm / s)) for mm, s in zip(config.block_mm, geometry.spacing_kji, strict=True))
        edges = triple(s * f for s, f in zip(geometry.spacing_kji, factors, strict=True))
        grid = WorkingGrid(geometry.shape, factors, edges)
        blocks = grid.reduce(hu)
        body = body_mask(blocks, grid, thorax)
        lung = _lungs(blocks, body, grid, config.lung_piece_ml, thorax)
        return cls(blocks, body, lung, _organs(blocks, body, grid, config) & _beside(lung), edges, config)

    @property
    def lungs_ml(self) -> float:
        """Volume of aerated lung, ml."""
        return self._ml(self.lung)

    def reversed(self, axis: int) -> ChestView:
        """The same chest with array axis ``axis`` reversed."""
        arrays = {name: np.flip(getattr(self, name), axis) for name in ("hu", "body", "lung", "organ")}
        return replace(self, **arrays)

    def centre_mm(self, mask: NDArray[np.bool_], axis: int) -> float:
        """Position of the centre of ``mask`` along ``axis``, mm from the first block; NaN if it is empty."""
        profile = mask.sum(axis=tuple(a for a in range(3) if a != axis))
        if not profile.any():
            return float("nan")
        return float((profile * np.arange(len(profile))).sum() / profile.sum()) * self.spacing_mm[axis]

    def _ml(self, mask: NDArray[np.bool_]) -> float:
        return float(np.count_nonzero(mask)) * float(np.prod(self.spacing_mm)) / 1000.0

    def seen(self, organ: NDArray[np.bool_]) -> bool:
        """Whether ``organ`` is large enough to tell where it lies."""
        return self._ml(organ) >= self.config.organ_ml

    @property
    def middle_column(self) -> float:
        """Column midway between the body's right and left ends: the median over the lungs' slices."""
        present = np.any(self.body[np.any(self.lung, axis=(1, 2))], axis=1)
        last = present.shape[1] - 1 - present[:, ::-1].argmax(axis=1)
        return float(np.median(present.argmax(axis=1) + last)) / 2.0

    @property
    def both_lungs(self) -> bool:
        """Whether a fair part of the lungs lies on either side of the middle."""
        columns = self.lung.sum(axis=(0, 1))
        right = float(columns[: int(self.middle_column) + 1].sum() / columns.sum())
        return min(right, 1.0 - right) >= self.config.smaller_lung_share


def _lungs(
    hu: NDArray[np.float32], body: NDArray[np.bool_], grid: WorkingGrid, smallest_ml: float, thorax: ThoraxConfig
) -> NDArray[np.bool_]:
    """Large pieces of air of the density of lung: no gas of stomach or bowel."""
    labels, count = ndimage.label(body & (hu < thorax.lung_tissue_hu))
    keep = np.zeros(count + 1, dtype=bool)
    for index in np.flatnonzero(component_sizes(labels) * grid.voxel_ml >= smallest_ml):
        low, high = thorax.aerated_hu
        keep[index] = low <= float(np.median(hu[labels == index])) <= high
    return keep[labels]


def _organs(
    hu: NDArray[np.float32], body: NDArray[np.bool_], grid: WorkingGrid, config: ChestViewConfig
) -> NDArray[np.bool_]:
    low, high = config.soft_tissue_hu
    soft = body & (hu > low) & (hu < high)
    sizes = tuple(2 * int(config.organ_cube_mm / 2 / mm) + 1 for mm in grid.spacing_mm)
    return ndimage.uniform_filter(soft.astype(np.float32), sizes, mode="constant") > config.organ_filled


def _beside(lung: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(1, J, I) the lungs' bounding rectangle seen from below: shoulders and arms lie outside."""
    rows, columns = lung.any(axis=(0, 2)), lung.any(axis=(0, 1))
    rectangle = np.zeros((1, *lung.shape[1:]), dtype=bool)
    if rows.any():
        first, last = np.flatnonzero(rows)[[0, -1]]
        left, right = np.flatnonzero(columns)[[0, -1]]
        rectangle[0, first : last + 1, left : right + 1] = True
    return rectangle


def trachea_above_lungs_mm(view: ChestView) -> float:
    """Height of the trachea's middle over the centre of the lungs, mm: it lies above the carina."""
    labels, count = ndimage.label(view.body & (view.hu < view.config.lumen_hu), IN_PLANE_4)
    tubes, _ = ndimage.label(_round_lumina(view, labels, count)[labels], np.ones((3, 3, 3)))
    boxes = boxes_of(tubes)
    if not boxes:
        return float("nan")
    longest = max(boxes, key=lambda box: box[0].stop - box[0].start)[0]
    step = view.spacing_mm[0]
    if (longest.stop - longest.start) * step < view.config.trachea_mm:
        return float("nan")
    return (longest.start + longest.stop - 1) / 2 * step - view.centre_mm(view.lung, 0)


def _round_lumina(view: ChestView, labels: NDArray[np.integer], count: int) -> NDArray[np.bool_]:
    """Which islands of air may be a section of the trachea."""
    _, row_mm, column_mm = view.spacing_mm
    area = component_sizes(labels) * row_mm * column_mm
    fits = np.zeros(count + 1, dtype=bool)
    smallest, largest = view.config.trachea_mm2
    fits[: len(area)] = (area >= smallest) & (area <= largest)
    boxes, middle = boxes_of(labels), view.middle_column
    for index in np.flatnonzero(fits):
        _, rows, columns = boxes[index - 1]
        height, width = (rows.stop - rows.start) * row_mm, (columns.stop - columns.start) * column_mm
        off = abs((columns.start + columns.stop - 1) / 2 - middle) * column_mm
        is_round = max(height, width) <= view.config.trachea_aspect * min(height, width) + column_mm
        fits[index] = is_round and off <= view.config.trachea_off_midline_mm
    return fits


def organs_below_lungs_mm(view: ChestView) -> float:
    """Depth of the centre of heart and liver below that of the lungs, mm."""
    if not view.seen(view.organ):
        return float("nan")
    return view.centre_mm(view.lung, 0) - view.centre_mm(view.organ, 0)


def lungs_vaulted_mm(view: ChestView) -> float:
    """How much higher the lungs lie in the middle of their outline than at its rim, mm.

    Apices are domes and the diaphragm pushes up the middle of the bases: seen from above, both faces are vaulted.
    """
    foot = np.any(view.lung, axis=0)
    lowest, highest = view.lung.argmax(axis=0), len(view.lung) - 1 - view.lung[::-1].argmax(axis=0)
    middle = (lowest + highest) / 2 * view.spacing_mm[0]
    inward = ndimage.distance_transform_edt(np.pad(foot, 1), sampling=view.spacing_mm[1:])[1:-1, 1:-1]
    core, rim = inward >= view.config.footprint_core_mm, foot & (inward <= view.config.footprint_rim_mm)
    if not core.any():
        return float("nan")
    return float(middle[core].mean() - middle[rim].mean())


def spine_behind(view: ChestView) -> float:
    """Slices with more midline bone behind than in front, less the others, as a share of the lungs' slices.

    The spine is four times as deep as the sternum, and in every slice.
    """
    half, middle = round(view.config.midline_mm / view.spacing_mm[2]), round(view.middle_column)
    band = np.s_[:, :, max(0, middle - half) : middle + half + 1]
    slices = np.any(view.lung, axis=(1, 2))
    body = np.any(view.body[band], axis=2)[slices]
    bone = ((view.hu[band] > view.config.bone_hu) & view.body[band]).sum(axis=2)[slices]
    rows = np.arange(body.shape[1])
    first, last = body.argmax(axis=1), body.shape[1] - 1 - body[:, ::-1].argmax(axis=1)
    offset = rows[None, :] - (first + last)[:, None] / 2
    margin = view.config.bone_margin * (last - first)[:, None] / 2
    return float(np.sign((bone * (np.sign(offset) * (np.abs(offset) > margin))).sum(axis=1)).mean())


def organs_in_front_mm(view: ChestView) -> float:
    """How far the centre of heart and liver lies in front of that of the lungs, in the lungs' slices, mm."""
    organ = view.organ & np.any(view.lung, axis=(1, 2))[:, None, None]
    if not view.seen(organ):
        return float("nan")
    return view.centre_mm(view.lung, 1) - view.centre_mm(organ, 1)


def rear_recess_mm(view: ChestView) -> float:
    """How much lower the lungs reach in the rear half of their outline than in the front half, mm.

    The array must be the right way up: the recess behind the diaphragm is the lungs' lowest part.
    """
    foot = np.any(view.lung, axis=0)
    lowest = view.lung.argmax(axis=0) * view.spacing_mm[0]
    rows = np.flatnonzero(foot.any(axis=1))
    front = np.arange(foot.shape[0])[:, None] <= (rows[0] + rows[-1]) / 2
    return float(lowest[foot & front].mean() - lowest[foot & ~front].mean())


def table_behind_cm2(view: ChestView) -> float:
    """Section of what lies behind the patient all along the scan, less that in front, cm2; NaN without either."""
    section = (~view.body & (view.hu > view.config.table_hu)).mean(axis=0) >= view.config.table_slices
    rows = np.flatnonzero(view.body.any(axis=(0, 2)))
    middle = (rows[0] + rows[-1]) / 2
    behind = np.arange(section.shape[0]) > middle
    area = section.sum(axis=1) * view.spacing_mm[1] * view.spacing_mm[2] / 100.0
    return float(area[behind].sum() - area[~behind].sum()) if area.any() else float("nan")


def heart_on_left_mm(view: ChestView) -> float:
    """How much wider the mediastinum is on the left of the middle, below the lungs' centre, mm.

    The array must be the right way up and have the front in front.
    """
    return _left_excess_mm(view, rear=False)


def aorta_on_left_mm(view: ChestView) -> float:
    """How much wider the mediastinum is on the left of the middle, beside the spine, over the lungs' centre, mm.

    The array must be the right way up and have the front in front.
    """
    return _left_excess_mm(view, rear=True)


def _left_excess_mm(view: ChestView, rear: bool) -> float:
    """Way from the middle to the left lung less that to the right one, mean over the rows that show both."""
    lung = view.lung[_band(view, above=rear)]
    rows = np.flatnonzero(lung.any(axis=(0, 2)))
    if not (rows.size and view.both_lungs):
        return float("nan")
    split = rows[-1] - int(view.config.rear_share * (rows[-1] - rows[0]))
    lung = lung[:, split : rows[-1] + 1] if rear else lung[:, rows[0] : split]
    middle = view.middle_column
    right, left = lung[:, :, : int(middle) + 1][:, :, ::-1], lung[:, :, int(np.ceil(middle)) :]
    both = right.any(axis=2) & left.any(axis=2)
    if not both.any():
        return float("nan")
    difference = left.argmax(axis=2)[both] - right.argmax(axis=2)[both]
    return float(difference.mean()) * view.spacing_mm[2]


def _band(view: ChestView, above: bool) -> slice:
    """Slices from the centre of the lungs as far up or down as the heart lies."""
    reach = view.config.heart_band_mm
    ends = (0.0, reach) if above else (-reach, 0.0)
    first, last = (round((view.centre_mm(view.lung, 0) + mm) / view.spacing_mm[0]) for mm in ends)
    return slice(max(0, first), last + 1)


def liver_on_right_mm(view: ChestView) -> float:
    """How far the solid tissue under the lungs lies to the right of the middle, mm.

    The array must be the right way up.
    """
    areas = view.lung.sum(axis=(1, 2))
    wide = int(np.flatnonzero(areas >= view.config.under_lung_share * areas.max())[0])
    organ = view.organ[:wide]
    if not (view.seen(organ) and view.both_lungs):
        return float("nan")
    return view.middle_column * view.spacing_mm[2] - view.centre_mm(organ, 2)
