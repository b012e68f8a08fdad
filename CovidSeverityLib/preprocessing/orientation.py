"""Whether a CT lies as its header says: the patient's own anatomy as a witness.

Headers are wrong at times, NIfTI headers above all, and a chest upside down gives heart and liver for lung. Several
independent signs (:mod:`.orientation_cues`) vote on each axis. With ``u`` the usual value of a sign and ``u / 2`` its
standard deviation over people, a measured ``m`` favours the axis as it is over the reversed one by a log-likelihood
ratio of ``2 u m / (u / 2)^2 = 8 m / u``. Some patients contradict a sign altogether; their share ``e`` bounds it to
``log((1 - e) / e)`` either way. The axes are decided one after the other, and a sign that needs one axis is asked after
that axis is decided; where one is open, those after it are open too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from CovidSeverityLib.checked import Checked, Positive, Range
from CovidSeverityLib.errors import ConfigurationError, InputError
from CovidSeverityLib.types import CtVolume, NoteSeverity, QualityNote, triple

from . import orientation_cues as cues
from .config import ThoraxConfig
from .orientation_config import ChestViewConfig
from .orientation_cues import ChestView

LOGISTIC_SLOPE = 8.0
"""Log-likelihood ratio of a sign that is as strong as usual. It follows from two normal distributions at plus and minus
the usual value, with half of it as standard deviation."""


class Axis(IntEnum):
    """Axes of an array (K, J, I)."""

    HEAD_FOOT = 0
    FRONT_BACK = 1
    RIGHT_LEFT = 2


@dataclass(frozen=True)
class Cue(Checked):
    """One sign of an axis.

    Parameters
    ----------
    axis : Axis
        The axis that it speaks of.
    measure : callable
        Takes a :class:`~.orientation_cues.ChestView`. Its answer is positive where the axis is right, NaN where nothing
        is seen.
    usual : float, unit of the sign
        What it measures in most people: the values of synthetic chests and of one normal scan.
    exceptions : float, share
        Share of patients whose anatomy or disease contradicts it, 0 to 0.5. It is one in twenty for most (a
        consolidated lobe, a raised diaphragm, a shifted mediastinum), one in a hundred for the liver (situs inversus is
        one in 10 000; a spleen as large is rarer than a consolidated lobe), and one in ten for the table (prone scans).

    Examples
    --------
    >>> round(Cue(Axis.FRONT_BACK, cues.spine_behind, usual=0.7, exceptions=0.05).strength(0.35), 2)
    2.94
    """

    axis: Axis
    measure: Callable
    usual: Positive
    exceptions: Annotated[float, Range(0, 0.5, without_ends=True)]

    @property
    def name(self) -> str:
        """What is measured."""
        return self.measure.__name__

    def strength(self, measured: float) -> float:
        """Log-likelihood ratio of the axis as it is to the reversed one; 0 for NaN."""
        if math.isnan(measured):
            return 0.0
        limit = math.log((1 - self.exceptions) / self.exceptions)
        return min(limit, max(-limit, LOGISTIC_SLOPE * measured / self.usual))


@dataclass(frozen=True)
class OrientationConfig(Checked):
    """How the orientation is judged.

    Parameters
    ----------
    cues : tuple of Cue
        The signs, at least one of every axis.
    decisive_odds : float, odds
        An axis is decided where the signs favour one way this many times over the other: about the odds that a header
        is right at all, so that a CT is rather left alone.
    table_cm2 : float, cm2
        Section of a table: 40 cm wide, two shells of 2 mm and a mattress; less is no table.
    view : ChestViewConfig
        How organs are recognised.
    """

    cues: tuple[Cue, ...] = (
        Cue(Axis.HEAD_FOOT, cues.trachea_above_lungs_mm, usual=90.0, exceptions=0.05),
        Cue(Axis.HEAD_FOOT, cues.organs_below_lungs_mm, usual=60.0, exceptions=0.05),
        Cue(Axis.HEAD_FOOT, cues.lungs_vaulted_mm, usual=30.0, exceptions=0.05),
        Cue(Axis.FRONT_BACK, cues.spine_behind, usual=0.7, exceptions=0.05),
        Cue(Axis.FRONT_BACK, cues.organs_in_front_mm, usual=20.0, exceptions=0.05),
        Cue(Axis.FRONT_BACK, cues.rear_recess_mm, usual=30.0, exceptions=0.05),
        Cue(Axis.FRONT_BACK, cues.table_behind_cm2, usual=100.0, exceptions=0.1),
        Cue(Axis.RIGHT_LEFT, cues.heart_on_left_mm, usual=18.0, exceptions=0.05),
        Cue(Axis.RIGHT_LEFT, cues.aorta_on_left_mm, usual=12.0, exceptions=0.05),
        Cue(Axis.RIGHT_LEFT, cues.liver_on_right_mm, usual=45.0, exceptions=0.01),
    )
    decisive_odds: Annotated[float, Range(1, without_ends=True)] = 50.0
    table_cm2: Positive = 20.0
    view: ChestViewConfig = ChestViewConfig()

    def __post_init__(self) -> None:
        super().__post_init__()
        if {cue.axis for cue in self.cues} != set(Axis):
            raise ConfigurationError("the orientation needs a cue of every axis")


@dataclass(frozen=True)
class OrientationFindings:
    """What a chest tells of its orientation.

    Parameters
    ----------
    evidence : (float, float, float)
        Log-likelihood ratio of each axis as it is to the reversed one, (K, J, I); 0 where it was not asked.
    decisive : float
        From this on, either way, an axis is decided.
    prone : bool
        Whether the table lies before the chest.
    """

    evidence: tuple[float, float, float]
    decisive: float
    prone: bool

    def contradicted(self, axis: Axis) -> bool:
        """Whether the anatomy says that ``axis`` is reversed."""
        return self.evidence[axis] <= -self.decisive

    @property
    def reversed_axes(self) -> frozenset[Axis]:
        """The axes that are reversed by the anatomy."""
        return frozenset(axis for axis in Axis if self.contradicted(axis))


def judge_orientation(
    volume: CtVolume, config: OrientationConfig = OrientationConfig(), thorax: ThoraxConfig = ThoraxConfig()
) -> OrientationFindings:
    """What the patient's anatomy says of each axis; nothing where no chest is seen.

    Parameters
    ----------
    volume : CtVolume
        Chest CT in Hounsfield units.
    config : OrientationConfig
        How it is judged.
    thorax : ThoraxConfig
        How body and lungs are found.

    Examples
    --------
    >>> from CovidSeverityLib.evaluation.synthetic.phantom import make_phantom
    >>> chest = make_phantom(0, shape=(72, 96, 96), spacing_mm=(4.0, 4.0, 4.4)).volume
    >>> judge_orientation(chest).reversed_axes
    frozenset()
    """
    decisive = math.log(config.decisive_odds)
    evidence = [0.0, 0.0, 0.0]
    view = ChestView.of(volume.hu, volume.geometry, config.view, thorax)
    if view.lungs_ml < config.view.lungs_ml:
        return OrientationFindings((0.0, 0.0, 0.0), decisive, prone=False)
    for axis in Axis:
        evidence[axis] = sum(cue.strength(cue.measure(view)) for cue in config.cues if cue.axis == axis)
        if abs(evidence[axis]) < decisive:
            break
        if evidence[axis] < 0:
            view = view.reversed(axis)
    prone = abs(evidence[Axis.FRONT_BACK]) >= decisive and cues.table_behind_cm2(view) <= -config.table_cm2
    return OrientationFindings(triple(evidence), decisive, prone)


def check_orientation(
    volume: CtVolume,
    config: OrientationConfig = OrientationConfig(),
    thorax: ThoraxConfig = ThoraxConfig(),
    *,
    force: bool = False,
) -> tuple[QualityNote, ...]:
    """Notes on a CT that contradicts its own header.

    Parameters
    ----------
    volume : CtVolume
        Chest CT in Hounsfield units.
    config : OrientationConfig
        How it is judged.
    thorax : ThoraxConfig
        How body and lungs are found.
    force : bool
        True notes that a CT is upside down instead of refusing it.

    Raises
    ------
    InputError
        If the CT is upside down and ``force`` is False.

    Examples
    --------
    >>> from CovidSeverityLib.evaluation.synthetic.phantom import make_phantom
    >>> check_orientation(make_phantom(0, shape=(72, 96, 96), spacing_mm=(4.0, 4.0, 4.4)).volume)
    ()
    """
    found = judge_orientation(volume, config, thorax)
    reversed_axes = found.reversed_axes
    if not reversed_axes:
        return (_note(PRONE, NoteSeverity.INFO, PRONE_MESSAGE),) if found.prone else ()
    turn = TURNS[reversed_axes]
    if Axis.HEAD_FOOT in reversed_axes and not force:
        raise InputError(
            f"{volume.name or 'the volume'} is upside down by the patient's own anatomy: its header puts the trachea "
            f"and the apices of the lungs below the liver; {turn}, or give --force to analyse it as it is"
        )
    code, message = _warning(reversed_axes)
    return (_note(code, NoteSeverity.WARNING, f"{message} To put it right, {turn}."),)


UPSIDE_DOWN, BACK_TO_FRONT, MIRRORED = "orientation_upside_down", "orientation_back_to_front", "orientation_mirrored"
PRONE = "patient_prone"
PRONE_MESSAGE = "The table lies before the chest: the patient was scanned prone."

TURNS = {
    frozenset({Axis.HEAD_FOOT}): "reverse the head-foot axis of the header",
    frozenset({Axis.FRONT_BACK}): "reverse the front-back axis of the header",
    frozenset({Axis.RIGHT_LEFT}): "reverse the right-left axis of the header",
    frozenset({Axis.HEAD_FOOT, Axis.FRONT_BACK}): "turn the header by 180 degrees about the right-left axis",
    frozenset({Axis.HEAD_FOOT, Axis.RIGHT_LEFT}): "turn the header by 180 degrees about the front-back axis",
    frozenset({Axis.FRONT_BACK, Axis.RIGHT_LEFT}): "turn the header by 180 degrees about the head-foot axis",
    frozenset(Axis): "reverse all three axes of the header",
}
"""What puts a header right. Two reversed axes are a half turn about the third; one or three are a mirror image."""


def _warning(reversed_axes: frozenset[Axis]) -> tuple[str, str]:
    """Code and message, without what to turn."""
    if Axis.HEAD_FOOT in reversed_axes:
        message = "The CT is upside down by the patient's own anatomy; lungs, lobes and scores cannot be trusted."
        return UPSIDE_DOWN, message
    if Axis.FRONT_BACK in reversed_axes:
        message = (
            "The CT is back to front by the patient's own anatomy (spine, heart, recess of the lungs); left and right, "
            "and with them the lobes, may be wrong."
        )
        return BACK_TO_FRONT, message
    message = (
        "Heart, aorta and liver lie on the wrong sides: the header is mirrored, or the patient has a situs inversus; "
        "left and right, and with them the lobes, may be wrong. In a situs inversus the header is right."
    )
    return MIRRORED, message


def _note(code: str, severity: NoteSeverity, message: str) -> QualityNote:
    return QualityNote(code, severity, message)
