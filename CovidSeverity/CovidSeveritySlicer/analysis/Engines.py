"""Where lungs and lobes come from, and what of that is missing. Nothing is imported or fetched to find out."""

from __future__ import annotations

from enum import Enum
from importlib.util import find_spec

import slicer
from slicer.i18n import tr as _

from .Models import missingModels
from .Readiness import Readiness, missingSentence

TOTAL_SEGMENTATOR_EXTENSION = "TotalSegmentator"

LUNGMASK_MODELS = ("lungmask-r231", "lungmask-lobes")
"""Weights of lungmask's networks for lungs and for lobes."""


class LungSource(Enum):
    """What finds lungs and lobes."""

    BUILT_IN = "built-in"
    LUNGMASK = "lungmask"
    TOTAL_SEGMENTATOR = "totalsegmentator"
    SCENE = "scene"

    def label(self) -> str:
        """Its name in the panel."""
        names = {
            LungSource.BUILT_IN: _("Built-in"),
            LungSource.LUNGMASK: "lungmask",
            LungSource.TOTAL_SEGMENTATOR: "TotalSegmentator",
            LungSource.SCENE: _("Segmentation in the scene"),
        }
        return names[self]

    def arguments(self) -> list[str]:
        """Arguments for the command line. Those of a segmentation in the scene are its files."""
        if self is LungSource.LUNGMASK:
            return ["--lung-engine", "lungmask", "--lobe-engine", "lungmask"]
        return []

    @property
    def extras(self) -> tuple[str, ...]:
        """Keywords of :func:`~.Install.ensurePackages` for its packages."""
        return ("lungmask",) if self is LungSource.LUNGMASK else ()


def lungReadiness(source: LungSource) -> Readiness:
    """What ``source`` needs that is not there.

    Parameters
    ----------
    source : LungSource
        What shall find lungs and lobes.
    """
    if source is LungSource.LUNGMASK:
        return _lungmask()
    if source is LungSource.TOTAL_SEGMENTATOR:
        return _totalSegmentator()
    return Readiness()


def _lungmask() -> Readiness:
    models = missingModels(LUNGMASK_MODELS)
    package = find_spec("lungmask") is None
    if not package and not models:
        return Readiness(_("lungmask finds lungs (R231) and lobes (LTRCLobes)."))
    packages = (_("lungmask (a Python package; with PyTorch up to 5 GB)"),) if package else ()
    return Readiness(missingSentence(packages, models), LungSource.LUNGMASK.extras if package else (), models)


def _totalSegmentator() -> Readiness:
    """It runs in its own module: the user takes its segmentation from there."""
    if hasattr(slicer.modules, TOTAL_SEGMENTATOR_EXTENSION.lower()):
        sentence = _("Run TotalSegmentator in its module, then come back and choose Segmentation in the scene.")
    else:
        sentence = _(
            "TotalSegmentator is not installed. Install the extension TotalSegmentator in the Extensions Manager, or "
            "choose another segmentation in the scene."
        )
    return Readiness(sentence, extension=TOTAL_SEGMENTATOR_EXTENSION)
