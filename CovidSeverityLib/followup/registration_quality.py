"""Whether a registration can be trusted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.metrics import MaskAgreement
from CovidSeverityLib.morphology.grid import inner_boundary
from CovidSeverityLib.types import NoteSeverity, QualityNote

from .config import RegistrationQualityConfig
from .registration import Correspondence, Registration
from .working_images import WorkingImages


@dataclass(frozen=True)
class RegistrationQuality:
    """How well the earlier lungs lie on the later ones.

    Parameters
    ----------
    dice : float
        Dice coefficient of the lungs, 0 to 1.
    surface_mm, surface_95_mm : float
        Distance of the later surface of the lungs to the earlier one, mean and 95th percentile, mm.
    folded_percent : float
        Share of the lungs in which the field folds (Jacobian determinant of 0 or less), %.
    volume_ratio : float
        Earlier volume of the lungs, in later volumes.
    correlation : float or None
        Of the structure of the lungs outside opacities, -1 to 1; None without both CTs.
    """

    dice: float
    surface_mm: float
    surface_95_mm: float
    folded_percent: float
    volume_ratio: float
    correlation: float | None

    def failures(self, config: RegistrationQualityConfig) -> tuple[str, ...]:
        """Why the examinations cannot be compared; nothing where they can."""
        return tuple(self._failures(config))

    def notes(self, config: RegistrationQualityConfig) -> tuple[QualityNote, ...]:
        """Warnings on a registration that has not failed but is doubtful."""
        doubts = "; ".join(self._doubts(config))
        message = f"The registration is doubtful: {doubts}. Look at comparison.png before you trust new and resolved."
        return (QualityNote("registration_doubtful", NoteSeverity.WARNING, message),) if doubts else ()

    def _failures(self, config: RegistrationQualityConfig) -> Iterator[str]:
        if self.dice < config.least_dice:
            least = config.least_dice
            yield f"the registered lungs agree with a Dice coefficient of {self.dice:.2f} ({least:g} needed)"
        if self.folded_percent > config.most_folded_percent:
            most = config.most_folded_percent
            yield f"the registration folds in {self.folded_percent:.1f} % of the lungs (at most {most:g} % allowed)"
        if not 1.0 / config.largest_volume_ratio <= self.volume_ratio <= config.largest_volume_ratio:
            most = config.largest_volume_ratio
            yield f"the lungs had {self.volume_ratio:.2f} times the later volume (1/{most:g} to {most:g} allowed)"
        if self.correlation is not None and self.correlation < config.least_correlation:
            least = config.least_correlation
            yield f"the vessels of both lungs correlate with {self.correlation:.2f} ({least:g} needed)"

    def _doubts(self, config: RegistrationQualityConfig) -> Iterator[str]:
        if self.dice < config.doubtful_dice:
            yield f"Dice coefficient of the lungs {self.dice:.2f}"
        if self.surface_mm > config.doubtful_surface_mm:
            yield f"surfaces {self.surface_mm:.1f} mm apart on average"
        if self.folded_percent > config.doubtful_folded_percent:
            yield f"the field folds in {self.folded_percent:.1f} % of the lungs"
        if self.correlation is not None and self.correlation < config.doubtful_correlation:
            yield f"the vessels of both lungs correlate with only {self.correlation:.2f}"


def registration_quality(
    registration: Registration,
    earlier: WorkingImages,
    later: WorkingImages,
    carried_lung: NDArray[np.bool_],
    later_lung: NDArray[np.bool_],
) -> RegistrationQuality:
    """Measure a registration.

    Parameters
    ----------
    registration : Registration
        What was found.
    earlier, later : WorkingImages
        What it was found from.
    carried_lung, later_lung : (K, J, I) ndarray of bool
        The earlier lungs carried over, and the later ones, on the same grid.
    """
    affine = registration.matrix, registration.offset_mm
    surface = _sampled(earlier.distance_mm, registration, earlier, later, affine, inner_boundary(later.lung))
    distances = np.abs(surface - later.distance_mm[inner_boundary(later.lung)])
    jacobian = registration.jacobian()[later.lung]
    return RegistrationQuality(
        dice=MaskAgreement.of(carried_lung, later_lung).dice,
        surface_mm=float(distances.mean(dtype=np.float64)),
        surface_95_mm=float(np.percentile(distances, 95)),
        folded_percent=100.0 * float((jacobian <= 0).mean()),
        volume_ratio=float(earlier.lung.sum() * earlier.geometry.voxel_ml)
        / float(later.lung.sum() * later.geometry.voxel_ml),
        correlation=_correlation(registration, earlier, later, affine),
    )


def _sampled(
    image: NDArray[np.float32],
    registration: Registration,
    earlier: WorkingImages,
    later: WorkingImages,
    affine: tuple[NDArray[np.float64], NDArray[np.float64]],
    where: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """An earlier image at the later voxels of ``where``."""
    places = Correspondence.of(earlier, later, affine, where).places(registration.field_mm)
    return ndimage.map_coordinates(image, places, output=np.float32, order=1, mode="nearest")


def _correlation(
    registration: Registration,
    earlier: WorkingImages,
    later: WorkingImages,
    affine: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> float | None:
    """Of the structure, where both lungs have no opacity."""
    if earlier.structure is None or later.structure is None:
        return None
    where = later.trusted
    trusted = _sampled(earlier.trusted.astype(np.float32), registration, earlier, later, affine, where) >= 0.5
    first = _sampled(earlier.structure, registration, earlier, later, affine, where)[trusted].astype(np.float64)
    second = later.structure[where][trusted].astype(np.float64)
    if first.size < 2:
        return 0.0
    first, second = first - first.mean(), second - second.mean()
    norm = float(np.sqrt(np.square(first).sum() * np.square(second).sum()))
    return float((first * second).sum()) / norm if norm > 0 else 0.0
