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
        engines = {
            LungSource.LUNGMASK: ["--lung-engine", "lungmask", "--lobe-engine", "lungmask"],
            LungSource.TOTAL_SEGMENTATOR: ["--lobe-engine", "totalsegmentator"],
        }
        return engines.get(self, [])

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
    """Its extension installs it in Slicer's Python, at the first run in its module."""
    if find_spec("totalsegmentator") is not None:
        return Readiness(
            _(
                "TotalSegmentator finds the lobes, the built-in method the lungs. It takes minutes, and at its first "
                "use TotalSegmentator downloads its own weights."
            )
        )
    if hasattr(slicer.modules, TOTAL_SEGMENTATOR_EXTENSION.lower()):
        sentence = _(
            "The Python package of TotalSegmentator is missing. Its module installs it at the first run; or choose "
            "that run's segmentation in the scene."
        )
    else:
        sentence = _(
            "TotalSegmentator is not installed. Install the extension TotalSegmentator in the Extensions Manager, or "
            "choose another segmentation in the scene."
        )
    return Readiness(sentence, extension=TOTAL_SEGMENTATOR_EXTENSION)
