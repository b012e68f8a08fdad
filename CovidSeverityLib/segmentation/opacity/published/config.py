"""The numbers of the published method's opacities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from CovidSeverityLib.checked import Hu, Range, WholeHu, check_fields
from CovidSeverityLib.errors import ConfigurationError
from CovidSeverityLib.segmentation.opacity.kinds import CONSOLIDATION_LIMIT_HU
from CovidSeverityLib.types import AIR_HU

from .mixture import MixtureConfig
from .vesselness import VesselnessConfig

COMPONENTS = 3
"""Of the mixture: aerated lung, and the two that have a window each."""


@dataclass(frozen=True)
class PublishedOpacityConfig:
    """How the published method marks opacities. Where its two programs differ, the defaults are the segmentation's.

    Parameters
    ----------
    clip_hu : (int, int) or None, HU
        The slice is clipped to this range before anything else. None leaves it (both as published).
    window_sds : float, standard deviations
        Half the width of the window around a component, as published.
    window_floor_hu : float, HU
        No window begins below this, as published.
    window_ceiling_hu : float, HU
        A window that ends above this is capped, as published.
    window_caps_hu : (float, float), HU
        Ends of the capped windows of the second and the third component, as published.
    background_hu : int, HU
        The vessel filter sees this outside the lung, as published.
    smallest_px : int, px
        8-connected objects of fewer pixels are dropped, as published.
    fill_holes, open_area : bool
        False leaves the step out (for ablation).
    dilation_px : int, px
        Edge of the square that dilates the mask, as published. 1 leaves the mask as it is (for ablation).
    consolidation_hu : int, HU
        A voxel of opacity above this is consolidation, below it ground glass (Chaganti 2020,
        doi 10.1148/ryai.2020200048). The same limit defines the percentage of high opacity.
    mixture : MixtureConfig
        Gives the windows, by its second and third component.
    vesselness : VesselnessConfig
        Takes vessels out.

    Raises
    ------
    ConfigurationError
        If a value is of the wrong type or out of its range, or a range is empty.
    """

    clip_hu: tuple[WholeHu, WholeHu] | None = (-1024, 300)
    window_sds: Annotated[float, Range(0, without_ends=True)] = 1.5
    window_floor_hu: Hu = -650.0
    window_ceiling_hu: Hu = 50.0
    window_caps_hu: tuple[Hu, Hu] = (50.0, 50.0)
    background_hu: WholeHu = AIR_HU
    smallest_px: Annotated[int, Range(0)] = 70
    fill_holes: bool = True
    open_area: bool = True
    dilation_px: Annotated[int, Range(1, 99, step=2)] = 5
    consolidation_hu: WholeHu = CONSOLIDATION_LIMIT_HU
    mixture: MixtureConfig = MixtureConfig()
    vesselness: VesselnessConfig = VesselnessConfig()

    def __post_init__(self) -> None:
        check_fields(self)
        if self.clip_hu is not None and not self.clip_hu[0] < self.clip_hu[1]:
            raise ConfigurationError(
                f"PublishedOpacityConfig: clip_hu is {self.clip_hu}; expected two numbers that rise"
            )
        components = len(self.mixture.start_means_hu)
        if components != COMPONENTS:
            raise ConfigurationError(
                f"PublishedOpacityConfig: mixture has {components} components; expected {COMPONENTS}, for two windows"
            )


PUBLISHED_SEGMENTATION = PublishedOpacityConfig()
"""Opacities of the paper's segmentation tables."""

PUBLISHED_CTSS = PublishedOpacityConfig(
    clip_hu=None,
    window_ceiling_hu=30.0,
    window_caps_hu=(10.0, 30.0),
    background_hu=0,
    smallest_px=50,
    mixture=MixtureConfig(variance_floor_hu2=0.0),
)
"""Opacities of the paper's severity score: other caps, and a vessel filter that sees 0 HU outside the lung."""
