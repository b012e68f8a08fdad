"""The constants of the infection mask, which its windows and its later steps share."""

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
    one_window : True joins the two into one, from the lower begin up: what lies between or above them is denser than
        what they mark, and the vessel filter is there for the vessels. False keeps the gaps, as published.
    background_hu : what the vessel filter sees outside the lung.
    smallest_px : 8-connected objects under this many pixels are dropped; None takes ``smallest_mm2``.
    smallest_mm2 : the same as an area, so that a lesion's fate does not depend on the field of view: 70 px, as
        published, are 35 mm^2 at the 0.7 mm pixels of a 360 mm field of view.
    faint_share : an object of at least this share of the smallest area stays if it continues, slice by slice, into one
        that is large enough: the end of a lesion, where its slice cuts it thin. 1 leaves every slice to itself.
    fill_holes, open_area : False leaves the step out (for ablation).
    grow_px : the vessel filter answers to the rim of a lesion as well, about as far as its largest scale (2.5 px); the
        mask grows back so many pixels into what is denser than ``grow_above_hu``, and as far to the lung's border (to
        which the filter answers as well). 0 dilates blindly, as published.
    grow_above_hu : half-way between aerated lung (-850 HU) and the windows' floor: the edge of a faint lesion, where
        the scanner blurs it into the lung. Taken from a smoothed slice.
    closing_px : edge of the square that closes the mask (or that dilates it where nothing grows).
    inside_lung : True keeps the mask inside the lung.
    smallest_lung_px : slices with fewer lung pixels hold too few values for a mixture; nothing is marked there.
    """

    clip_hu: tuple[int, int] | None = (-1024, 300)
    window_sds: float = 1.5
    window_floor_hu: float = -650.0
    window_ceiling_hu: float = 50.0
    window_caps_hu: tuple[float, float] = (50.0, 50.0)
    one_window: bool = True
    background_hu: int = AIR_HU
    smallest_px: int | None = None
    smallest_mm2: float = 35.0
    faint_share: float = 0.5
    fill_holes: bool = True
    open_area: bool = True
    grow_px: int = 3
    grow_above_hu: float = -750.0
    closing_px: int = 5
    inside_lung: bool = True
    smallest_lung_px: int = 500
    mixture: MixtureConfig = MixtureConfig()
    vesselness: VesselnessConfig = VesselnessConfig()

    def smallest_object_px(self, pixel_mm2: float) -> float:
        """Area under which an object is dropped, pixels of ``pixel_mm2``."""
        return self.smallest_mm2 / pixel_mm2 if self.smallest_px is None else self.smallest_px
