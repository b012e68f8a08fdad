"""What the published classifier looks at: the densities of opacity in an axial slice and the outline of its lungs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.checked import Checked, Range
from CovidSeverityLib.parallel import map_in_order
from CovidSeverityLib.segmentation.opacity.published.config import PUBLISHED_CTSS, PublishedOpacityConfig
from CovidSeverityLib.segmentation.opacity.published.opacities import candidate_mask, open_area
from CovidSeverityLib.segmentation.opacity.published.windows import masked_slice, slice_mixtures
from CovidSeverityLib.types import AIR_HU

from .lung_outline import lung_outline

LONG_SCAN_SLICES = 80
"""Scans of more slices than this are long (published)."""

LONG_SCAN_REACH, SHORT_SCAN_REACH = 40, 25
"""Slices on either side of the middle one that are classified in a long scan and in another (published)."""

SLICES_DEFINITION = (
    f"Of a scan of more than {LONG_SCAN_SLICES} slices {LONG_SCAN_REACH} on either side of the middle one are "
    f"classified, of another {SHORT_SCAN_REACH}, as far as they show lung (as published)"
)
"""Which slices are classified, in words."""


@dataclass(frozen=True)
class ClassificationImageConfig(Checked):
    """How the image is made. A network has to be given the images that it was trained with.

    Parameters
    ----------
    infection : PublishedOpacityConfig
        Gives the windows and the mixture, and for the ablation steps the vessel filter and the smallest object.
    fill_holes : bool
        True fills the holes of the window mask (4-connected background).
    outline : bool
        True draws the outline of the lungs.
    remove_vessels, open_area : bool
        True takes vessels, or small objects, out of the window mask. The published image keeps both; its authors'
        ablation study switches them on. ``infection.vesselness.enabled`` and ``infection.open_area`` do not count.
    outline_value : int, HU
        Added on the outline of the lungs, as published: about as bright as water, in units of HU + 1024.

    Raises
    ------
    ConfigurationError
        If a value is of the wrong type or out of its range.
    """

    infection: PublishedOpacityConfig
    fill_holes: bool = True
    outline: bool = True
    remove_vessels: bool = False
    open_area: bool = False
    outline_value: Annotated[int, Range(0, 4095)] = 950


def image_variants(config: ClassificationImageConfig) -> Mapping[str, ClassificationImageConfig]:
    """The classification image as configured, without each of its steps, and with steps of the mask that it lacks."""
    variants = {
        "as published": config,
        "without filling": replace(config, fill_holes=False),
        "without boundary": replace(config, outline=False),
        "without filling and boundary": replace(config, fill_holes=False, outline=False),
        "with vesselness": replace(config, remove_vessels=True),
        "with area opening": replace(config, open_area=True),
        "with vesselness and area opening": replace(config, remove_vessels=True, open_area=True),
    }
    return MappingProxyType(variants)


PUBLISHED_CLASSIFICATION_IMAGE = ClassificationImageConfig(infection=PUBLISHED_CTSS)
"""What the published classifier was trained with: the windows of the severity score, vessels and small objects kept."""

CLASSIFICATION_IMAGES: Mapping[str, ClassificationImageConfig] = MappingProxyType(
    {name.replace(" ", "-"): config for name, config in image_variants(PUBLISHED_CLASSIFICATION_IMAGE).items()}
)
"""Images that a classifier can be trained with, by name: the published one, and those of the ablation studies."""


def classification_slices(lung: NDArray[np.bool_]) -> tuple[int, ...]:
    """Slices around the scan's middle that are classified: those that show lung, from superior to inferior.

    With slices numbered 1 to K from the superior end, as the authors store them, the middle one is K / 2, rounded down.

    Parameters
    ----------
    lung : (K, J, I) ndarray
        True or a label in lung.

    Returns
    -------
    tuple of int
        Indices into ``lung``, in the order of the vote.
    """
    number = len(lung)
    middle = number // 2
    reach = LONG_SCAN_REACH if number > LONG_SCAN_SLICES else SHORT_SCAN_REACH
    from_superior = range(max(1, middle - reach), min(number, middle + reach) + 1)
    return tuple(number - n for n in from_superior if lung[number - n].any())


def classification_images(
    hu: NDArray[np.int16],
    lung: NDArray[np.bool_],
    config: ClassificationImageConfig,
    slices: Sequence[int] | None = None,
) -> NDArray[np.uint8]:
    """Images of axial slices: ``HU + 1024`` inside the window mask, plus the outline, stretched to 0-255.

    What lies outside the lung is dark, be it in a hole that was filled. The authors also keep their images as JPEG
    files; that loss is not imitated.

    A slice with too few values for a mixture shows its outline alone, one without lung is 0.

    Parameters
    ----------
    hu : (K, J, I) ndarray of int16
        Hounsfield units.
    lung : (K, J, I) ndarray of bool
        Both lungs.
    config : ClassificationImageConfig
        How the image is made.
    slices : sequence of int, optional
        Which slices; None for all. Each stands for itself.

    Returns
    -------
    (N, J, I) ndarray of uint8
        One image for each of ``slices``, of the size of the CT's own slices.

    Raises
    ------
    ValueError
        If ``lung`` does not have the shape of ``hu``.
    """
    if hu.shape != lung.shape:
        raise ValueError(f"lung mask {lung.shape} does not match volume {hu.shape}")
    picks = np.arange(len(hu)) if slices is None else np.asarray(slices, dtype=np.intp)
    if picks.size == 0:
        return np.zeros((0, *hu.shape[1:]), dtype=np.uint8)
    hu, lung = hu[picks], lung[picks] != 0
    marked = _marked(hu, lung, config)
    images = map_in_order(lambda n: _image(hu[n], marked[n], lung[n], config), range(picks.size), "images", None)
    return np.stack(images)


def _marked(hu: NDArray[np.int16], lung: NDArray[np.bool_], config: ClassificationImageConfig) -> NDArray[np.bool_]:
    """(N, J, I) bool: windows, minus vessels and small objects where the configuration says so, holes filled."""
    vesselness = replace(config.infection.vesselness, enabled=config.remove_vessels)
    infection = replace(config.infection, vesselness=vesselness)
    masked = np.stack([masked_slice(h, m, infection) for h, m in zip(hu, lung, strict=True)])
    marked = np.zeros(masked.shape, dtype=bool)
    for n, fit in enumerate(slice_mixtures(masked, infection)):
        if fit is not None:
            marked[n] = candidate_mask(masked[n], fit, infection)
    if config.open_area:
        marked = open_area(marked, infection.smallest_px)
    return np.stack([ndimage.binary_fill_holes(m) for m in marked]) if config.fill_holes else marked


def _image(
    hu: NDArray[np.int16], marked: NDArray[np.bool_], lung: NDArray[np.bool_], config: ClassificationImageConfig
) -> NDArray[np.uint8]:
    stored = np.maximum(hu.astype(np.int64) - AIR_HU, 0)  # unsigned, as the authors' files hold it
    image = np.where(marked & lung, stored, 0)
    if config.outline:
        image[lung_outline(lung)] += config.outline_value
    return _stretched(image)


def _stretched(image: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Smallest value to 0, largest to 255, halves rounded up (as MATLAB does); a constant image is 0."""
    lowest = image.min()
    span = max(int(image.max() - lowest), 1)
    return ((2 * 255 * (image - lowest) + span) // (2 * span)).astype(np.uint8)
