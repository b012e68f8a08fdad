"""Lung masks from elsewhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.morphology.grid import Mask, WorkingGrid, distance_to
from CovidSeverityLib.preprocessing.cut_out import cut_out_note, cut_out_value
from CovidSeverityLib.preprocessing.thorax import body_mask
from CovidSeverityLib.types import Side

from .config import LungConfig
from .lung_segmentation import LungSegmentation, field_of_view_notes
from .sides import split_sides


def lungs_from_labels(
    labels: NDArray[np.integer], volume: CtVolume, name: str, config: LungConfig | None = None
) -> LungSegmentation:
    """Lungs from a label array: 1 right and 2 left, as lungmask's R231 model writes them, or one label for both.

    Parameters
    ----------
    labels : (K, J, I) ndarray of int
        Labels on the grid of ``volume``, as :func:`~CovidSeverityLib.read_mask` returns them.
    volume : CtVolume
        The CT, to check the mask against.
    name : str
        Name of the mask's file, for messages and reports.
    config : LungConfig, optional
        Which masks are accepted; ``AnalysisConfig().lungs`` if left out.

    Returns
    -------
    LungSegmentation
        For :func:`~CovidSeverityLib.analyze`.

    Raises
    ------
    InputError
        If the labels are others, the sides are swapped, or the mask does not lie on lungs.

    Examples
    --------
    >>> from CovidSeverityLib import lungs_from_labels, read_ct, read_mask
    >>> ct = read_ct("ct.nii.gz")
    >>> lungs_from_labels(read_mask("lungs.nii.gz", ct), ct, "lungs.nii.gz").source
    'file lungs.nii.gz'
    """
    config = config or LungConfig()
    found = set(np.unique(labels).tolist()) - {0}
    if found == {1, 2}:
        sides = labels.astype(np.uint8)
        _require_right_on_the_right(sides, name)
    elif len(found) == 1:
        sides = _divided(labels > 0, volume, config)
    else:
        raise InputError(
            f"lung mask {name} has the labels {_listed(found)}; expected 1 (right) and 2 (left) as from lungmask, "
            "or a single label for both lungs"
        )
    require_on_lungs(volume, sides > 0, name, config)
    outside = cut_out_value(volume.hu, config.cut_out, config.thorax.gas.highest_hu)
    cut = () if outside is None else (cut_out_note(outside),)
    return LungSegmentation(sides, f"file {name}", (*cut, *field_of_view_notes(sides, config.field_of_view)))


def require_on_lungs(volume: CtVolume, mask: Mask, name: str, config: LungConfig = LungConfig()) -> None:
    """Check that a mask has the size of lungs, is aerated and lies inside the body.

    Where the surroundings of the lungs were cut away, the rest of the CT counts as the body.

    Parameters
    ----------
    volume : CtVolume
        The CT.
    mask : (K, J, I) ndarray of bool
        Lungs on its grid.
    name : str
        Name of the mask's file, for messages.
    config : LungConfig
        Which masks are accepted.

    Raises
    ------
    InputError
        If the mask does not lie on lungs.
    """
    mask_ml = float(np.count_nonzero(mask)) * volume.geometry.voxel_ml
    least_ml, most_ml = config.field_of_view.smallest_lungs_ml, config.external.largest_lungs_ml
    if not least_ml <= mask_ml <= most_ml:
        raise InputError(
            f"mask {name} holds {mask_ml:.0f} ml; lungs of {least_ml:.0f} to {most_ml:.0f} ml are expected"
        )
    values, (low, high) = volume.hu[mask], config.thorax.aerated_hu
    aerated = float(np.mean((values >= low) & (values <= high)))
    grid = WorkingGrid.of(volume.geometry, config.block_mm)
    inside = float(np.mean(grid.expand(_body(volume, grid, config))[mask]))
    if aerated < config.external.aerated_share or inside < config.external.inside_body_share:
        raise InputError(
            f"mask {name} does not lie on the lungs of this CT: {100 * inside:.0f} % of it is inside the body and "
            f"{100 * aerated:.0f} % is aerated lung"
        )


def _body(volume: CtVolume, grid: WorkingGrid, config: LungConfig) -> Mask:
    """The body on the working grid, or the part of the CT that was not cut away."""
    outside = cut_out_value(volume.hu, config.cut_out, config.thorax.gas.highest_hu)
    if outside is None:
        return body_mask(grid.reduce(volume.hu), grid, config.thorax)
    return grid.reduce(volume.hu != outside) >= 0.5


def _require_right_on_the_right(sides: NDArray[np.uint8], name: str) -> None:
    columns = np.arange(sides.shape[2])
    right, left = (
        float((np.count_nonzero(sides == side, axis=(0, 1)) * columns).sum() / np.count_nonzero(sides == side))
        for side in (Side.RIGHT, Side.LEFT)
    )
    if right >= left:
        raise InputError(
            f"mask {name} has its right lung on the patient's left; its labels or its geometry are swapped"
        )


def _divided(mask: Mask, volume: CtVolume, config: LungConfig) -> NDArray[np.uint8]:
    """Sides of a mask of both lungs: divided on the working grid, and the nearer side on the full one."""
    grid = WorkingGrid.of(volume.geometry, config.block_mm)
    coarse = split_sides(grid.reduce(mask) >= 0.5, _body(volume, grid, config), grid, config.sides)
    to_right, to_left = (distance_to(coarse == side, grid.spacing_mm) for side in (Side.RIGHT, Side.LEFT))
    nearer = np.where(to_right <= to_left, Side.RIGHT, Side.LEFT).astype(np.uint8)
    return np.where(mask, grid.expand(nearer), np.uint8(0))


def _listed(labels: set[int]) -> str:
    shown = ", ".join(str(label) for label in sorted(labels)[:8]) or "none"
    return shown + (", ..." if len(labels) > 8 else "")
