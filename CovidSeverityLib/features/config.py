"""The numbers by which lobes are counted and scored, and a reader is warned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from CovidSeverityLib.checked import Checked, Percent, Positive, Range, Share, WholeHu


@dataclass(frozen=True)
class MeasureConfig(Checked):
    """What counts, where lobes are scored by their volume and well-aerated lung is measured.

    Parameters
    ----------
    least_percent : float, %
        Up to this involvement a lobe scores 0, and the range of the score shows the rest. So much of a lobe is marked
        in healthy lungs: 0 to 0.25 % of the lobes of a healthy CT in slices of 1, 2 and 5 mm and of three synthetic
        chests, once 0.8 % in slices of 8 mm.
    spill_percent : float, %
        The same for a lobe into which the opacities of others only spill. Where lesions end at fissures (eight
        synthetic chests), 0.05 to 0.5 % of a lobe were spilled, once 1.6 %. Lesions that do cross fissures (24
        simulated cases) put more into the next lobe.
    sampling_mm : float, mm
        Largest distance of the voxels by which the range of a score is estimated. A lobe has some 50 000 of them, the
        smallest opacity 20.
    well_aerated_hu : (int, int), HU
        Well-aerated lung, bounds included (Colombi 2020, doi 10.1148/radiol.2020201433).
    """

    least_percent: Percent = 0.3
    spill_percent: Percent = 0.5
    sampling_mm: Positive = 2.5
    well_aerated_hu: tuple[WholeHu, WholeHu] = (-950, -700)


@dataclass(frozen=True)
class NoteConfig(Checked):
    """When a reader is warned. No mask and no score depends on it.

    Parameters
    ----------
    little_involvement_percent : float, %
        Less opacity than this in both lungs may be none at all. In healthy lungs up to 0.23 % were marked: large
        vessels near the hilum and the blurred dome of the diaphragm (one scan and eight phantoms).
    clear_involvement_percent : float, %
        More opacity than this contradicts the diagnosis "normal": no healthy lung had as much (0.23 % at most).
    clear_involvement_published_percent : float, %
        The same for the published method, which marked 4.05 % of a healthy scan.
    coarse_pixel_mm : float, mm
        Wider pixels hide how thick a structure is: at 2.4 to 3 mm, 2.5 times as much was marked (two sick scans).
    thick_slice_mm : float, mm
        In thicker slices, up to 10 mm, volumes of opacities were up to a quarter off (three scans, synthetic lesions).
    unsure_lobe : float, Dice coefficient
        Expected Dice coefficient of a lobe under which a reader is warned: less than the atlas alone reaches for the
        middle lobe.
    mostly_dependent_percent : float, %
        A reader is warned if more of the opacities lie under the dependent pleura: the greater part.
    little_low_attenuation_percent : float, %
        A smaller share of low attenuation is no emphysema. Three quarters of 564 healthy lungs had up to 0.43 % under
        -950 HU (Cheng 2019, doi 10.2147/COPD.S187596).
    mostly_noise_percent : float, %
        A reader is warned if noise makes more of the measured low attenuation: the greater part.
    close_vote_percent : float, %
        A vote is close if another diagnosis needs no more of its weight to win. Neighbouring slices look alike: an
        opacity that is seen or missed moves several of them at once.
    few_slices : int, slices
        With fewer slices, each is a twentieth of the vote or more. Of published scans 51 to 81 were classified.
    undecided_probability : float, probability
        Under this, the other two diagnoses together are more probable. Slices vote all the same: a vote can be
        unanimous by a hair.
    """

    little_involvement_percent: Percent = 0.5
    clear_involvement_percent: Percent = 1.0
    clear_involvement_published_percent: Percent = 5.0
    coarse_pixel_mm: Positive = 2.0
    thick_slice_mm: Positive = 5.0
    unsure_lobe: Share = 0.7
    mostly_dependent_percent: Percent = 50.0
    little_low_attenuation_percent: Percent = 1.0
    mostly_noise_percent: Percent = 50.0
    close_vote_percent: Percent = 10.0
    few_slices: Annotated[int, Range(0)] = 20
    undecided_probability: Share = 0.5
