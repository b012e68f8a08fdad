"""The numbers of the default profile's opacities."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Annotated

from CovidSeverityLib.checked import Checked, Count, Hu, Positive, Range, Share, WholeHu
from CovidSeverityLib.errors import ConfigurationError
from CovidSeverityLib.morphology.grid import WORKING_SPACING_MM
from CovidSeverityLib.segmentation.opacity.kinds import CONSOLIDATION_LIMIT_HU
from CovidSeverityLib.types import triple

WIDEST_SMOOTHING_MM = 50.0
"""Half the width of a lung: beyond it nothing of where an opacity lies is left."""

Probability = Annotated[float, Range(0, 1, without_ends=True)]
Width = Annotated[float, Range(0, WIDEST_SMOOTHING_MM, without_ends=True)]


@dataclass(frozen=True)
class AeratedLungConfig(Checked):
    """How the density of aerated lung is measured, from front to back.

    Parameters
    ----------
    peak_range_hu : (int, int), HU
        The peak of aerated lung lies in this range: emphysema to a scan in expiration.
    bin_hu : int, HU
        Width of the bins of the histogram: within the noise of a block (5 to 15 HU).
    peak_smoothing_bins, peak_share : float, bins and share
        The histogram is smoothed with this standard deviation. The darkest peak of at least this share of the highest
        is aerated lung: ground glass can fill most of the lungs.
    bands : int, bands
        From front to back. Each holds enough blocks for a histogram, and the gradient is close to a line.
    fewest_blocks : int, blocks
        A band with fewer blocks is left out.
    steepest_hu : float, HU
        Largest difference between the peak of a band and that of the whole lung. From front to back it was 25 to 55 HU
        in the scans that were examined, and it is about twice that in expiration.
    """

    peak_range_hu: tuple[WholeHu, WholeHu] = (-1000, -600)
    bin_hu: Count = 8
    peak_smoothing_bins: Positive = 2.0
    peak_share: Share = 0.15
    bands: Count = 8
    fewest_blocks: Count = 200
    steepest_hu: Positive = 60.0


@dataclass(frozen=True)
class FeatureConfig(Checked):
    """How the places of the lungs are described. The opacity classifier was fitted to features with these numbers.

    Parameters
    ----------
    block_mm : (float, float, float), mm
        Largest edge (K, J, I) of a block. On blocks of about 1.5 mm noise is averaged, and the work is a fifth.
    block_lung_share : float, share
        A block that holds less lung is left out.
    smoothing_mm : float, mm
        Standard deviation of the first Gaussian, in the axial plane. With the blocks it reduces a noise of 40 HU a
        pixel to about a third.
    clipped_hu : (float, float), HU
        Range of the excess density that features are taken of. Calcium and metal count as soft tissue.
    fine_mm, middle_mm, wide_mm, region_mm, lung_mm : float, mm
        Standard deviations of the Gaussians: from the radius of a small vessel to a large part of a lobe, each twice
        the one before.
    opening_mm : (float, float, float), mm
        Half the edges of the squares of the grey openings: about the radii of a subsegmental, a segmental and the
        interlobar artery.
    beside_mm : float, mm
        Distance above and below at which a density may go on: more than the blur of a slice or of the diaphragm.
    coarsest_slice_mm : float, mm
        Blocks are joined along the axis up to this size.
    gradient_hu : float, HU
        Least difference of aerated lung from front to back that shows which face is below. It is above its own
        uncertainty (6 HU).
    raised_mm : float, mm
        Height over the lower face of the lung that counts as 1: farther up no lung is airless by its weight alone.
    typical_hu : float, HU
        Density of aerated lung in full inspiration. Where it is far from that, little of the lung may be aerated.
    half_hu : float, HU
        A density of this size becomes one half for the classifier: between faint densities a difference counts more.
    aerated : AeratedLungConfig
        How the density of aerated lung is measured.
    """

    block_mm: tuple[Positive, Positive, Positive] = WORKING_SPACING_MM
    block_lung_share: Share = 0.5
    smoothing_mm: Width = 0.7
    clipped_hu: tuple[float, float] = (-200.0, 1000.0)
    fine_mm: Width = 1.5
    middle_mm: Width = 3.0
    wide_mm: Width = 6.0
    region_mm: Width = 12.0
    lung_mm: Width = 25.0
    opening_mm: tuple[Width, Width, Width] = (2.0, 4.0, 7.0)
    beside_mm: Positive = 5.0
    coarsest_slice_mm: Positive = 4.5
    gradient_hu: Positive = 10.0
    raised_mm: Positive = 60.0
    typical_hu: Hu = -860.0
    half_hu: Positive = 150.0
    aerated: AeratedLungConfig = AeratedLungConfig()


@dataclass(frozen=True)
class UncountedConfig(Checked):
    """How dense lung that is no opacity is divided by its reason.

    Parameters
    ----------
    dense_hu : float, HU
        Excess over aerated lung from which lung is dense: about that of the faintest opacity.
    border_share : float, share
        A block is at the border of the lung if less of what lies within 1.5 mm is lung: it touches the outline.
    dependent_mm : float, mm
        Depth of the zone under the dependent pleura in which lung may be airless by gravity alone: a few millimetres to
        a centimetre (Webb, High-resolution CT of the lung, "dependent density").
    """

    dense_hu: Positive = 95.0
    border_share: Share = 0.85
    dependent_mm: Positive = 10.0


@dataclass(frozen=True)
class OpacityConfig(Checked):
    """How the default profile marks opacities.

    Parameters
    ----------
    probability : float, probability
        A place of at least this probability is opacity: the more probable of the two.
    stricter, more_lenient : float, probability
        The same for the ends of the score's range: odds of about 2 to 1 either way.
    smoothing_mm : float, mm
        Standard deviation of the Gaussian over the log-odds, inside the lungs: readers outline regions.
    smallest_ml : float, ml
        Volume of the smallest opacity, and of the smallest region of one kind in it: a ball of 8 mm.
    fill_holes : bool
        False does not fill enclosed vessels and bronchi (for ablation).
    consolidation_hu : int, HU
        A region of opacity above this mean density is consolidation, below it is ground glass (Chaganti 2020,
        doi 10.1148/ryai.2020200048). The same limit defines the percentage of high opacity.
    consolidation_smoothing_mm : float, mm
        Standard deviation of the Gaussian over the density, inside the opacity. Noise and vessels of 4 mm in ground
        glass stay under the limit. A consolidated lobule does not (10 to 25 mm; Fleischner glossary,
        doi 10.1148/radiol.2462070712).
    features : FeatureConfig
        How the places of the lungs are described.
    uncounted : UncountedConfig
        How dense lung that is no opacity is divided.

    Raises
    ------
    ConfigurationError
        If the probabilities do not lie between 0 and 1 in their order, or a size is negative or no number.
    """

    probability: Probability = 0.5
    stricter: Probability = 0.7
    more_lenient: Probability = 0.3
    smoothing_mm: Annotated[float, Range(0, WIDEST_SMOOTHING_MM)] = 1.0
    smallest_ml: Annotated[float, Range(0)] = 0.3
    fill_holes: bool = True
    consolidation_hu: WholeHu = CONSOLIDATION_LIMIT_HU
    consolidation_smoothing_mm: Width = 1.5
    features: FeatureConfig = FeatureConfig()
    uncounted: UncountedConfig = UncountedConfig()

    def __post_init__(self) -> None:
        super().__post_init__()
        levels = self.more_lenient, self.probability, self.stricter
        if not levels[0] <= levels[1] <= levels[2]:
            raise ConfigurationError(f"OpacityConfig: probabilities are {levels}; expected them to rise")

    @property
    def levels(self) -> tuple[float, float, float]:
        """Log-odds of the three probabilities: as it is marked, stricter, more lenient."""
        return triple(log(p / (1 - p)) for p in (self.probability, self.stricter, self.more_lenient))
