"""Lobe masks that were made elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.morphology.grid import bounding_box, distance_to
from CovidSeverityLib.segmentation.lungs.external_lungs import require_on_lungs
from CovidSeverityLib.types import LOBE_NAMES, Lobe, Side

from .values import LobeSegmentation

LOBE_SCHEMES: Mapping[str, Mapping[int, Lobe]] = {
    "lungmask": {1: Lobe.LUL, 2: Lobe.LLL, 3: Lobe.RUL, 4: Lobe.RML, 5: Lobe.RLL},
    "TotalSegmentator": {10: Lobe.LUL, 11: Lobe.LLL, 12: Lobe.RUL, 13: Lobe.RML, 14: Lobe.RLL},
}
"""Labels of lungmask's LTRCLobes model (nothing else in the file), and of TotalSegmentator 2's task "total" (other
labels of that task are left out)."""


def lobes_from_labels(labels: NDArray[np.integer], volume: CtVolume, name: str) -> LobeSegmentation:
    """Lobes from a label array of lungmask's LTRCLobes model or of TotalSegmentator.

    Parameters
    ----------
    labels : (K, J, I) ndarray of int
        On the grid of ``volume``, as :func:`~CovidSeverityLib.read_mask` returns them.
    volume : CtVolume
        The CT, to check the mask against.
    name : str
        Of the mask's file, for messages and reports.

    Returns
    -------
    LobeSegmentation
        For :func:`~CovidSeverityLib.analyze`.

    Raises
    ------
    InputError
        If the labels are others, lobes lie on the wrong side or upside down, or not on lungs.

    Examples
    --------
    >>> import numpy as np
    >>> from CovidSeverityLib import lobes_from_labels, read_ct, read_mask
    >>> ct = read_ct("ct.nii.gz")
    >>> as_totalsegmentator = np.array([0, 12, 13, 14, 10, 11])[read_mask("lobes.nii.gz", ct)]
    >>> lobes_from_labels(as_totalsegmentator, ct, "other.nii.gz").source
    'file other.nii.gz (TotalSegmentator labels)'
    """
    found = set(np.unique(labels).tolist()) - {0}
    scheme = _scheme_of(found)
    if scheme is None:
        shown = ", ".join(str(label) for label in sorted(found)[:8]) or "none"
        raise InputError(
            f"lobe mask {name} has the labels {shown}; expected 1-5 as from lungmask's LTRCLobes, "
            "or 10-14 as from TotalSegmentator"
        )
    lookup = np.zeros(max(found | set(LOBE_SCHEMES[scheme])) + 1, dtype=np.uint8)
    for label, lobe in LOBE_SCHEMES[scheme].items():
        lookup[label] = lobe
    lobes = lookup[labels]
    return checked_lobes(lobes, volume, name, f"file {name} ({scheme} labels)")


def checked_lobes(lobes: NDArray[np.uint8], volume: CtVolume, name: str, source: str) -> LobeSegmentation:
    """Lobes from elsewhere, once their sides, their order and their place in the CT are checked.

    Parameters
    ----------
    lobes : (K, J, I) ndarray of uint8
        Labels of :class:`Lobe` on the grid of ``volume``.
    volume : CtVolume
        The CT.
    name : str
        Of the mask, for messages.
    source : str
        Where they come from, for reports.

    Raises
    ------
    InputError
        If lobes lie on the wrong side or upside down, or not on lungs.
    """
    _require_plausible(lobes, name)
    require_on_lungs(volume, lobes > 0, name)
    return LobeSegmentation(lobes, source, approximate=False)


def fit_to_lungs(lobes: LobeSegmentation, lungs: NDArray[np.uint8]) -> LobeSegmentation:
    """The lobes cut to the lungs; lung without a lobe goes to the nearest lobe of its side.

    Parameters
    ----------
    lobes : LobeSegmentation
        On the grid of ``lungs``.
    lungs : (K, J, I) ndarray of uint8
        Labels of :class:`Side`.
    """
    labels = np.where(lungs > 0, lobes.labels, np.uint8(0))
    for side in Side:
        of_side = [lobe for lobe in Lobe if lobe.side is side and (lobes.labels == lobe).any()]
        wrong = (lungs == side) & ~np.isin(labels, of_side)
        if not of_side or not wrong.any():
            continue
        box = bounding_box(lungs == side, margin=(2, 2, 2))
        distances = np.stack([distance_to(lobes.labels[box] == lobe, (1.0, 1.0, 1.0)) for lobe in of_side])
        nearest = np.array(of_side, dtype=np.uint8)[distances.argmin(axis=0)]
        labels[box][wrong[box]] = nearest[wrong[box]]
    return replace(lobes, labels=labels)


def lungs_of(lobes: LobeSegmentation) -> NDArray[np.uint8]:
    """(K, J, I) uint8 of :class:`Side`: the lungs that the lobes make up."""
    sides = np.array([0, *(lobe.side for lobe in Lobe)], dtype=np.uint8)
    return sides[lobes.labels]


def _scheme_of(found: set[int]) -> str | None:
    if found and found <= set(LOBE_SCHEMES["lungmask"]):
        return "lungmask"
    return "TotalSegmentator" if found & set(LOBE_SCHEMES["TotalSegmentator"]) else None


def _require_plausible(lobes: NDArray[np.uint8], name: str) -> None:
    """Both lungs have lobes; right lobes lie to the right of left ones, upper lobes above lower ones."""
    for side in Side:
        if not any((lobes == lobe).any() for lobe in Lobe if lobe.side is side):
            raise InputError(
                f"lobe mask {name} holds no lobe of the {side.name.lower()} lung; lobes of both lungs are needed "
                "(a mask of whole lungs goes to --lungs)"
            )
    centre = {}
    for lobe in Lobe:
        k, _, i = (np.count_nonzero(lobes == lobe, axis=axes) for axes in ((1, 2), (0, 2), (0, 1)))
        if k.any():
            centre[lobe] = tuple(float((n * np.arange(n.size)).sum() / n.sum()) for n in (k, i))
    for right in (Lobe.RUL, Lobe.RML, Lobe.RLL):
        for left in (Lobe.LUL, Lobe.LLL):
            if right in centre and left in centre and centre[right][1] >= centre[left][1]:
                raise InputError(
                    f"mask {name} has the {LOBE_NAMES[right]} on the patient's left of the {LOBE_NAMES[left]}; "
                    "its labels or its geometry are swapped"
                )
    for upper, lower in ((Lobe.RUL, Lobe.RLL), (Lobe.LUL, Lobe.LLL)):
        if upper in centre and lower in centre and centre[upper][0] <= centre[lower][0]:
            raise InputError(
                f"mask {name} has the {LOBE_NAMES[upper]} below the {LOBE_NAMES[lower]}; "
                "its labels or its geometry are upside down"
            )
