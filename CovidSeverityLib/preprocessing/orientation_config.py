"""The numbers by which a chest shows its own orientation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from CovidSeverityLib.checked import Checked, Hu, Positive, Range, Share

from .config import LARGEST_LUMEN_HU, SMALLEST_LUNGS_ML


@dataclass(frozen=True)
class ChestViewConfig(Checked):
    """How lungs, trachea, organs, bone and table are recognised on coarse blocks.

    Parameters
    ----------
    block_mm : (float, float, float), mm
        Largest block edge (K, J, I): a fifth of what is measured here (trachea 15 to 20 mm, aorta 25, vertebra 35).
    lung_piece_ml : float, ml
        Smaller pieces of air are airways and bowel; sick lungs come in larger ones.
    lungs_ml : float, ml
        With less aerated lung no chest is seen: the segmentation finds no lungs then either.
    smaller_lung_share : float, share
        Where less of the lungs' air lies on one side of the middle, that lung is solid, collapsed or gone: it looks
        like an organ and pulls the others aside. The smaller lung holds 0.35 to 0.5 in health.
    lumen_hu : float, HU
        Air of a large airway after averaging over a block, as in the segmentation of the airways.
    trachea_mm2, trachea_aspect, trachea_off_midline_mm, trachea_mm : float or (float, float), mm2, ratio and mm
        Section, longest over shortest side, way from the middle of the lungs, and length: a round lumen within these is
        taken for the trachea. They are narrower than in the segmentation of the airways, which has to follow main
        bronchi as well.
    soft_tissue_hu : (float, float), HU
        Heart, liver and spleen, with noise and without or with little contrast medium. Fat lies below, bone above.
    organ_cube_mm, organ_filled : float, mm and share
        A cube of this edge that is soft tissue to this share lies in heart or liver. Muscles are thinner or streaked
        with fat, the stomach holds gas, the spleen is about as thick.
    organ_ml : float, ml
        Less of such tissue does not show where the organs are.
    footprint_rim_mm, footprint_core_mm : float, mm
        The lungs seen from below: what lies nearer to their outline than the first, and farther from it than the
        second.
    bone_hu : float, HU
        Cancellous bone begins here (150 HU in adults on average); windowed scans keep it.
    midline_mm : float, mm
        Half width of the band around the middle of the chest in which spine and sternum lie.
    bone_margin : float, share
        Part of the band's half depth, on either side of its middle, in which bone belongs to neither side.
    heart_band_mm : float, mm
        From the centre of the lungs down to here the heart lies between them. As far up the descending aorta and the
        arch lie free of it.
    rear_share : float, share
        Rear part of the lungs' depth, in which the aorta descends; the heart lies before it.
    under_lung_share : float, share
        Below the slice in which the lungs' section has fallen to this share of its largest, solid tissue is the liver.
    table_hu, table_slices : float, HU and share
        A table or mattress is denser than air (-1000 HU, block noise 5 to 15 HU) at the same place in this share of the
        slices; blankets and tubes are not.
    """

    block_mm: tuple[Positive, Positive, Positive] = (4.0, 3.0, 3.0)
    lung_piece_ml: Positive = 100.0
    lungs_ml: Positive = SMALLEST_LUNGS_ML
    smaller_lung_share: Share = 0.2
    lumen_hu: Hu = LARGEST_LUMEN_HU
    trachea_mm2: tuple[Positive, Positive] = (40.0, 700.0)
    trachea_aspect: Annotated[float, Range(1)] = 2.0
    trachea_off_midline_mm: Positive = 30.0
    trachea_mm: Positive = 24.0
    soft_tissue_hu: tuple[Hu, Hu] = (-20.0, 120.0)
    organ_cube_mm: Positive = 36.0
    organ_filled: Share = 0.95
    organ_ml: Positive = 20.0
    footprint_rim_mm: Positive = 12.0
    footprint_core_mm: Positive = 25.0
    bone_hu: Hu = 120.0
    midline_mm: Positive = 25.0
    bone_margin: Share = 0.2
    heart_band_mm: Positive = 60.0
    rear_share: Share = 0.4
    under_lung_share: Share = 0.5
    table_hu: Hu = -950.0
    table_slices: Share = 0.9
