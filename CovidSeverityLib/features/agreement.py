"""Two segmentations of the lobes side by side: how well they agree, and how far a score depends on which is taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from CovidSeverityLib.immutable import Value
from CovidSeverityLib.metrics import MaskAgreement
from CovidSeverityLib.segmentation.lobes.values import LobeSegmentation
from CovidSeverityLib.types import Lobe, NoteSeverity, QualityNote

from .quantification import LobeScore
from .scoring import Scores
from .totals import ctss_of


@dataclass(frozen=True)
class LobeAgreement(Value):
    """What a second segmentation of the lobes says.

    Parameters
    ----------
    source : str
        The method or the file of the second one.
    dice : mapping of Lobe to float
        Dice coefficient of the two, 0 to 1, of every lobe that one of them has.
    ctss : int or None
        CTSS with the second one.
    """

    source: str
    dice: Mapping[Lobe, float]
    ctss: int | None


def lobe_agreement(lobes: LobeSegmentation, second: LobeSegmentation, scores: Scores) -> LobeAgreement:
    """How two segmentations of the same lungs agree.

    Parameters
    ----------
    lobes, second : LobeSegmentation
        On the same grid.
    scores : Scores
        With the second one.
    """
    pairs = ((lobe, lobes.labels == lobe, second.labels == lobe) for lobe in Lobe)
    dice = {lobe: MaskAgreement.of(ours, theirs).dice for lobe, ours, theirs in pairs if ours.any() or theirs.any()}
    return LobeAgreement(second.source, dice, ctss_of(scores.lobes))


def covering(scores: Scores, second: Scores) -> Scores:
    """``scores`` with ranges that cover those of ``second`` too; a score without a range is its own range."""
    lobes = tuple(_covering(ours, theirs) for ours, theirs in zip(scores.lobes, second.lobes, strict=True))
    ends = [end for each in (scores, second) for end in each.ctss_range or (ctss_of(each.lobes),) if end is not None]
    return replace(scores, lobes=lobes, ctss_range=(min(ends), max(ends)) if ends else None)


def agreement_note(found: LobeAgreement, ctss: int | None) -> QualityNote:
    """The agreement in a sentence."""
    shown = ", ".join(f"{lobe.name} {dice:.2f}" for lobe, dice in found.dice.items())
    return QualityNote(
        "lobes_compared",
        NoteSeverity.INFO,
        f"Lobes compared with those of {found.source}: Dice {shown}. The CTSS is {found.ctss} with them, {ctss} here; "
        "ranges cover both.",
    )


def _covering(ours: LobeScore, theirs: LobeScore) -> LobeScore:
    points = [end for each in (ours, theirs) for end in each.score_range or (each.score,)]
    percents = [end for each in (ours, theirs) for end in each.involvement_range_percent or (each.involvement_percent,)]
    return replace(
        ours, score_range=(min(points), max(points)), involvement_range_percent=(min(percents), max(percents))
    )
