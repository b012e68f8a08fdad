"""Both lungs from a chest CT: classical, deterministic, without a model.

On the working grid, body, airways and gas are found. The other air is divided into right and left. Gaps of vessels,
bronchi and fissures are closed, and airless lung is added (:mod:`.completion`). On the full grid, the boundary is
decided again, voxel by voxel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.errors import NoLungsError
from CovidSeverityLib.immutable import Value
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.morphology.grid import FloatImage, Mask, WorkingGrid, bounding_box
from CovidSeverityLib.preprocessing.cut_out import cut_out_reason, cut_out_value
from CovidSeverityLib.preprocessing.thorax import body_mask, gas_mask, parenchyma_pieces
from CovidSeverityLib.preprocessing.window import window_note, window_top, with_bone
from CovidSeverityLib.types import Geometry, NoteSeverity, QualityNote, Side

from .airways import airway_mask
from .boundary import refined_lungs
from .completion import AeratedChest, CompletedLungs, complete_lungs
from .config import FieldOfViewConfig, LungConfig
from .sides import main_lungs, split_sides

PART_SEEN = "volumes, infected shares and the score are those of the part that is seen"


class LungSegmenter(Protocol):
    """Any other way to find the lungs."""

    def __call__(self, volume: CtVolume) -> LungSegmentation:
        """Find the lungs of ``volume``, or raise :class:`NoLungsError`."""
        ...


@dataclass(frozen=True, eq=False, repr=False)
class LungSegmentation(Value):
    """The lungs of a CT.

    Parameters
    ----------
    labels : (K, J, I) ndarray of uint8
        Values of :class:`Side`; they become read-only.
    source : str
        The method or the file.
    notes : tuple of QualityNote
        For the reader.

    Examples
    --------
    >>> from CovidSeverityLib import LungSegmentation, read_ct, read_mask
    >>> LungSegmentation(read_mask("lungs.nii.gz", read_ct("ct.nii.gz")), "drawn by hand")
    LungSegmentation(labels=<36 x 64 x 64 uint8>, source='drawn by hand', notes=())
    """

    labels: NDArray[np.uint8]
    source: str
    notes: tuple[QualityNote, ...] = ()


def segment_lungs(volume: CtVolume, config: LungConfig = LungConfig()) -> LungSegmentation:
    """Find both lungs.

    Parameters
    ----------
    volume : CtVolume
        Chest CT in Hounsfield units.
    config : LungConfig
        How the lungs are found.

    Returns
    -------
    LungSegmentation
        Each lung is one 6-connected component. It includes consolidation inside it and at the chest wall, without
        trachea, main bronchi, mediastinum and everything below the diaphragm.

    Raises
    ------
    NoLungsError
        If the volume shows no lungs, or only their bases.
    """
    top = window_top(volume.hu, config.window)
    name = volume.name or "the volume"
    labels, notes = lung_labels(with_bone(volume.hu, top, config.window), volume.geometry, config, name)
    clipped = () if top is None else (window_note(top),)
    cut = field_of_view_notes(labels, config.field_of_view)
    return LungSegmentation(labels, "classical", (*clipped, *cut, *notes))


def lung_labels(
    hu: NDArray[np.int16], geometry: Geometry, config: LungConfig, name: str = "the volume", *, whole_chest: bool = True
) -> tuple[NDArray[np.uint8], tuple[QualityNote, ...]]:
    """Both lungs, and notes for the reader.

    Parameters
    ----------
    hu : (K, J, I) ndarray of int16
        Hounsfield units, bone with its own density.
    geometry : Geometry
        Geometry of ``hu``.
    config : LungConfig
        How the lungs are found.
    name : str
        Name of the CT, for errors.
    whole_chest : bool
        Whether the shape of the chest is seen. It separates airless lung from organs, and a volume that shows only a
        part of the lungs is refused.

    Returns
    -------
    labels : (K, J, I) ndarray of uint8
        Values of :class:`Side`.
    notes : tuple of QualityNote

    Raises
    ------
    NoLungsError
        As :func:`segment_lungs`.
    """
    grid = WorkingGrid.of(geometry, config.block_mm, config.block_mm[0])
    blocks = grid.reduce(hu)
    body = body_mask(blocks, grid, config.thorax)
    box = bounding_box(body)
    if not body[box].size:
        raise _no_lungs(name, hu, "it shows no body", config)
    full = grid.voxels_of(box)
    labels = np.zeros(hu.shape, dtype=np.uint8)
    chest = _aerated_chest(blocks[box], body[box], grid, config)
    found_ml = float(np.count_nonzero(chest.aerated)) * grid.voxel_ml
    least_ml = config.field_of_view.smallest_lungs_ml
    if found_ml < least_ml:
        least = f"at least {least_ml:.0f} ml are expected in a chest CT"
        raise _no_lungs(name, hu, f"{found_ml:.0f} ml of aerated lung, {least}", config)
    if whole_chest:
        _refuse_parts(name, chest.aerated, found_ml, config.field_of_view)
    complete = complete_lungs(chest, config, whole_chest=whole_chest)
    allowed = chest.body & ~((chest.airway | chest.gas) & (complete.lungs == 0))
    labels[full] = refined_lungs(hu[full], chest.hu, complete.lungs, complete.restored, allowed, grid, config)
    return labels, _completion_notes(complete, bool(chest.airway.any()), grid, config.notes.airless_share)


def _aerated_chest(hu: FloatImage, body: Mask, grid: WorkingGrid, config: LungConfig) -> AeratedChest:
    airway = airway_mask(hu, body, grid, config.airways)
    gas = gas_mask(hu, body, airway, grid, config.thorax)
    pieces = parenchyma_pieces(hu, body, gas | airway, grid, config.thorax)
    aerated = main_lungs(split_sides(pieces, body, grid, config.sides), grid, config.sides)
    return AeratedChest(hu, aerated, body, airway, gas, grid)


def _no_lungs(name: str, hu: NDArray[np.int16], reason: str, config: LungConfig) -> NoLungsError:
    outside = cut_out_value(hu, config.cut_out, config.thorax.gas.highest_hu)
    return NoLungsError(f"no lungs found in {name}: {reason if outside is None else cut_out_reason(outside)}")


def _refuse_parts(name: str, aerated: NDArray[np.uint8], found_ml: float, config: FieldOfViewConfig) -> None:
    areas = np.count_nonzero(aerated, axis=(1, 2))
    for index, seen, end in ((-1, "lower", "upper"), (0, "upper", "lower")):
        if areas[index] >= areas.max() * (1 - config.cut_area_share) and found_ml < config.part_only_ml:
            raise NoLungsError(
                f"{name} shows only the {seen} part of the lungs ({found_ml:.0f} ml), cut off at its {end} end; "
                "a CT of the whole chest is needed"
            )


def _completion_notes(
    complete: CompletedLungs, airway_found: bool, grid: WorkingGrid, airless_share: float
) -> tuple[QualityNote, ...]:
    notes = []
    if not airway_found:
        notes.append(_warning("airway_not_found", "The trachea was not found; part of it may be counted as lung."))
    share = np.count_nonzero(complete.restored) / max(1, np.count_nonzero(complete.lungs))
    if share >= airless_share:
        message = (
            f"{100 * share:.0f} % of the lungs is airless; where it lies against heart, liver or chest wall its border "
            "is estimated from the shape of the chest; look at the outlines."
        )
        notes.append(_warning("lungs_airless", message))
    if complete.fluid:
        message = (
            f"About {complete.fluid * grid.voxel_ml:.0f} ml beside the lungs have the density of fluid and no texture; "
            "they were taken for an effusion and left out."
        )
        notes.append(_warning("pleural_fluid", message))
    return tuple(notes)


def field_of_view_notes(
    labels: NDArray[np.uint8], config: FieldOfViewConfig = FieldOfViewConfig()
) -> tuple[QualityNote, ...]:
    """Notes on lungs that are missing or cut off by the field of view.

    Parameters
    ----------
    labels : (K, J, I) ndarray of uint8
        Values of :class:`Side`.
    config : FieldOfViewConfig
        What counts as cut off.

    Returns
    -------
    tuple of QualityNote
    """
    notes = [
        _warning("lung_missing", f"No {side.name.lower()} lung was found; its lobes have no volume and score 0.")
        for side in Side
        if not (labels == side).any()
    ]
    areas = np.array([np.count_nonzero(plane) for plane in labels])  # with an axis, it takes ten times as long
    for index, where in ((0, "lower"), (-1, "upper")):
        if areas[index] > config.cut_area_share * areas.max():
            message = f"The {where} end of the volume cuts the lungs; {PART_SEEN}."
            notes.append(_warning(f"lungs_cut_{where}", message))
    edges = {"front": labels[:, 0], "back": labels[:, -1], "right": labels[:, :, 0], "left": labels[:, :, -1]}
    cut = [name for name, edge in edges.items() if edge.any()]
    if cut:
        where = "all round" if len(cut) == len(edges) else f"at the patient's {' and '.join(cut)}"
        message = f"The field of view, or a crop of the image, cuts the lungs {where}; {PART_SEEN}."
        notes.append(_warning("lungs_cut_sideways", message))
    return tuple(notes)


def _warning(code: str, message: str) -> QualityNote:
    return QualityNote(code, NoteSeverity.WARNING, message)
