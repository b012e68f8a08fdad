"""The numbers that decide where the lungs are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from CovidSeverityLib.checked import Checked, Count, Hu, NotNegative, Positive, Range, Share
from CovidSeverityLib.morphology.grid import WORKING_SPACING_MM
from CovidSeverityLib.preprocessing.config import LARGEST_LUMEN_HU, SMALLEST_LUNGS_ML, ThoraxConfig, WindowConfig
from CovidSeverityLib.preprocessing.cut_out import CutOutConfig


@dataclass(frozen=True)
class AirwayConfig(Checked):
    """How trachea and main bronchi are followed.

    Parameters
    ----------
    lumen_hu : float, HU
        Air of a large airway is darker, averaged over a block. Walls have more than -600 HU even when thin, and
        separate it from the lung.
    trachea_area_mm2 : tuple of float, mm2
        Range of the cross-section of a trachea: 90 to 400 mm2 in adults (Breatnach 1984, doi 10.2214/ajr.142.5.903),
        less in narrowing, more in tracheomegaly.
    largest_aspect : float
        Largest ratio of the sides of the trachea's bounding box. A sabre-sheath trachea reaches 2.
    off_midline_mm : float, mm
        Largest distance of the trachea from the middle of the body.
    shortest_trachea_mm : float, mm
        An island of air that cannot be followed this far down is not the trachea, but larynx, oesophageal gas or the
        apex of a lung.
    growth_limit : float
        A branch that grows by a larger factor from one slice to the next has met the lung. At the carina the factor is
        below 1.6.
    growth_per_mm : float, 1/mm
        Added to that limit in main bronchi, for every millimetre of slice thickness above that of the working grid.
        Where a bronchus turns level, its section grows about as fast as the distance of the slices: by a factor of 2.3
        in 5 mm slices of a scan in which the factor was 1.1 in 2 mm slices.
    branch_slope : float
        Where a main bronchus ends, its continuation is searched this far aside for every such millimetre. Partial
        volume leaves only the part of a lumen that is open through the whole slice, so that two slices of an oblique
        lumen (45 degrees) do not overlap.
    main_bronchus_mm2 : float, mm2
        Least section of a main bronchus (radius 5 to 8 mm) after partial volume has removed 1 mm of it.
    growth_allowance_mm2 : float, mm2
        Growth that is always allowed: small islands change by a few pixels.
    widest_branch : float
        Largest section of a branch, as a multiple of the largest trachea's: at the carina, trachea and main bronchi are
        one island.
    wall_mm : float, mm
        Wall of trachea and main bronchi with the partial volume in front of it.
    """

    lumen_hu: Hu = LARGEST_LUMEN_HU
    trachea_area_mm2: tuple[Positive, Positive] = (40.0, 700.0)
    largest_aspect: Positive = 3.0
    off_midline_mm: Positive = 45.0
    shortest_trachea_mm: Positive = 24.0
    growth_limit: Positive = 1.8
    growth_per_mm: NotNegative = 0.4
    branch_slope: NotNegative = 1.0
    main_bronchus_mm2: NotNegative = 50.0
    growth_allowance_mm2: NotNegative = 40.0
    widest_branch: Positive = 2.0
    wall_mm: NotNegative = 2.0


@dataclass(frozen=True)
class SideConfig(Checked):
    """How aerated lung is divided into right and left.

    Parameters
    ----------
    erosion_steps_mm : tuple of float, mm
        Radii of the erosions that are tried until right and left separate. The lungs touch at the anterior and
        posterior junction lines, 1 to 4 mm of pleura that thick slices do not show.
    stray_share : float
        A piece with more than this share on both sides of the midline contains both lungs. An overinflated lung reaches
        across the midline with less.
    piece_share : float
        After an erosion, pieces under this share of the whole do not decide whether the lungs are separate.
    facing_margin_mm : float, mm
        Aerated lung this far beyond the innermost point of the other lung's core belongs to its own side. More than the
        largest erosion.
    contact_mm : float, mm
        Pieces within this distance belong to one lung: a thickened fissure or septum is 1 to 4 mm wide.
    smallest_lung_ml : float, ml
        A side with less aerated lung has no lung. The lung of an adult holds 2 to 3 litres at full inspiration; nine
        tenths consolidated it still holds more than this. The air spaces of a head hold less.
    """

    erosion_steps_mm: tuple[Positive, ...] = (1.0, 2.0, 3.0, 4.5, 6.0, 8.0, 10.0)
    stray_share: Annotated[float, Range(0, 0.5)] = 0.25
    piece_share: Share = 0.05
    facing_margin_mm: NotNegative = 15.0
    contact_mm: NotNegative = 5.0
    smallest_lung_ml: NotNegative = 100.0


@dataclass(frozen=True)
class FieldOfViewConfig(Checked):
    """Which lungs are too small, or too much cut off, for an analysis.

    Parameters
    ----------
    smallest_lungs_ml : float, ml
        Both lungs hold at least this, for the same reasons as ``SideConfig.smallest_lung_ml``.
    cut_area_share : float
        Lungs are cut off if their area in the first or last slice is more than this share of that in the largest slice.
        An apex or a costophrenic recess that ends there has less.
    part_only_ml : float, ml
        Smaller lungs that are cut off where they are about widest are the bases in an abdominal CT, or the apices in a
        CT of the neck.
    """

    smallest_lungs_ml: NotNegative = SMALLEST_LUNGS_ML
    cut_area_share: Share = 0.25
    part_only_ml: NotNegative = 1500.0


@dataclass(frozen=True)
class CompletionConfig(Checked):
    """How gaps in the lungs are closed.

    Parameters
    ----------
    closing_mm : float, mm
        Radius of the closing that adds vessels, segmental bronchi and fissures. Larger hilar vessels (8 mm and more
        across) stay outside, as radiologists draw them.
    smoothing_mm : float, mm
        Radius of the closing that joins airless lung with the lung around it.
    """

    closing_mm: Positive = 4.0
    smoothing_mm: Positive = 2.0


@dataclass(frozen=True)
class IslandConfig(Checked):
    """Which islands within axial slices are lung.

    Parameters
    ----------
    support_share : float
        Least share of an island's underside that rests on lung. It was 0.08 at most under livers and stomachs, 0.26 and
        more under opacities, also where they reach down to the diaphragm.
    small_ml : float, ml
        Smaller islands need more support. Pieces of hilar vessels hold up to 3 ml.
    small_support_share : float
        Least share for small islands. Pieces of hilar vessels had 0.20 to 0.34 (three scans, eight synthetic chests).
    """

    support_share: Share = 0.2
    small_ml: NotNegative = 5.0
    small_support_share: Share = 0.5


@dataclass(frozen=True)
class RibCageConfig(Checked):
    """How the inner wall of the rib cage is found.

    Parameters
    ----------
    sectors : int
        Sectors around the middle of the chest: 96 are 3.75 degrees each, 8 mm at the wall.
    height_smoothing_mm : float, mm
        Standard deviation of the smoothing along the height: less than half of the 23 mm from one rib to the next.
    sector_smoothing : float, sectors
        Standard deviation over the angle: about the distance between two ribs of one side in a slice.
    outlier_mm : tuple of float, mm
        Bone this far outside the smoothed wall does not belong to it, in each round: shoulder blade, collar bone, arm.
    pleura_mm : float, mm
        Distance of the lung from the inner side of a rib: intercostal muscle, fat and two pleurae (2 to 4 mm).
    least_support : float
        Directions with a smaller smoothed share of rib have no wall.
    contact_mm : float, mm
        A lung within this distance touches the wall: twice the edge of a block, and the wall between two ribs.
    bridge_mm : float, mm
        Radius of the disc that rolls over the wall without falling into a gap between two contacts. Consolidation of
        one or two segments is up to 12 cm wide. With 30 mm whole CTs have the same lungs to 0.5 ml, but single slices
        lose such consolidation.
    bridge_depth : float
        A bridged gap begins at least this far out, as a share of the wall's radius: half way, where a sector holds no
        lung that would say more.
    """

    sectors: Annotated[int, Range(8)] = 96
    height_smoothing_mm: Positive = 10.0
    sector_smoothing: Positive = 2.0
    outlier_mm: tuple[Positive, ...] = (10.0, 6.0, 6.0)
    pleura_mm: NotNegative = 3.0
    least_support: Share = 0.02
    contact_mm: Positive = 11.0
    bridge_mm: Positive = 60.0
    bridge_depth: Share = 0.5


@dataclass(frozen=True)
class HiddenLungConfig(Checked):
    """What the chest shows of lungs without air.

    Parameters
    ----------
    block_mm : float, mm
        Edge of a block, about. The expected surface is off by more.
    bone_hu : float, HU
        Bone is denser than this; soft tissue, enhanced vessels and cartilage are not.
    bone_share : float
        Least share of bone in a block of bone: ribs measure 12 x 8 mm.
    densest_hu : float, HU
        A block with a higher mean is cartilage, bone or enhanced blood. Consolidation has less than 60 HU.
    fat_hu : tuple of float, HU
        Range of the density of fat, about -100 HU.
    fat_share : float
        Least share of fat in a block of fat: ground glass only crosses this range.
    organ_radius_mm : float, mm
        Heart, liver, stomach and spleen hold a ball of this radius without air. Single opacities, 6 cm across at most,
        hold none.
    vessel_closing_mm : float, mm
        Radius of the closing that removes vessels from the lung's surface.
    face_radius_mm : float, mm
        A ball of this radius that rolls over the lung from outside touches its own surface, because heart and domes
        have larger radii. It hardly touches the faces of opacities, which lie in dents.
    dent_mm : float, mm
        Dents reach this far beyond the surface of that ball: half a block. The surface is known no better, and it lies
        in the middle of its blocks.
    face_depth_mm : float, mm
        Depth under the surface of that ball at which trust in a face falls to 1/e.
    tolerance_mm : float, mm
        The expected surface lies about this much too far inside where opacities hide the true one, because their faces
        attract it.
    possible_mm : float, mm
        Airless lung lies no farther outside its expected surface: twice the usual error.
    """

    block_mm: Positive = 4.6
    bone_hu: Hu = 200.0
    bone_share: Share = 0.4
    densest_hu: Hu = 90.0
    fat_hu: tuple[Hu, Hu] = (-140.0, -65.0)
    fat_share: Share = 0.7
    organ_radius_mm: Positive = 30.0
    vessel_closing_mm: Positive = 6.0
    face_radius_mm: Positive = 25.0
    dent_mm: float = 2.0
    face_depth_mm: Positive = 5.0
    tolerance_mm: NotNegative = 2.0
    possible_mm: Positive = 8.0


@dataclass(frozen=True)
class ExpectedLungConfig(Checked):
    """How the usual lungs are fitted to the patient's.

    Parameters
    ----------
    affine_trust_mm : tuple of float, mm
        Depth inside the expected lung at which a surface counts a quarter, in the first and in the last round: the
        usual lung is 2 cm off before the fit.
    affine_rounds : int
        Gauss-Newton steps of the affine fit, over which the trust goes from its first to its last value.
    affine_length_mm : float, mm
        Half the width of a lung. It turns a slope into the displacement that the slope causes.
    affine_stiffness : float
        Weight of the first guess, relative to the observed surface.
    surface_samples : int
        Points of a surface that the affine fit uses, about: one on a square centimetre or less.
    field_rounds : tuple of tuple of float, mm
        Standard deviation of the smoothing and depth of trust (as in ``affine_trust_mm``) in every round of the
        displacement: from the size of the heart to that of a vessel, twice each.
    field_stiffness : float
        Share of a fully observed plane at which the displacement is halved. Where nothing is observed the shape stays.
    far_mm : float, mm
        Aerated lung this far outside the expected one counts half: colon or an artefact may attract the surface, but
        lung prevails.
    organ_gap_mm : float, mm
        The expected lung stays this far away from organs: half a block.
    """

    affine_trust_mm: tuple[Positive, Positive] = (20.0, 8.0)
    affine_rounds: Count = 15
    affine_length_mm: Positive = 60.0
    affine_stiffness: Positive = 0.02
    surface_samples: Count = 2500
    field_rounds: tuple[tuple[Positive, Positive], ...] = (
        (40.0, 14.0),
        (40.0, 12.0),
        (25.0, 10.0),
        (25.0, 9.0),
        (15.0, 8.0),
        (15.0, 7.0),
        (10.0, 6.0),
        (10.0, 5.0),
    )
    field_stiffness: Positive = 0.03
    far_mm: Positive = 30.0
    organ_gap_mm: NotNegative = 2.0


@dataclass(frozen=True)
class FluidConfig(Checked):
    """Which pieces of tissue are pleural fluid.

    Consolidation is denser; bronchi, vessels and aerated rests give it texture, and lung surrounds it.

    Parameters
    ----------
    smallest_ml : float, ml
        Smaller pieces are not taken for fluid: an effusion is large.
    median_hu : tuple of float, HU
        Range of the median of fluid: 7 HU with a standard deviation of 9 (Abramowitz, AJR 2009;192:618).
    texture_hu : float, HU
        Width of the middle half of the densities, at most: fluid has no texture once noise is averaged away.
    lung_share : float
        Share of the surface on lung, at most: fluid lies between lung and wall.
    smoothing_mm : float, mm
        Edge of the cube over which noise is averaged. Blocks nearer than half of it to the surface do not count.
    """

    smallest_ml: Positive = 100.0
    median_hu: tuple[Hu, Hu] = (-5.0, 22.0)
    texture_hu: Positive = 12.0
    lung_share: Share = 0.45
    smoothing_mm: Positive = 10.0


@dataclass(frozen=True)
class AirlessPieceConfig(Checked):
    """Which pieces of tissue inside the expected lung are lung.

    Parameters
    ----------
    core_mm : float, mm
        Radius of the ball that a thick piece holds. Thick pieces are decided first: an opacity beside the hilum is
        connected with it by a thinner neck.
    small_core_mm : float, mm
        Radius of the ball that a small piece holds. Vessels at the mediastinum hold none.
    lung_share : float
        Least share of the surface on lung, less the share of the piece at the hilum, for small pieces and those in a
        dent of the lung's surface. A ball half sunk in heart or dome has 0.5 to 0.6, a flat lens 0.42 and more. What
        the expected surface cuts off organs has 0.35 to 0.44. Hilar vessels have 0.5 to 0.7, of which 0.6 to 1.0 is
        subtracted (seven scans and their variants of 1 to 8 mm, five synthetic chests).
    cut_share : float
        No more of the surface of a piece may cut through other tissue, unless the piece lies in a dent: an opacity is
        surrounded by lung or chest wall (mostly less than 0.3). The expected surface cuts a lens off aorta or superior
        vena cava where it runs through them, with 0.36 to 0.74 of its surface cut (three scans).
    large_cut_share : float
        The same for pieces that hold a ball of ``large_core_mm``, and for all pieces at the chest wall, where no large
        vessel lies. In a slice alone, which shows no lung above and below, it is one less ``cut_share`` at the wall.
    large_core_mm : float, mm
        Radius of the ball that a large piece holds.
    hilum_mm : float, mm
        The hilum, arteries and veins of 15 to 20 mm, lies within this distance of the main bronchi, not of the trachea.
    hilum_per_mm : float
        Added for every millimetre of slice thickness above that of the working grid. Half of it makes the faces of
        bronchus and piece nearer than the middles of their slices; the end of a bronchus, mixed with its wall, is
        missed over one slice or two (the left hilum of a scan in 5, 6 and 8 mm slices).
    hilum_share : float
        A thick piece with more than this share at the hilum is no lung: 0.78 and 0.83 of the hilum on three scans, 0.35
        at most of opacities.
    fluid : FluidConfig
        Which pieces are fluid.
    """

    core_mm: Positive = 7.5
    small_core_mm: Positive = 5.5
    lung_share: Share = 0.45
    cut_share: Share = 1 / 3
    large_cut_share: Share = 0.5
    large_core_mm: Positive = 12.0
    hilum_mm: NotNegative = 15.0
    hilum_per_mm: NotNegative = 2.0
    hilum_share: Share = 0.5
    fluid: FluidConfig = FluidConfig()


@dataclass(frozen=True)
class BoundaryConfig(Checked):
    """How the boundary of the lungs is drawn, voxel by voxel.

    Parameters
    ----------
    soft_tissue_hu : float, HU
        Density outside the boundary: muscle, blood and liver have 40 to 60 HU.
    behind_edge_mm : float, mm
        Standard deviation of the smoothing that gives the density inside it: a few blocks, which average noise.
    fewest_aerated : float
        With a smaller share of aerated lung around, so weighted, the density inside is unknown and that of inflated
        lung is assumed.
    """

    soft_tissue_hu: Hu = 50.0
    behind_edge_mm: Positive = 4.0
    fewest_aerated: Annotated[float, Range(0, 1, without_ends=True)] = 0.05


@dataclass(frozen=True)
class PleuralGasConfig(Checked):
    """How gas in the pleural space is recognised.

    Parameters
    ----------
    block_mm : tuple of float, mm
        Largest edge of a block (K, J, I): less than half of the ball that has to fit in. Noise of 60 HU becomes 15 in
        it.
    empty_hu : float, HU
        Blocks below this hold no tissue. The middle of the trachea had -963, -970 and -982 HU in three scans (blur of
        its wall); emphysema begins at -950 HU.
    ball_radius_mm : float, mm
        Gas holds a ball of this radius. The largest such region of lung was 2 ml in seven scans and 1 to 85 ml in
        simulated emphysema (17 to 37 % of the lung under -950 HU, holes of 3 to 20 mm). It was 108 to 1620 ml in
        pneumothoraces of 450 to 1800 ml, simulated in a normal scan. A layer under 8 mm is missed: 330 ml over a lung.
    smallest_ml : float, ml
        Smaller regions matter little to the volume of a lung, and may be bullae: the radius of this one would be 23 mm.
    wall_share : float
        Least share of the surface at the chest wall (neither lung nor gas): 0.05 at most in the simulated emphysema,
        0.25 and more in the pneumothoraces.
    lung_share : float
        A region with a smaller share inside the lung mask is not part of it. It is gas of the chest only as far as it
        lies in the upper half, because stomach and bowel lie in the lower one.
    """

    block_mm: tuple[Positive, Positive, Positive] = (3.2, 3.2, 3.2)
    empty_hu: Hu = -955.0
    ball_radius_mm: Positive = 4.0
    smallest_ml: Positive = 50.0
    wall_share: Share = 0.15
    lung_share: Share = 0.5


@dataclass(frozen=True)
class ExternalLungConfig(Checked):
    """Which masks from elsewhere lie on the lungs of a CT.

    Parameters
    ----------
    aerated_share : float
        Least share of a mask that is aerated lung (``ThoraxConfig.aerated_hu``). Less lies on tissue, or on the air
        around the patient. Lungs that are nine tenths consolidated are still accepted.
    inside_body_share : float
        Least share of a mask inside the body. A mask with less is displaced.
    largest_lungs_ml : float, ml
        More than the largest lungs (8 to 9 litres, with emphysema): a larger mask holds something else, too.
    """

    aerated_share: Share = 0.1
    inside_body_share: Share = 0.9
    largest_lungs_ml: Positive = 12000.0


@dataclass(frozen=True)
class SingleSliceConfig(Checked):
    """How a slice without neighbours becomes a stack.

    Parameters
    ----------
    copies : int
        Copies of the slice. With their distance they make 160 mm, about the height at which both lungs are seen.
    distance_mm : float, mm
        Distance of the copies.
    """

    copies: Annotated[int, Range(3)] = 16
    distance_mm: Positive = 10.0


@dataclass(frozen=True)
class LungNoteConfig(Checked):
    """When a reader is warned about the lungs. No mask depends on these numbers.

    Parameters
    ----------
    airless_share : float
        From this airless share on, the border of the lungs is an estimate: errors of half a centimetre matter to the
        volumes.
    small_lungs_ml : float, ml
        Both lungs of an adult hold 4 to 6 litres at full inspiration. With less than this, the scan was taken in
        expiration, the lungs are collapsed, or part of them was not found.
    large_lungs_ml : float, ml
        The largest lungs of adults, with emphysema, hold 8 to 9 litres.
    right_to_left : tuple of float
        Range of the ratio of the two volumes, usually 1.05 to 1.2. Outside it one lung is ill or lost.
    """

    airless_share: Share = 0.1
    small_lungs_ml: NotNegative = 1500.0
    large_lungs_ml: Positive = 9000.0
    right_to_left: tuple[Positive, Positive] = (0.65, 1.8)


@dataclass(frozen=True)
class LungConfig(Checked):
    """How the lungs are found.

    Parameters
    ----------
    block_mm : tuple of float, mm
        Largest edge (K, J, I) of a block of the working grid: less than the thinnest wall that must not be lost
        (trachea, diaphragm: 2 to 4 mm). Slices thicker than its first edge count as thick.
    window, thorax, airways, sides, field_of_view, completion, islands, rib_cage, hidden, expected
        Configurations Of the steps of this name.
    airless_pieces, boundary, pleural_gas, external, cut_out, single_slices, notes
        Configurations Of the steps of this name.
    """

    block_mm: tuple[Positive, Positive, Positive] = WORKING_SPACING_MM
    window: WindowConfig = WindowConfig()
    thorax: ThoraxConfig = ThoraxConfig()
    airways: AirwayConfig = AirwayConfig()
    sides: SideConfig = SideConfig()
    field_of_view: FieldOfViewConfig = FieldOfViewConfig()
    completion: CompletionConfig = CompletionConfig()
    islands: IslandConfig = IslandConfig()
    rib_cage: RibCageConfig = RibCageConfig()
    hidden: HiddenLungConfig = HiddenLungConfig()
    expected: ExpectedLungConfig = ExpectedLungConfig()
    airless_pieces: AirlessPieceConfig = AirlessPieceConfig()
    boundary: BoundaryConfig = BoundaryConfig()
    pleural_gas: PleuralGasConfig = PleuralGasConfig()
    external: ExternalLungConfig = ExternalLungConfig()
    cut_out: CutOutConfig = CutOutConfig()
    single_slices: SingleSliceConfig = SingleSliceConfig()
    notes: LungNoteConfig = LungNoteConfig()
