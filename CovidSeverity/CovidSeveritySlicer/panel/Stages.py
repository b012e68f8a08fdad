"""Stages of an analysis in the panel: titles, and the progress of the whole."""

from __future__ import annotations

from slicer.i18n import tr as _

from CovidSeveritySlicer.analysis.ChildOutput import CaseProgress

STAGE_SECONDS = {
    "read": 1.0,
    "lungs": 4.5,
    "lobes": 1.5,
    "infection": 5.5,
    "classification": 27.0,
    "explanation": 8.0,
    "scores": 0.5,
    "write": 2.5,
}
"""Duration of each stage, in the order of the analysis. Measured on two cores with a chest CT of 320 x 320 x 144 voxels
and EfficientNetB5 as classifier."""

CLASSIFIER_STAGES = ("classification", "explanation")


def stageTitle(stage: str) -> str:
    """Title of a stage. An unknown stage keeps its name."""
    titles = {
        "read": _("Reading the CT"),
        "lungs": _("Finding the lungs"),
        "lobes": _("Finding the lobes"),
        "infection": _("Marking opacities"),
        "classification": _("Classifying"),
        "explanation": _("Explaining the diagnosis"),
        "scores": _("Scoring"),
        "registration": _("Registering the lungs"),
        "changes": _("Comparing"),
        "write": _("Writing results"),
    }
    return titles.get(stage, stage)


def overallPercent(stage: str, done: int, total: int, withClassifier: bool) -> int | None:
    """Progress of an analysis, 0-100; None for an unknown stage.

    Parameters
    ----------
    stage : str
        Its name.
    done, total : int
        Steps of the stage.
    withClassifier : bool
        Whether the analysis has the stages of a classifier.
    """
    expected = [name for name in STAGE_SECONDS if withClassifier or name not in CLASSIFIER_STAGES]
    if stage not in expected:
        return None
    before = sum(STAGE_SECONDS[name] for name in expected[: expected.index(stage)])
    share = min(max(done / total, 0.0), 1.0) if total > 0 else 0.0
    return int(100 * (before + share * STAGE_SECONDS[stage]) / sum(STAGE_SECONDS[name] for name in expected))


def casesText(cases: CaseProgress) -> str:
    """The progress of a batch in words."""
    words = [_("{done} of {total} cases").format(done=cases.done, total=cases.total)]
    if cases.failed:
        words.append(_("{count} failed").format(count=cases.failed))
    if cases.secondsLeft is not None and cases.done < cases.total:
        words.append(_("{time} left").format(time=_timeText(cases.secondsLeft)))
    return ", ".join(words)


def _timeText(seconds: float) -> str:
    """``40 s``, ``12 min`` or ``3 h 20 min``, as the command writes it."""
    if seconds < 60:
        return _("{count} s").format(count=round(seconds))
    hours, minutes = divmod(round(seconds / 60), 60)
    if not hours:
        return _("{count} min").format(count=minutes)
    return _("{hours} h {minutes} min").format(hours=hours, minutes=minutes)
