"""The published method's CTSS: ordinal scores of axial slices, averaged."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor
from typing import Annotated

import numpy as np

from CovidSeverityLib.checked import Checked, Range
from CovidSeverityLib.ctss import score_for_percent
from CovidSeverityLib.types import Lobe

from .quantification import Counts


@dataclass(frozen=True)
class SliceScoreConfig(Checked):
    """Which slices count.

    Parameters
    ----------
    smallest_lung_share : float, share
        Slices whose lungs cover a smaller share of the image are left out, as published.
    skip_first, skip_last : int, slices
        Slices that are left out at the inferior and at the superior end, as published.

    Raises
    ------
    ConfigurationError
        If a value is of the wrong type or out of its range.
    """

    smallest_lung_share: Annotated[float, Range(0, 1)] = 0.06
    skip_first: Annotated[int, Range(0)] = 6
    skip_last: Annotated[int, Range(0)] = 5


@dataclass(frozen=True)
class PublishedScore:
    """CTSS of every region by the rounded mean and by the maximum over slices; how many slices counted."""

    mean: dict[Lobe, int]
    maximum: dict[Lobe, int]
    slices: int


def published_score(counts: Counts, slice_pixels: int, config: SliceScoreConfig = SliceScoreConfig()) -> PublishedScore:
    """Score every slice's regions and combine them.

    A region's share of opacity is rounded up to whole per cent before it is scored; means are rounded half up.

    Parameters
    ----------
    counts : Counts
        Voxels per slice and region.
    slice_pixels : int
        Pixels of an axial slice.
    config : SliceScoreConfig
        Which slices count.
    """
    number = counts.lung.shape[0]
    used = [
        k
        for k in range(config.skip_first, number - config.skip_last)
        if counts.lung[k].sum() >= config.smallest_lung_share * slice_pixels
    ]
    scores = np.array([[_slice_score(counts, k, lobe) for lobe in Lobe] for k in used]).reshape(len(used), len(Lobe))
    mean = scores.mean(axis=0) if used else np.zeros(len(Lobe))
    maximum = scores.max(axis=0, initial=0)
    return PublishedScore(
        mean={lobe: floor(mean[lobe - 1] + 0.5) for lobe in Lobe},
        maximum={lobe: int(maximum[lobe - 1]) for lobe in Lobe},
        slices=len(used),
    )


def _slice_score(counts: Counts, k: int, lobe: Lobe) -> int:
    region = int(counts.lung[k, lobe])
    return score_for_percent(ceil(100 * int(counts.infected[k, lobe]) / region)) if region else 0
