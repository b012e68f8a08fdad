"""The constants of the published infection mask, which its windows and its later steps share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from CovidSeverityLib.checked import HOUNSFIELD, Range, check_fields
from CovidSeverityLib.errors import ConfigurationError
from CovidSeverityLib.types import AIR_HU

from .mixture import MixtureConfig
from .vesselness import VesselnessConfig

WholeHu = Annotated[int, HOUNSFIELD]
Hu = Annotated[float, HOUNSFIELD]

COMPONENTS = 3
"""Of the mixture: aerated lung, and the two that have a window each."""


@dataclass(frozen=True)
class PublishedOpacityConfig:
    """The published method's constants; where its two programs differ, the defaults are those of the segmentation.

    Parameters
    ----------
    clip_hu : range the slice is clipped to before anything else; None leaves it.
    window_sds : half-width of a component's window, standard deviations.
    window_floor_hu : no window begins below this.
    window_ceiling_hu : a window that ends above this is capped.
    window_caps_hu : where the capped windows of the 2nd and the 3rd component end.
    background_hu : what the vessel filter sees outside the lung.
    smallest_px : 8-connected objects under this many pixels are dropped.
    fill_holes, open_area : False leaves the step out (for ablation).
    dilation_px : edge of the square that dilates the mask; 1 leaves it as it is (for ablation).
    mixture : gives the windows, by its second and third component.
    vesselness : takes vessels out.

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
"""Infection masks of the paper's segmentation tables."""

PUBLISHED_CTSS = PublishedOpacityConfig(
    clip_hu=None,
    window_ceiling_hu=30.0,
    window_caps_hu=(10.0, 30.0),
    background_hu=0,
    smallest_px=50,
    mixture=MixtureConfig(variance_floor_hu2=0.0),
)
"""Infection masks of the paper's severity score: other caps, and a vessel filter that sees 0 HU outside the lung."""
