"""The constants of the default profile's infection mask, and how sure they are."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .airway_walls import AirwayWallConfig
from .tubes import TubeConfig


@dataclass(frozen=True)
class LesionTolerance:
    """How far the thresholds of :class:`LesionConfig` may as well lie elsewhere: a standard uncertainty each.

    Parameters
    ----------
    density_hu : of everything that is held against aerated lung. Its peak differs by 6 HU between parts of one lung
        (three scans, nine parts and variations each), and scanners may be 7 HU off at water (ACR accreditation).
    radius_mm : of the radius that tells an opacity from a vessel, or ground glass from grain: texts give vessels'
        diameters as ranges of about 2 mm, and a block's edge is up to 1.6 mm.
    edge_share : of the share of an opacity's excess density at which its edge is drawn: a quarter of a millimetre at a
        blur of 1 mm, less than readers' outlines differ by.
    size_factor : by which the smallest volume may be larger or smaller: a ball of 7 or of 9 mm in place of 8 mm.
    """

    density_hu: float = 10.0
    radius_mm: float = 0.5
    edge_share: float = 0.1
    size_factor: float = 1.5


@dataclass(frozen=True)
class LesionConfig:
    """Constants of the default profile's infection mask.

    Parameters
    ----------
    smoothing_mm : of the density, in the axial plane.
    dense_hu : excess over aerated lung of what is held against the calibre of vessels.
    faint_hu, faint_radius_mm : excess of what is faint, and the radius that it has to have: the fainter, the larger.
        Into radii over ``core_radius_mm`` what is dense counts as well.
    faint_smoothing_mm : further smoothing, in the axial plane and away from vessels, of what is held against
        ``faint_hu``: ground glass is grainy.
    faint_depth_mm : how far along the axis what is faint goes on: a dome or a fissure that lies in the slice is mixed
        with lung in one block.
    vessel_core_hu : density of a vessel's inside, half-way between blood and aerated lung.
    vessel_halo_mm : how far the blur of the scanner and of the blocks carries a vessel's density.
    core_radius_mm : what is dense, thicker than a vessel and holds a disc of this radius is the core of an opacity
        for what is faint around it: one and a half times a segmental artery's.
    extra_radius_mm : added to the largest radius of vessels at every place (see :mod:`.calibre`).
    border_mm : width of the border of partial volume in the axial plane; along the axis it is one block.
    smallest_ml : volume of the smallest opacity: a ball of 8 mm.
    edge_share : share of an opacity's excess density at which its edge is drawn. Half is where a blurred edge lies;
        smoothing, closing and whole blocks carry the outline outwards from there: 24 implanted cases were 4 to 11 %
        too large at half (median of a chest), 0 to 4 % at 0.65.
    grow_hu : excess below which nothing is opacity: that of the faintest.
    level_mm : how far around a place an opacity's own density is taken from: more than its blurred rim.
    rim_mm : radius of what an edge leaves over that is a halo and not blur: a blurred edge is 2-3 mm wide, on blocks of
        1-2 mm up to 5. The smaller, the more of a soft-edged consolidation's rim counts: implanted ones came out 2 %
        too large at 3 mm, 7 % at 2.5 mm, while of halos round small cores 10 % less was missed.
    grow_mm : how far an opacity grows at most.
    closing_mm : gaps in an opacity up to twice this, vessels and bronchi, are filled.
    tubes : what of the dense is a vessel all the same.
    airway_walls : what of the dense is the wall of a bronchus.
    tolerance : of these thresholds, for the range of the score.
    remove_vessels, remove_airway_walls, open_volume, grow, fill_holes : False leaves the step out (for ablation).
    """

    smoothing_mm: float = 0.7
    dense_hu: float = 230.0
    faint_hu: tuple[float, ...] = (180.0, 95.0)
    faint_radius_mm: tuple[float, ...] = (3.2, 6.5)
    faint_smoothing_mm: float = 1.5
    faint_depth_mm: float = 4.0
    vessel_core_hu: float = -400.0
    vessel_halo_mm: float = 2.0
    core_radius_mm: float = 5.0
    extra_radius_mm: float = 0.0
    border_mm: float = 1.5
    smallest_ml: float = 0.3
    edge_share: float = 0.65
    grow_hu: float = 95.0
    level_mm: float = 3.0
    rim_mm: float = 2.5
    grow_mm: float = 3.0
    closing_mm: float = 1.3
    tubes: TubeConfig = TubeConfig()
    airway_walls: AirwayWallConfig = AirwayWallConfig()
    tolerance: LesionTolerance = LesionTolerance()
    remove_vessels: bool = True
    remove_airway_walls: bool = True
    open_volume: bool = True
    grow: bool = True
    fill_holes: bool = True

    def varied(self, direction: int) -> LesionConfig:
        """All thresholds moved by their tolerance: stricter (``direction`` 1) or more lenient (-1)."""
        by = self.tolerance
        return replace(
            self,
            dense_hu=self.dense_hu + direction * by.density_hu,
            faint_hu=tuple(hu + direction * by.density_hu for hu in self.faint_hu),
            faint_radius_mm=tuple(mm + direction * by.radius_mm for mm in self.faint_radius_mm),
            extra_radius_mm=self.extra_radius_mm + direction * by.radius_mm,
            smallest_ml=self.smallest_ml * by.size_factor**direction,
            edge_share=self.edge_share + direction * by.edge_share,
            grow_hu=self.grow_hu + direction * by.density_hu,
        )
