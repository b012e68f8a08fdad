"""Both lungs from a chest CT: classical, deterministic, without a model.

On the working grid (:mod:`.grid`): body, airways and gas are found, the aerated rest is split into right and left,
gaps of vessels, bronchi and fissures are closed, and airless lung is put back (:mod:`.completion`). On the full grid
only the boundary is decided again, voxel by voxel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.errors import NoLungsError
from CovidSeverityLib.immutable import Value
from CovidSeverityLib.morphology.grid import WorkingGrid, bounding_box
from CovidSeverityLib.preprocessing.cut_out import cut_out_reason, cut_out_value
from CovidSeverityLib.preprocessing.thorax import body_mask, gas_mask, parenchyma_pieces
from CovidSeverityLib.preprocessing.window import window_note, window_top, with_bone
from CovidSeverityLib.types import CtVolume, Geometry, NoteSeverity, QualityNote, Side

from .airways import airway_mask
from .boundary import refined_lungs
from .completion import CompletedLungs, complete_lungs
from .sides import main_lungs, split_sides

SMALLEST_LUNG_ML = 100.0
"""Aerated volume under which a side has no lung: an adult's lung at full inspiration holds 2-3 litres, a lung that is
nine tenths consolidated still more than this; the air spaces of a head hold less."""

SMALLEST_LUNGS_ML = 300.0
"""Both lungs together, likewise."""

CUT_AREA_SHARE = 0.25
"""Lung area in the first or last slice, as a share of the largest slice's, from which the lungs count as cut off (an
apex or a costophrenic recess that just ends there is smaller)."""

PART_ONLY_ML = 1500.0
"""Lungs that are cut where they are about widest and smaller than this are the bases in an abdominal CT, or the apices
in one of the neck."""


NOTED_AIRLESS_SHARE = 0.1
"""Airless part of the lungs from which the reader is told that its border is an estimate: errors of half a centimetre
then matter to the volumes."""


PART_SEEN = "volumes, infected shares and the score are those of the part that is seen"


class LungSegmenter(Protocol):
    """Anything that finds the lungs: returns a :class:`LungSegmentation`, raises :class:`~..errors.NoLungsError`."""

    def __call__(self, volume: CtVolume) -> LungSegmentation:
        """Find the lungs of ``volume``."""


@dataclass(frozen=True, eq=False, repr=False)
class LungSegmentation(Value):
    """Lungs and how they were made.

    Parameters
    ----------
    labels : (K, J, I) ndarray of uint8
        Labels of :class:`Side`.
    source : str
        The method or the file.
    notes : tuple of QualityNote
        What the reader should know.

    Examples
    --------
    >>> from CovidSeverityLib import LungSegmentation, read_ct, read_mask
    >>> LungSegmentation(read_mask("lungs.nii.gz", read_ct("ct.nii.gz")), "drawn by hand")
    LungSegmentation(labels=<36 x 64 x 64 uint8>, source='drawn by hand', notes=())
    """

    labels: NDArray[np.uint8]
    source: str
    notes: tuple[QualityNote, ...] = ()


def segment_lungs(volume: CtVolume) -> LungSegmentation:
    """Find both lungs.

    Parameters
    ----------
    volume : chest CT in Hounsfield units.

    Returns
    -------
    LungSegmentation
        Each lung one 6-connected component; consolidation inside and at the chest wall included; trachea, main
        bronchi, mediastinum and everything below the diaphragm left out.

    Raises
    ------
    NoLungsError
        If the volume shows no lungs, or only their bases.
    """
    top = window_top(volume.hu)
    name = volume.name or "the volume"
    labels, notes = lung_labels(with_bone(volume.hu, top), volume.geometry, name)
    clipped = () if top is None else (window_note(top),)
    return LungSegmentation(labels, "classical", (*clipped, *field_of_view_notes(labels), *notes))


def lung_labels(
    hu: NDArray[np.int16], geometry: Geometry, name: str = "the volume", *, whole_chest: bool = True
) -> tuple[NDArray[np.uint8], tuple[QualityNote, ...]]:
    """Both lungs, and what the reader should know of them.

    Parameters
    ----------
    hu : (K, J, I) int16, Hounsfield units with bone as dense as it is.
    geometry : of ``hu``.
    name : of the CT, for errors.
    whole_chest : whether the shape of the chest is to be seen: it tells airless lung from organs, and a volume that
        shows a part of the lungs alone is refused.

    Returns
    -------
    (K, J, I) uint8 of :class:`Side`, and notes.

    Raises
    ------
    NoLungsError
        As :func:`segment_lungs`.
    """
    grid = WorkingGrid.of(geometry)
    blocks = grid.reduce(hu)
    body = body_mask(blocks, grid)
    box = bounding_box(body)
    if not body[box].size:
        raise _no_lungs(name, hu, "it shows no body")
    full = tuple(slice(s.start * f, s.stop * f) for s, f in zip(box, grid.factors, strict=True))
    labels = np.zeros(hu.shape, dtype=np.uint8)
    aerated, airway, gas = _aerated(blocks[box], body[box], grid)
    found_ml = float(np.count_nonzero(aerated)) * grid.voxel_ml
    if found_ml < SMALLEST_LUNGS_ML:
        least = f"at least {SMALLEST_LUNGS_ML:.0f} ml are expected in a chest CT"
        raise _no_lungs(name, hu, f"{found_ml:.0f} ml of aerated lung, {least}")
    if whole_chest:
        _refuse_parts(name, aerated, found_ml)
    complete = complete_lungs(blocks[box], aerated, body[box], airway, gas, grid, whole_chest=whole_chest)
    allowed = body[box] & ~((airway | gas) & (complete.lungs == 0))
    labels[full] = refined_lungs(hu[full], blocks[box], complete.lungs, complete.restored, allowed, grid)
    return labels, _notes(complete, bool(airway.any()), grid)


def _aerated(
    hu: NDArray[np.float32], body: NDArray[np.bool_], grid: WorkingGrid
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]:
    """Aerated lung by side, large airways (empty where no trachea is found), and other air that is no aerated lung."""
    airway = airway_mask(hu, body, grid)
    gas = gas_mask(hu, body, airway, grid)
    pieces = parenchyma_pieces(hu, body, gas | airway, grid)
    return main_lungs(split_sides(pieces, body, grid), SMALLEST_LUNG_ML, grid), airway, gas


def _no_lungs(name: str, hu: NDArray[np.int16], reason: str) -> NoLungsError:
    outside = cut_out_value(hu)
    return NoLungsError(f"no lungs found in {name}: {reason if outside is None else cut_out_reason(outside)}")


def _refuse_parts(name: str, aerated: NDArray[np.uint8], found_ml: float) -> None:
    areas = np.count_nonzero(aerated, axis=(1, 2))
    for index, seen, end in ((-1, "lower", "upper"), (0, "upper", "lower")):
        if areas[index] >= areas.max() * (1 - CUT_AREA_SHARE) and found_ml < PART_ONLY_ML:
            raise NoLungsError(
                f"{name} shows only the {seen} part of the lungs ({found_ml:.0f} ml), cut off at its {end} end; "
                "a CT of the whole chest is needed"
            )


def _notes(complete: CompletedLungs, airway_found: bool, grid: WorkingGrid) -> tuple[QualityNote, ...]:
    notes = []
    if not airway_found:
        notes.append(_warn("airway_not_found", "The trachea was not found; part of it may be counted as lung."))
    share = np.count_nonzero(complete.restored) / max(1, np.count_nonzero(complete.lungs))
    if share >= NOTED_AIRLESS_SHARE:
        message = (
            f"{100 * share:.0f} % of the lungs is airless; where it lies against heart, liver or chest wall its border "
            "is estimated from the shape of the chest; look at the outlines."
        )
        notes.append(_warn("lungs_airless", message))
    if complete.fluid:
        message = (
            f"About {complete.fluid * grid.voxel_ml:.0f} ml beside the lungs have the density of fluid and no texture; "
            "they were taken for an effusion and left out."
        )
        notes.append(_warn("pleural_fluid", message))
    return tuple(notes)


def field_of_view_notes(labels: NDArray[np.uint8]) -> tuple[QualityNote, ...]:
    """What the reader should know of lungs that are missing or cut by the field of view."""
    notes = [
        _warn("lung_missing", f"No {side.name.lower()} lung was found; its lobes have no volume and score 0.")
        for side in Side
        if not (labels == side).any()
    ]
    areas = np.count_nonzero(labels, axis=(1, 2))
    for index, where in ((0, "lower"), (-1, "upper")):
        if areas[index] > CUT_AREA_SHARE * areas.max():
            message = f"The {where} end of the volume cuts the lungs; {PART_SEEN}."
            notes.append(_warn(f"lungs_cut_{where}", message))
    edges = {"front": labels[:, 0], "back": labels[:, -1], "right": labels[:, :, 0], "left": labels[:, :, -1]}
    cut = [name for name, edge in edges.items() if edge.any()]
    if cut:
        where = "all round" if len(cut) == len(edges) else f"at the patient's {' and '.join(cut)}"
        message = f"The field of view, or a crop of the image, cuts the lungs {where}; {PART_SEEN}."
        notes.append(_warn("lungs_cut_sideways", message))
    return tuple(notes)


def _warn(code: str, message: str) -> QualityNote:
    return QualityNote(code, NoteSeverity.WARNING, message)
