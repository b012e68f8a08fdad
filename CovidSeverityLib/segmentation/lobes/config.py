"""The numbers by which lungs are divided into lobes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from CovidSeverityLib.checked import Checked, Hu, NotNegative, Positive, Range, Share


@dataclass(frozen=True)
class LungFrameConfig(Checked):
    """How a lung is matched to that of the atlas. The atlas was written with the same numbers.

    Parameters
    ----------
    volume_shares : tuple of float, share
        Shares of the lung's volume whose positions along an axis are matched. The outermost are not the lung's ends: a
        thin costophrenic recess, a bulla at the apex or a stray voxel must not stretch the frame.
    end_area_share : float, share
        A lung ends where its axial section is this part of its largest one. A lung that is larger than that in the
        first or last slice is cut by the field of view.
    """

    volume_shares: tuple[Share, ...] = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
    end_area_share: Share = 0.1


@dataclass(frozen=True)
class PlatenessConfig(Checked):
    """How thin bright sheets are found.

    Parameters
    ----------
    sigma_mm : float, mm
        Scale of the Hessian. A fissure is under 1 mm thick, and the CT blurs it to 1 to 3 mm.
    density_limits_hu : (float, float), HU
        Densities are cut to this range, so that vessels do not outshine a fissure, which the blur leaves under -600 HU.
    vessel_hu : float, HU
        Denser samples and those beside them are vessels, bronchi or lesions. They are no part of a fissure, and hardly
        crossed by one.
    vessel_edge_hu, vessel_penalty : float, HU and evidence
        Among these, samples up to this much less dense count as the inside of a vessel. The evidence there is negative
        by the penalty.
    level_cosine_2 : float, squared cosine
        Smallest squared cosine between the normal of a sheet and the last axis of the block: 48 degrees.
    roundness : float, ratio
        Second curvature relative to the largest at which the evidence falls to 0.61. It is 0 for a sheet, 1 for a tube.
    noise_factor : float, ratio
        Curvature that counts half, in multiples of the block's median curvature: what noise and small vessels make.
    patch_sigma_mm : float, mm
        Standard deviation of the Gaussian patches. A vessel fills a fifth of a patch, a fissure all of it.
    patch_radius : int, cells
        The patches are cut at this radius: two standard deviations.
    tilts : tuple of float, slope
        Slopes of the patches along either axis of the surface: up to 24 degrees against the atlas, in steps that make
        no difference to a patch.
    smallest_fill : float, share
        A patch that leaves the lung is judged by its part inside, down to this share.
    """

    sigma_mm: Positive = 1.5
    density_limits_hu: tuple[Hu, Hu] = (-1000.0, -500.0)
    vessel_hu: Hu = -600.0
    vessel_edge_hu: NotNegative = 50.0
    vessel_penalty: NotNegative = 0.3
    level_cosine_2: Annotated[float, Range(0, 1, without_ends=True)] = 0.45
    roundness: Positive = 0.5
    noise_factor: NotNegative = 3.0
    patch_sigma_mm: Positive = 6.0
    patch_radius: Annotated[int, Range(1)] = 4
    tilts: tuple[Annotated[float, Range(-10, 10)], ...] = (-0.45, -0.3, -0.15, 0.0, 0.15, 0.3, 0.45)
    smallest_fill: Annotated[float, Range(0, 1, without_ends=True)] = 0.3


@dataclass(frozen=True)
class VesselConfig(Checked):
    """How the absence of vessels speaks for a fissure.

    The numbers were chosen on synthetic chests in slices of 2 and 6 mm, with fissures and without. Half and double of
    each changes the mean Dice of the lobes of three of them by 0.011 at most.

    Parameters
    ----------
    excess_hu : (float, float), HU
        Excess over the median of the lung from which on a sample is partly vessel, and with which it is wholly one: as
        blurred as thick slices leave them.
    sigma_mm : float, mm
        Standard deviation of the Gaussian over which vessels are averaged: the layer beside a fissure in which only
        small ones are left is some 5 mm wide.
    weight : float, cost
        What a path gains in a cell without any vessel nearby: less than a patch of a clear fissure.
    trust : float, share
        How much a path counts that lies in a gap without any vessel: less than a clear fissure, because there are gaps
        within lobes too.
    usual_share : float, share
        Where fewer of the samples about a surface are vessel, their absence means less in proportion.
    """

    excess_hu: tuple[Positive, Positive] = (50.0, 400.0)
    sigma_mm: Positive = 2.0
    weight: NotNegative = 0.4
    trust: Share = 0.3
    usual_share: Annotated[float, Range(0, 1, without_ends=True)] = 0.05


@dataclass(frozen=True)
class FissureConfig(Checked):
    """How the fissures of a lung are found.

    Parameters
    ----------
    cell_mm, height_mm : float, mm
        Cells of a surface, two samples a cell, and distance of the samples across it: as fine as the voxels of a CT of
        thin slices.
    oblique_reach_mm, horizontal_reach_mm, fine_reach_mm : float, mm
        How far from the expected surface a fissure is looked for, at first and then again. For the oblique ones the
        expected surface is that of the atlas, and lungs were seen to need that much. For the horizontal one it follows
        from the oblique one.
    border_samples : (int, int, int), samples
        Samples (a, b, h) along the border of the lung that are left out, 1.5 to 3 mm. There the chest wall, blurred by
        thick slices, looks like a sheet.
    evidence_weight, step_cost, jump_cost, distance_cost : float, cost
        Cost of a path: evidence times its weight against a step of 1 mm a cell, a jump, and the squared distance from
        the expected surface (per mm2). A tear costs as much as a patch of a clear fissure gives.
    trusted : (float, float), evidence
        Evidence of a patch from which on, and with which fully, the surface is moved to it. Noise and vessels reach the
        first by chance (their median over a block is 0.04 to 0.09); the fits are robust against that.
    region_sigma_mm : float, mm
        Standard deviation of the Gaussian region about a cell. Its mean evidence tells whether a fissure is seen.
        Single patches do not: the best path through noise has patches as good as a fissure's.
    seen : (float, float), evidence
        Mean evidence of a region that chance reaches, and that of a fissure that anyone would draw. Along planes that
        rise forwards, where no fissure is, the best paths through five CTs and through noise of three kinds stay under
        0.16 in 90 to 97 % of their area; the clear parts of the left oblique fissures have 0.24 to 0.40.
    chance_share : float, share
        Where this quantile of the evidence along a plane that rises forwards, in the lung itself, is above the first
        limit of ``seen``, both limits rise by the difference. Synthetic chests of 6 mm slices have 0.13 to 0.24 there.
    unseen_move : float, ratio
        Evidence that chance gives too may move a surface. This part of the way counts as its error: such evidence is
        right as often as wrong.
    mode_noise_mm, cells_per_observation : float, mm and cells
        Scatter of a fissure about its modes, and the cells of one patch, which are no independent observations. With
        these, the modes that are fitted to 15, 30 or 60 % of the fissure of an atlas case come within 5.8, 5.2 and
        4.0 mm of the rest, and expect 6.0, 5.4 and 4.4 mm.
    robust_mm : tuple of float, mm
        Scales of Geman and McClure's robust weight, one for every round of the fit: from catching everything to leaving
        out what belongs to something else.
    spread_mm, spread_floor : float, mm and weight
        Smoothness of the local displacement, and the weight at which it gives way to the modes.
    found_mm : float, mm
        Distance of a found surface to the true fissure, but for half the distance of the slices, which adds to it (in
        squares). The synthetic ones of the tests are under 1.5 mm; real ones have more neighbours.
    horizontal_gap_mm : float, mm
        The horizontal fissure is not looked for nearer to the oblique one, which would be taken for it.
    cut_factor : float, ratio
        Where the field of view cuts the lung, a fissure that is not seen is expected this many times farther off.
    plates : PlatenessConfig
        How thin sheets are found.
    vessels : VesselConfig
        How the absence of vessels speaks for a fissure.
    """

    cell_mm: Positive = 3.0
    height_mm: Positive = 1.0
    oblique_reach_mm: Positive = 48.0
    horizontal_reach_mm: Positive = 36.0
    fine_reach_mm: Positive = 12.0
    border_samples: tuple[Annotated[int, Range(0)], Annotated[int, Range(0)], Annotated[int, Range(0)]] = (1, 1, 3)
    evidence_weight: Positive = 2.5
    step_cost: NotNegative = 0.06
    jump_cost: NotNegative = 0.5
    distance_cost: NotNegative = 1e-4
    trusted: tuple[NotNegative, Positive] = (0.10, 0.22)
    region_sigma_mm: Positive = 9.0
    seen: tuple[NotNegative, Positive] = (0.16, 0.28)
    chance_share: Share = 0.9
    unseen_move: Share = 0.5
    mode_noise_mm: Positive = 5.0
    cells_per_observation: Positive = 25.0
    robust_mm: tuple[Positive, ...] = (25.0, 15.0, 10.0, 7.0, 6.0)
    spread_mm: Positive = 6.0
    spread_floor: Positive = 0.05
    found_mm: Positive = 1.7
    horizontal_gap_mm: NotNegative = 4.0
    cut_factor: Annotated[float, Range(1)] = 2.0
    plates: PlatenessConfig = PlatenessConfig()
    vessels: VesselConfig = VesselConfig()


@dataclass(frozen=True)
class LobeConfig(Checked):
    """How the lungs are divided into five lobes.

    Parameters
    ----------
    well_seen_mm : float, mm
        Lobes are no longer called approximate where every fissure is expected to lie this near to its true place: 45 ml
        for a fissure of 150 cm2, under 2 % of a lung. For that, about two thirds of every fissure have to be seen.
    frame : LungFrameConfig
        How a lung is matched to that of the atlas.
    fissures : FissureConfig
        How the fissures are found.
    """

    well_seen_mm: NotNegative = 3.0
    frame: LungFrameConfig = LungFrameConfig()
    fissures: FissureConfig = FissureConfig()
