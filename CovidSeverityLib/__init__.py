"""Lungs, lobes, infection, CT severity score and diagnosis from a chest CT, without Slicer.

>>> from CovidSeverityLib import analyze, read_ct
>>> result = analyze(read_ct("ct.nii.gz"))  # doctest: +SKIP
>>> result.ctss  # doctest: +SKIP
6
"""

from .analysis import Analysis
from .classification.loading import open_classifier
from .config import AnalysisConfig
from .errors import CancelledError, CovidSeverityError, InputError, NoLungsError, OutputError
from .features.quantification import LobeScore, SliceRow
from .io import read_ct
from .pipeline import analyze, classify
from .types import CtVolume, Geometry, Lobe, Opacity, Side
from .version import __version__

__all__ = [
    "Analysis",
    "AnalysisConfig",
    "CancelledError",
    "CovidSeverityError",
    "CtVolume",
    "Geometry",
    "InputError",
    "Lobe",
    "LobeScore",
    "NoLungsError",
    "Opacity",
    "OutputError",
    "Side",
    "SliceRow",
    "__version__",
    "analyze",
    "classify",
    "open_classifier",
    "read_ct",
]
