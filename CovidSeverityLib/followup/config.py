"""The numbers by which two examinations are registered and compared. ``docs/followup.md`` has the measurements."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any

from CovidSeverityLib.checked import Checked, Count, NotNegative, Percent, Positive, Range, Share, check_fields

Pair = Annotated[float, Range(0, without_ends=True)]


@dataclass(frozen=True)
class RegistrationConfig(Checked):
    """How the lungs are registered. Registration errors were measured on three warped scans (docs/followup.md).

    Parameters
    ----------
    working_mm : float, mm
        Largest edge of the voxels on which the lungs are registered. With 3 mm the error was the same.
    reach_mm : float, mm
        So far outside the later lungs the distance to their surface counts: as much as a breath moves a diaphragm
        after the affine step.
    inside_mm, outside_mm : float, mm
        Distances to the surface are clipped to these. The first holds the middle of a lung.
    mesh_mm : tuple of float, mm
        Spacing of the control points, from coarse to fine. Finer than 25 mm the error grew again.
    iterations : tuple of int
        Steps of the optimizer for each mesh. Twice as many changed the median error by less than 0.1 mm.
    detail_mm : tuple of float, mm
        Standard deviation of the Gaussian for the structure of the lungs, for each mesh; 0 registers by the surface
        alone.
    background_mm : float, mm
        Standard deviation of the Gaussian whose mean is taken off the CT, so that vessels remain, and not the density,
        which a breath changes.
    surface_mm : float, mm
        A surface that is so far off costs as much as a structure that is off by its standard deviation.
    stiffness : float
        Weight of the second differences of the control points. Errors were smallest at 0.0005 to 0.002.
    """

    working_mm: Positive = 4.0
    reach_mm: Positive = 12.0
    inside_mm: Positive = 40.0
    outside_mm: Positive = 20.0
    mesh_mm: tuple[Pair, ...] = (60.0, 40.0, 25.0)
    iterations: tuple[Count, ...] = (20, 40, 50)
    detail_mm: tuple[NotNegative, ...] = (0.0, 4.0, 2.0)
    background_mm: Positive = 10.0
    surface_mm: Positive = 4.0
    stiffness: Positive = 0.0005


@dataclass(frozen=True)
class RegistrationQualityConfig(Checked):
    """When two examinations cannot be compared, and when a reader is warned.

    Parameters
    ----------
    least_dice : float, Dice coefficient
        Lungs that agree less after the registration are not the same lungs, or one of them is not whole.
    doubtful_dice : float, Dice coefficient
        A reader is warned below it.
    most_folded_percent : float, %
        A field that folds in more of the lungs is no registration.
    doubtful_folded_percent : float, %
        A reader is warned above it.
    doubtful_surface_mm : float, mm
        A reader is warned if the surfaces are farther apart on average.
    largest_volume_ratio : float
        Lungs of one person differ by less between full inspiration and the end of a quiet breath.
    least_correlation : float
        Correlation of the lungs' structure (vessels) under which two CTs show different persons: three persons had 0.23
        to 0.39 with each other, and 0.81 to 0.84 with themselves in another breath.
    doubtful_correlation : float
        A reader is warned below it, and lungs that are cut off are refused: a scan without its lowest 100 mm had 0.61
        and 0.67 with the whole.
    """

    least_dice: Share = 0.9
    doubtful_dice: Share = 0.97
    most_folded_percent: Percent = 2.0
    doubtful_folded_percent: Percent = 0.1
    doubtful_surface_mm: Positive = 2.0
    largest_volume_ratio: Annotated[float, Range(1)] = 2.5
    least_correlation: Annotated[float, Range(-1, 1)] = 0.45
    doubtful_correlation: Annotated[float, Range(-1, 1)] = 0.75


@dataclass(frozen=True)
class ChangeConfig(Checked):
    """What counts as new or resolved.

    Parameters
    ----------
    error_mm : float, mm
        How far a registered point may lie from its true place where both CTs are at hand: 95th percentile. An earlier
        opacity may be moved by so much onto the later one.
    error_without_ct_mm : float, mm
        The same where only masks are at hand.
    border_mm : float, mm
        Half a slice more than this, the border of an unchanged opacity may lie elsewhere. A rim that is nowhere thicker
        is no change.
    smallest_ml : float, ml
        A smaller new or resolved part is no change.
    density_hu : float, HU
        A new part is denser than it was by at least this on average, a resolved one less dense, where both CTs are at
        hand. Ground glass is 150 to 450 HU denser than lung. In lungs that did not change, marks at a threshold came
        and went with less.
    """

    error_mm: Positive = 3.5
    error_without_ct_mm: Positive = 7.0
    border_mm: NotNegative = 1.5
    smallest_ml: NotNegative = 0.2
    density_hu: NotNegative = 60.0


@dataclass(frozen=True)
class RepeatabilityConfig(Checked):
    """By how much values differ between two scans of unchanged lungs.

    Measured on three scans and two synthetic chests against themselves in a breath of 10 % less volume, with noise of
    10 HU (docs/followup.md).

    Parameters
    ----------
    lung_percent, lobe_percent : float, % of the lung or lobe
        Opacities in both lungs, and in a lobe. Differences were up to 0.06 % and 0.22 %, except in the scan with the
        widest ranges, whose ranges hold its own differences.
    relative_percent : float, % of the opacities
        What is added to it for opacities that are there: 3 % of them differed, in the scan with the widest ranges 10 %.
    lung_volume_percent, lobe_volume_percent : float, % of the volume
        Volumes of both lungs, and of a lobe, in the same breath. Lungs differed by up to 0.6 % from the breath that was
        made, lobes by up to 7.4 %, because fissures are found elsewhere.
    lobe_score : int, points
        CTSS of a lobe. The ranges of the scores hold what is near an edge.
    score : int, points
        CTSS, the sum over the lobes: one lobe was at an edge.
    """

    lung_percent: Percent = 0.3
    lobe_percent: Percent = 0.5
    relative_percent: Percent = 10.0
    lung_volume_percent: Percent = 1.0
    lobe_volume_percent: Percent = 8.0
    lobe_score: Annotated[int, Range(0, 5)] = 0
    score: Annotated[int, Range(0, 25)] = 1


@dataclass(frozen=True)
class FollowUpConfig:
    """All numbers of a comparison.

    Parameters
    ----------
    registration : RegistrationConfig
        How the lungs are registered.
    quality : RegistrationQualityConfig
        When the registration has failed.
    change : ChangeConfig
        What counts as new or resolved.
    repeatability : RepeatabilityConfig
        Which differences say nothing.

    Examples
    --------
    >>> from CovidSeverityLib import FollowUpConfig
    >>> FollowUpConfig().repeatability.lung_percent
    0.3
    """

    registration: RegistrationConfig = RegistrationConfig()
    quality: RegistrationQualityConfig = RegistrationQualityConfig()
    change: ChangeConfig = ChangeConfig()
    repeatability: RepeatabilityConfig = RepeatabilityConfig()

    def __post_init__(self) -> None:
        check_fields(self)

    def as_dict(self) -> dict[str, Any]:
        """The configuration as plain values, for a report."""
        return asdict(self)
