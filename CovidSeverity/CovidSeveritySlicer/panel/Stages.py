"""Stages of an analysis as the panel shows them: a title, and how far the whole has come."""

from __future__ import annotations

from slicer.i18n import tr as _

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
"""How long each takes beside the others, in the order of the analysis (measured on two cores; a chest CT of 320 x 320 x
144 voxels, EfficientNetB5 for the two of the classifier)."""

CLASSIFIER_STAGES = ("classification", "explanation")


def stageTitle(stage: str) -> str:
    """What a stage is called; one that is not known keeps its name."""
    titles = {
        "read": _("Reading the CT"),
        "lungs": _("Finding the lungs"),
        "lobes": _("Finding the lobes"),
        "infection": _("Marking opacities"),
        "classification": _("Classifying"),
        "explanation": _("Explaining the diagnosis"),
        "scores": _("Scoring"),
        "write": _("Writing results"),
    }
    return titles.get(stage, stage)


def overallPercent(stage: str, done: int, total: int, withClassifier: bool) -> int | None:
    """How much of an analysis is done, 0-100; None for a stage that is not known.

    Parameters
    ----------
    stage, done, total : of one stage, as the library reports them.
    withClassifier : whether the two stages of a classifier are expected.
    """
    expected = [name for name in STAGE_SECONDS if withClassifier or name not in CLASSIFIER_STAGES]
    if stage not in expected:
        return None
    before = sum(STAGE_SECONDS[name] for name in expected[: expected.index(stage)])
    share = min(max(done / total, 0.0), 1.0) if total > 0 else 0.0
    return int(100 * (before + share * STAGE_SECONDS[stage]) / sum(STAGE_SECONDS[name] for name in expected))
