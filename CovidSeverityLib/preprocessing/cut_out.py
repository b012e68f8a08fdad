"""Lungs that were cut out of their surroundings: all else was given the value of air, as many public sets do.

Without chest wall and mediastinum there is nothing that tells lung from other air, and what whoever cut them took for
lung is not known. Such a CT is refused, unless a mask of the lungs comes with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.checked import Checked, Share, WholeHu
from CovidSeverityLib.types import AIR_HU, NoteSeverity, QualityNote

from .config import GasConfig


@dataclass(frozen=True)
class CutOutConfig(Checked):
    """How it is seen that the lungs were cut out of their surroundings.

    Parameters
    ----------
    lung_hu : (int, int), HU
        Aerated lung. What else a CT shows has this density at surfaces only.
    cut_share : float, share
        Least part of the voxels that has one and the same value: lungs fill half of the box around them at most.
    lung_share : float, share
        Least part of all other voxels that is aerated lung: 0.16 to 0.37 in seven real scans and a synthetic one with
        the body in them, 0.84 to 0.96 once their lungs were cut out.
    """

    lung_hu: tuple[WholeHu, WholeHu] = (-950, -500)
    cut_share: Share = 0.3
    lung_share: Share = 0.5


def cut_out_value(
    hu: NDArray[np.int16], config: CutOutConfig = CutOutConfig(), gas_hu: int = GasConfig.highest_hu
) -> int | None:
    """The value that everything outside the lungs was set to, HU; None where the body is there.

    Parameters
    ----------
    hu : (K, J, I) ndarray of int16
        Hounsfield units.
    config : CutOutConfig
        How it is seen.
    gas_hu : int
        The value is that of gas, below this.

    Examples
    --------
    >>> hu = np.full((4, 10, 10), -1000, dtype=np.int16)
    >>> hu[:, 3:7, 3:7] = np.arange(-900, -836).reshape(4, 4, 4)
    >>> cut_out_value(hu)
    -1000
    >>> hu[:, 2] = 40
    >>> hu[:, 7:] = 40
    >>> cut_out_value(hu) is None
    True
    """
    counts = np.zeros(1 - AIR_HU, dtype=np.int64)
    for plane in hu:
        counts += np.bincount(np.clip(plane, AIR_HU, 0).ravel() - np.int16(AIR_HU), minlength=1 - AIR_HU)
    outside = int(counts[: gas_hu - AIR_HU].argmax())
    rest = hu.size - int(counts[outside])
    lung = int(counts[config.lung_hu[0] - AIR_HU : config.lung_hu[1] - AIR_HU + 1].sum())
    if counts[outside] < config.cut_share * hu.size or lung < config.lung_share * rest or not rest:
        return None
    return outside + AIR_HU


def cut_out_reason(value: int) -> str:
    """Why the lungs cannot be found."""
    return (
        f"everything outside the lungs was cut away (set to {value}); the whole CT is needed to find the lungs, or a "
        "mask of them (--lungs)"
    )


def cut_out_note(value: int) -> QualityNote:
    """What the reader should know where a mask was given."""
    message = (
        f"Everything outside the lungs was cut away (set to {value}), so that the mask could not be compared with the "
        "body: airless lung that it leaves out is missing from every number."
    )
    return QualityNote("surroundings_cut_away", NoteSeverity.WARNING, message)
