"""Opacities of the default profile: where a small classifier says that opacity is likely.

Every place of the lungs is described by what a reader looks at (:mod:`.lung_features`): how much denser it is than
aerated lung, at which scales, how thick, how round, whether it goes on above and below, what surrounds it. A network of
a few units (:mod:`.opacity_classifier`), fitted to simulated opacities, makes a probability of it. Its log-odds are
smoothed, because readers outline regions, and what is likely enough and large enough is marked.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.morphology.components import boxes_of, component_sizes
from CovidSeverityLib.morphology.grid import bounding_box
from CovidSeverityLib.parallel import map_in_order
from CovidSeverityLib.segmentation.opacity.values import MarkedOpacities
from CovidSeverityLib.types import Geometry, Progress

from .config import OpacityConfig
from .levels import gaussian
from .lung_features import LungFeatures, gather_features
from .opacity_classifier import OpacityClassifier, load_classifier
from .uncounted import uncounted_density

STAGE = "infection"
"""Name of this stage in progress calls."""

UNLIKELY = np.float32(-20.0)
"""Log-odds outside the lungs."""


def segment_opacities(
    hu: NDArray[np.int16],
    lung: NDArray[np.bool_],
    geometry: Geometry,
    config: OpacityConfig = OpacityConfig(),
    progress: Progress | None = None,
    *,
    classifier: OpacityClassifier | None = None,
) -> MarkedOpacities:
    """Mark the opacities of both lungs, and again from a higher and from a lower probability on.

    Parameters
    ----------
    hu : (K, J, I) ndarray of int16
        Hounsfield units.
    lung : (K, J, I) ndarray of bool
        Both lungs, at least one voxel.
    geometry : Geometry
        Of both.
    config : OpacityConfig
        How places are described, and thresholds.
    progress : callable, optional
        Called with the stage "infection" as steps are done.
    classifier : OpacityClassifier, optional
        None takes the one that ships with the library.

    Returns
    -------
    MarkedOpacities
        Inside ``lung``.
    """
    report = partial(progress, STAGE) if progress is not None else _silent
    report(0, 3)
    features = gather_features(hu, lung, geometry, config.features)
    report(1, 3)
    odds = opacity_odds(features, config, classifier)
    report(2, 3)
    marked, strict, lenient = map_in_order(
        lambda level: _regions(odds, features, level, config), config.levels, STAGE, None
    )
    mask, stricter, more_lenient = map_in_order(
        lambda blocks: features.expand(blocks, lung), (marked, strict & marked, lenient | marked), STAGE, None
    )
    report(3, 3)
    return MarkedOpacities(mask, stricter, more_lenient, uncounted_density(features, marked, config))


def _silent(_done: int, _total: int) -> None:
    """Where nobody asked for progress."""


def opacity_odds(
    features: LungFeatures, config: OpacityConfig, classifier: OpacityClassifier | None = None
) -> NDArray[np.float32]:
    """(K, J, I) float32: log-odds of opacity of every block, smoothed inside the lungs."""
    inside = features.density.lung
    odds = np.zeros(inside.shape, dtype=np.float32)
    odds[inside] = (classifier or load_classifier()).logits(features.values, config.features.half_hu)
    sigma = [config.smoothing_mm / mm for mm in features.density.grid.spacing_mm]
    total, share = map_in_order(lambda a: gaussian(a, sigma), (odds, inside.astype(np.float32)), STAGE, None)
    total /= np.maximum(share, np.float32(1e-6), out=share)
    return np.where(inside, total, UNLIKELY)


def _regions(
    odds: NDArray[np.float32], features: LungFeatures, level: float, config: OpacityConfig
) -> NDArray[np.bool_]:
    """(K, J, I) bool: blocks over a level of the log-odds, without specks, and without specks of lung inside them."""
    inside = features.density.lung
    mask = np.zeros(odds.shape, dtype=bool)
    box = bounding_box(odds > level, (1, 1, 1))
    if mask[box].size:
        smallest = features.density.grid.blocks_of(config.smallest_ml)
        touching = np.ones((3, 3, 3), dtype=bool)
        touching[[0, 2]] = features.shape[0] > 1  # beyond a single slice is nothing that a gap could open to
        labels, _ = ndimage.label(odds[box] > level, touching)
        large = component_sizes(labels) >= smallest
        large[0] = False
        mask[box] = large[labels]
        if config.fill_holes:
            mask[box] |= _gaps_in_regions(labels, large, smallest, touching) & inside[box]
    return mask


def _gaps_in_regions(
    labels: NDArray[np.integer], large: NDArray[np.bool_], smallest: float, structure: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """The gaps of ``large[labels]``, looked for in the box of every region.

    That finds all: what lies around a gap is joined, and so of one region (both reach across corners).
    """
    gaps = np.zeros(labels.shape, dtype=bool)
    for label, part in enumerate(boxes_of(labels), start=1):
        if large[label]:
            gaps[part] |= _gaps(large[labels[part]], smallest, structure)
    return gaps


def _gaps(mask: NDArray[np.bool_], smallest: float, structure: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What is not ``mask`` in connected parts of fewer than ``smallest`` blocks, away from the array's faces."""
    rest = np.pad(~mask, 1, constant_values=True)
    labels, _ = ndimage.label(rest, structure)
    small = component_sizes(labels) < smallest
    small[np.unique(labels[[0, -1]])] = False
    small[np.unique(labels[:, [0, -1]])] = False
    small[0] = False
    return small[labels][1:-1, 1:-1, 1:-1]
