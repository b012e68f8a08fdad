"""The constants of the published infection mask, which its windows and its later steps share."""

from __future__ import annotations

from dataclasses import dataclass

from CovidSeverityLib.types import AIR_HU

from .mixture import MixtureConfig
from .vesselness import VesselnessConfig


@dataclass(frozen=True)
class InfectionConfig:
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
    """

    clip_hu: tuple[int, int] | None = (-1024, 300)
    window_sds: float = 1.5
    window_floor_hu: float = -650.0
    window_ceiling_hu: float = 50.0
    window_caps_hu: tuple[float, float] = (50.0, 50.0)
    background_hu: int = AIR_HU
    smallest_px: int = 70
    fill_holes: bool = True
    open_area: bool = True
    dilation_px: int = 5
    mixture: MixtureConfig = MixtureConfig()
    vesselness: VesselnessConfig = VesselnessConfig()
