"""A changed number changes the result: the configuration reaches the functions that use it."""

from dataclasses import replace

import numpy as np
import pytest

from CovidSeverityLib import AnalysisConfig, InputError, analyze
from CovidSeverityLib.io.hounsfield.config import HounsfieldConfig
from CovidSeverityLib.io.hounsfield.settling import settle_hounsfield
from CovidSeverityLib.segmentation.lungs.lung_segmentation import LungSegmentation


def changed(config, path, value):
    """``config`` with another value of the field at ``path``, as in "lobes.fissures.cell_mm"."""
    name, _, rest = path.partition(".")
    return replace(config, **{name: changed(getattr(config, name), rest, value) if rest else value})


def summary(analysis):
    """What of an analysis depends on the numbers that are changed here."""
    return {
        "lobes": analysis.lobes.tobytes(),
        "opacities": analysis.infection.tobytes(),
        "scores": [score.score for score in analysis.lobe_scores],
        "uncounted": analysis.uncounted,
        "well-aerated": analysis.well_aerated_voxels,
        "low attenuation": analysis.low_attenuation.threshold_hu,
        "pixels": any(note.code == "pixels_coarse" for note in analysis.quality),
    }


@pytest.fixture(scope="module")
def usual(coarse_phantom):
    return summary(analyze(coarse_phantom.volume, lungs=given(coarse_phantom)))


def given(chest):
    """The true lungs, so that only what depends on a number is done again."""
    return LungSegmentation(chest.lungs, "given")


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {
            "lesions.consolidation_hu": (40, "opacities"),
            "lobes.fissures.plates.sigma_mm": (3.0, "lobes"),
            "notes.coarse_pixel_mm": (9.0, "pixels"),
        },
        {
            "lesions.features.half_hu": (400.0, "opacities"),
            "measures.well_aerated_hu": ((-950, -900), "well-aerated"),
            "low_attenuation.thick_threshold_hu": (-850, "low attenuation"),
        },
        {
            "lesions.features.aerated.peak_range_hu": ((-800, -600), "opacities"),
            "lesions.uncounted.dense_hu": (200.0, "uncounted"),
            "measures.least_percent": (99.0, "scores"),
        },
    ],
)
def test_changed_number_changes_the_result(coarse_phantom, usual, changes):
    config = AnalysisConfig()
    for path, (value, _) in changes.items():
        config = changed(config, path, value)
    found = summary(analyze(coarse_phantom.volume, config, lungs=given(coarse_phantom)))
    same = [path for path, (_, what) in changes.items() if found[what] == usual[what]]
    assert same == []
    assert config.name == "custom (from default)"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("body_width.largest_m", 0.11, "wider than 0.11 m"),
        ("orientation.decisive_odds", 1.5, "upside down"),
    ],
)
def test_changed_number_refuses(coarse_phantom, path, value, said):
    volume = coarse_phantom.volume
    if path.startswith("orientation"):
        volume = replace(volume, hu=volume.hu[::-1])
    with pytest.raises(InputError, match=said):
        analyze(volume, changed(AnalysisConfig(), path, value), lungs=given(coarse_phantom))


def test_change_that_is_not_listed_is_not_undone(coarse_phantom):
    raised = (coarse_phantom.volume.hu + 1024).astype(np.int16)
    assert settle_hounsfield(raised)[2].offset == 1024
    with pytest.raises(InputError):
        settle_hounsfield(raised, config=HounsfieldConfig(offsets=(8192,)))
