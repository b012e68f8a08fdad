"""A small synthetic chest, analysed once, and the same in another breath."""

from __future__ import annotations

import pytest

from CovidSeverityLib import analyze
from CovidSeverityLib.evaluation.synthetic.breath import BreathSpec, breathe
from CovidSeverityLib.followup.comparison import compare_examinations
from CovidSeverityLib.followup.examination import Examination

SMALL = {"shape": (36, 64, 64), "spacing_mm": (6.0, 6.0, 8.8)}


@pytest.fixture(scope="session")
def chest(analysis_of):
    """The analysis of a chest in large voxels."""
    return analysis_of("default", 1, **SMALL)


@pytest.fixture(scope="session")
def breath(chest):
    """The same chest with a tenth less air, and the way back."""
    return breathe(chest.volume, chest.lungs, BreathSpec(less_percent=10.0, random_mm=1.0, noise_hu=5.0, seed=3))


@pytest.fixture(scope="session")
def later(breath):
    """The analysis of the other breath."""
    return analyze(breath[0])


@pytest.fixture(scope="session")
def comparison(chest, later):
    """Both compared."""
    return compare_examinations(Examination.of(chest), Examination.of(later))
