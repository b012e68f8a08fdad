"""The numbers by which it is decided whether the values of a CT are Hounsfield units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from CovidSeverityLib.checked import Checked, Count, Positive, Range, Share
from CovidSeverityLib.types import HounsfieldChange

Zone = tuple[float, float]


@dataclass(frozen=True)
class BlockConfig(Checked):
    """Blocks of voxels whose means make a histogram without noise.

    Parameters
    ----------
    blocks_across : int, blocks
        Along the shorter side of a slice. Blocks are about 6 mm wide: noise is averaged, and fat and muscle stay apart.
    most_slices : int, slices
        Slices that are looked at: every n-th, which is enough for a histogram.
    background_share : float, share
        One value is that of a background if at least this share of the voxels on the edges of the slices has it.
        Nothing measured is so constant, but air that was cut off at the lower end of the scale.
    cut_off_share : float, share
        Air that was cut off lies this part of the range of the values over the lower end, at most (0.01). Padding is
        farther away.
    background_in_block : float, share
        A block that holds more of the background is one. Noise leaves half of the air cut off at most.
    """

    blocks_across: Count = 64
    most_slices: Count = 48
    background_share: Share = 0.25
    cut_off_share: Share = 0.05
    background_in_block: Share = 0.6


@dataclass(frozen=True)
class ChestPeakConfig(Checked):
    """Where the peaks of a chest CT in Hounsfield units are.

    Parameters
    ----------
    range_hu : (float, float), HU
        Range of the histogram.
    bin_hu, smoothing_hu : float, HU
        Width of its bins, and standard deviation of its smoothing: a third of the width of the narrowest peaks.
    air_hu, fat_hu, soft_hu : float, HU
        Peaks of air, of fat, and of muscle with blood and liver: -1001 to -995, -115 to -103, 37 to 49 on six scans
        (two sources); -999 to -991, -99 to -95, 45 to 51 on six synthetic chests.
    air_zone_hu, fat_zone_hu, soft_zone_hu : (float, float), HU
        Where these peaks may be. A seventh scan, windowed before it was published, has them at -961, -127 and 11, and
        scales that are 30 HU off must pass.
    lung_hu : (float, float), HU
        Aerated lung, from emphysema to expiration. It makes a broad peak, or none.
    gas_hu : (float, float), HU
        Air and aerated lung, with room for noise.
    valley_hu : (float, float), HU
        Between lung and fat: the lungs' surface, and diseased lung.
    blood_hu : (float, float), HU
        Blood with contrast medium; or muscle, where values are Hounsfield units times 1.1 to 1.2 and fat is at 0.
    fat_core_hu : (float, float), HU
        Where the density of fat is that does not make a peak.
    near_below_hu : (float, float), HU
        Right below air, where nothing is but air on another scale. Padding lies farther below (-2000, -3024).
    max_near_below : float, share
        Largest part there where no narrow peak is air (0 to 0.001; 0.12 to 0.46 at 1.1 to 1.2 times Hounsfield units).
        Four CTs with padding of -1350, blurred by a resampling, have 0.03 to 0.05, and a peak of air 32 to 36 HU wide.
    min_gas : float, share
        Least part in gas: a chest has air around it or inside it.
    min_lung : float, share
        Least part that is lung where air alone is not seen.
    min_dense : float, share
        Least part above gas where fat or muscle must make a peak: lungs that were cut out have a tenth at most.
    max_outside : float, share
        Largest part outside of the histogram where no padding explains it (0 to 0.01).
    max_padding : float, share
        The same where air, lung and tissue all have their places: the corners outside the scanner's circle are 0.21.
    height : float, share
        Least height of a peak above gas, as a share of the highest one there (muscle beside fat: 0.38 and more).
    gas_height : float, share
        The same for gas: a windpipe beside two lungs.
    same_height : float, share
        Peaks whose heights differ by less are equal: none is the highest (as in an image without peaks).
    high_gas : float, share
        Least height of a peak that counts against lungs that were cut out, as a share of the highest.
    narrow_hu : float, HU
        Full width at half height under which a peak of gas is air (28 to 60; lung has 88 and more).
    widest_hu : float, HU
        That of the peak of air, and of the peak of muscle or fat where no air is seen beside it (32 to 72; of a window
        of 400 HU that was stretched over 2,000 it is 130 and more, unless there is no noise).
    fat_over_valley, fat_shoulder : float, ratio and share
        Fat that makes no peak of its own is there if its place is this many times denser than the valley (5.9 and more,
        but for one lean patient), and has this share of the height of muscle.
    max_valley : float, share
        Largest mean density of the valley, relative to the peak of muscle (0.01 to 0.1).
    max_top_share, top_hu : float, share and HU
        Share of the voxels at the largest value that shows the end of a window. One this high would hold no bone in it
        (under 0.0002 lie above 1,000 HU), so that the values are stretched.
    min_bone : float, share
        Least part above muscle, by which a chest differs from an inverted one (0.01 to 0.06; inverted, air has nothing
        there).
    """

    range_hu: Zone = (-1100, 1600)
    bin_hu: Positive = 4
    smoothing_hu: Positive = 10.0
    air_hu: float = -1000.0
    fat_hu: float = -107.0
    soft_hu: float = 45.0
    air_zone_hu: Zone = (-1045, -945)
    fat_zone_hu: Zone = (-165, -60)
    soft_zone_hu: Zone = (-10, 100)
    lung_hu: Zone = (-950, -650)
    gas_hu: Zone = (-1100, -500)
    valley_hu: Zone = (-500, -200)
    blood_hu: Zone = (100, 300)
    fat_core_hu: Zone = (-135, -75)
    near_below_hu: Zone = (-1400, -1060)
    max_near_below: Share = 0.03
    min_gas: Share = 0.005
    min_lung: Share = 0.03
    min_dense: Share = 0.1
    max_outside: Share = 0.1
    max_padding: Share = 0.4
    height: Share = 0.15
    gas_height: Share = 0.05
    same_height: Share = 0.8
    high_gas: Share = 0.25
    narrow_hu: Positive = 60.0
    widest_hu: Positive = 120.0
    fat_over_valley: Positive = 3.0
    fat_shoulder: Share = 0.05
    max_valley: Share = 0.35
    max_top_share: Share = 0.001
    top_hu: float = 420.0
    min_bone: Share = 0.005


@dataclass(frozen=True)
class HounsfieldConfig(Checked):
    """How values that are no Hounsfield units are recognised, and which changes of them are undone.

    Parameters
    ----------
    offsets : tuple of int, HU
        Added to Hounsfield units, or taken from them: a rescale intercept that was not applied, or twice (-1024 as a
        rule; -1000, -8192), half the range of 12 to 16 bits where signed became unsigned, and the two together.
    complements : tuple of int, HU
        Inverted values are taken from these, as well: the greatest 12-bit number, less an intercept of 1024 or none.
    scales : tuple of float, factor
        Hounsfield units are multiplied by these: powers of ten (other units), and of two (bits).
    max_step_hu : float, HU
        Values that are whole numbers and whose unit is more than this have lost what tells ground glass from lung.
    min_tissue : float, share
        Least part above gas; with less, there is only gas (lungs that were cut out: 0.02 to 0.06, their vessels).
    max_offset_hu : float, HU
        Largest mean distance of air, fat and muscle from their places, after a change is undone. Seven scans and six
        phantoms were within 10; more than half of the 24 HU between offsets of 1000 and 1024 would decide nothing.
    clearly : float, ratio
        How many times farther from their places air, fat and muscle are with the next best change than with the best.
    blocks : BlockConfig
        How the histogram is made.
    peaks : ChestPeakConfig
        Where its peaks are.
    """

    offsets: tuple[Count, ...] = (1000, 1024, 2000, 2048, 4096, 8192, 16384, 31744, 31768, 32768, 33768, 33792)
    complements: tuple[Count, ...] = (3071, 4095)
    scales: tuple[Positive, ...] = (
        *(1e-3, 1e-2, 0.1, 10.0, 100.0, 1e3),
        *(2.0**-15, 2.0**-12, 2.0**-11, 2.0**-10, 0.25, 0.5, 2.0, 4.0, 8.0, 16.0),
    )
    max_step_hu: Positive = 10.0
    min_tissue: Share = 0.005
    max_offset_hu: Positive = 15.0
    clearly: Annotated[float, Range(1)] = 1.25
    blocks: BlockConfig = BlockConfig()
    peaks: ChestPeakConfig = ChestPeakConfig()

    @property
    def changes(self) -> tuple[HounsfieldChange, ...]:
        """What people and programs do to Hounsfield units."""
        return (
            *(HounsfieldChange(1.0, sign * offset) for offset in self.offsets for sign in (1, -1)),
            *(HounsfieldChange(-1.0, offset) for offset in (0, *self.offsets, *self.complements)),
            *(HounsfieldChange(sign * scale) for scale in self.scales for sign in (1, -1)),
        )
