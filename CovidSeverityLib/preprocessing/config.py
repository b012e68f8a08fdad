"""The numbers by which the body, gas and aerated lung are found, and values cut off by a window are recognised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from CovidSeverityLib.checked import Checked, Count, Hu, Positive, Range, Share, WholeHu

LARGEST_LUMEN_HU = -800.0
"""Air of a large airway is darker, averaged over a block. Walls have more than -600 HU even when thin."""

SMALLEST_LUNGS_ML = 300.0
"""With less aerated lung, no chest is seen and no lungs are found."""


@dataclass(frozen=True)
class WindowConfig(Checked):
    """How a CT is recognised whose values a display window has cut off.

    Parameters
    ----------
    spike_share : float
        Least share of the voxels that have the largest value. Bone fills a hundredth and more of a chest CT. Metal that
        saturates the 12 bits of a scanner fills less than a ten-thousandth.
    spike_contrast : float
        Least ratio of the voxels at the largest value to the voxels a level in the range right below it. A histogram
        that nothing cut off falls towards its end: its last level holds fewer voxels than those before.
    below_top_hu : int, HU
        Width of that range: several steps of a window with 256 levels.
    clipped_bone_hu : int, HU
        Density that voxels at the upper end of the window are given: the mean of a rib, cortex and marrow.
    """

    spike_share: Share = 1e-3
    spike_contrast: Positive = 1.5
    below_top_hu: Annotated[int, Range(1)] = 50
    clipped_bone_hu: WholeHu = 500


@dataclass(frozen=True)
class BodyConfig(Checked):
    """How the patient is separated from table, blankets and air.

    Parameters
    ----------
    opening_mm : float, mm
        Radius of the in-plane opening that separates the body from a table top or a sheet that touches it (1 to 3 mm
        thick).
    regain_mm : float, mm
        Tissue within this distance of what the opening left belongs to the body. The chest wall of a thin patient is 3
        to 5 mm thick between the ribs, and the opening removes it from one rib to the next.
    closing_slices : int
        Slices above and below that mend a slice whose thin chest wall is torn open.
    cut_lung_hu : float, HU
        At the edge of the image, air above this density is lung. The air of the room has -1000 HU, with a block noise
        of 5 to 15 HU.
    cut_lung_smoothing : tuple of int, slices and pixels
        Size of the window at that edge over which density is averaged. A gap of one pixel would open the whole lung.
    """

    opening_mm: Positive = 2.5
    regain_mm: Positive = 12.0
    closing_slices: Count = 2
    cut_lung_hu: Hu = -940.0
    cut_lung_smoothing: tuple[Count, Count] = (3, 7)


@dataclass(frozen=True)
class GasConfig(Checked):
    """How gas in airways, stomach and bowel is separated from lung.

    Parameters
    ----------
    highest_hu : int, HU
        A block below this density is gas. Air has -1000 HU, emphysema begins at -950 HU (Gevenois 1996, doi
        10.1164/ajrccm.154.1.8680679), block noise is 5 to 15 HU.
    core_radius_mm : float, mm
        A gas space holds a disc of this radius: trachea (radius 7 to 12 mm), main bronchi (5 to 8 mm), stomach, bowel.
        Scattered emphysematous blocks hold none.
    rim_mm : float, mm
        Width of the partial volume between gas and the wall around it, with the wall of a large airway (1 to 3 mm).
    island_share : float
        Slices thicker than the rim blur gas into the next slices, up to the density of lung. There, an island of air in
        a slice is gas if known gas covers more than this share of it, in the slice or straight above or below. Bowel
        continues so. The section of a lung is far wider than the gas below it.
    lung_around_hu : float, HU
        Density below which a block around gas may be lung: walls blur to more, even when thin.
    lung_around_share : float
        Gas with this share of lung in the second block around it is a bulla or emphysema. In slices thicker than the
        rim the third block counts, because sloping walls blur over the second one (0.62 of it around a colon in 10 mm
        slices, 0.38 of the third).
    bulla_ml : float, ml
        Larger gas spaces may be bullae. A large bulla lies at the chest wall or the mediastinum, with lung on its other
        sides only.
    bulla_ring_mm : float, mm
        Distance from a bulla at which lung is looked for. It is beyond the bulla's own wall, but not beyond that of
        stomach or bowel and the diaphragm. Thicker slices blur sloping walls over this distance: there, bullae are not
        looked for.
    bulla_share : float
        Least share of lung at that distance. It was 0.31 to 0.87 around six bullae of 12 to 40 mm radius, drawn into a
        normal scan, and 0.18 at most around stomach and bowel (three scans, three synthetic chests).
    bulla_lung_hu : float, HU
        Blocks of that ring below this density are no lung. Noise breaks pieces off a gas space, which have gas around
        them; with noise that gas may exceed ``highest_hu``, but not this.
    """

    highest_hu: WholeHu = -965
    core_radius_mm: Positive = 2.5
    rim_mm: Positive = 3.5
    island_share: Share = 0.5
    lung_around_hu: Hu = -700.0
    lung_around_share: Share = 0.6
    bulla_ml: Positive = 10.0
    bulla_ring_mm: Positive = 5.0
    bulla_share: Share = 0.25
    bulla_lung_hu: Hu = -930.0


@dataclass(frozen=True)
class ThoraxConfig(Checked):
    """How the body, gas and aerated lung are found on the working grid.

    Parameters
    ----------
    lung_tissue_hu : float, HU
        Upper end of aerated lung: the midpoint of inflated lung (about -850 HU) and soft tissue (about 50 HU). A sharp
        boundary that the scanner has blurred is crossed there in the right place (Hu, Hoffman and Reinhardt 2001, doi
        10.1109/42.929615, reach it by iteration).
    aerated_hu : tuple of float, HU
        Range for the median of a piece of aerated lung, from severe emphysema to dense ground glass. Gas has less, fat
        and stool have more.
    smallest_piece_ml : float, ml
        Smaller pieces of air are bowel loops, sinuses and airways. A lung that disease has divided comes in larger
        ones.
    body : BodyConfig
        How the body is found.
    gas : GasConfig
        How gas is found.
    """

    lung_tissue_hu: Hu = -400.0
    aerated_hu: tuple[Hu, Hu] = (-970.0, -500.0)
    smallest_piece_ml: Positive = 10.0
    body: BodyConfig = BodyConfig()
    gas: GasConfig = GasConfig()
