"""Configurations check themselves, and a report says what they are."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from CovidSeverityLib import AnalysisConfig, analyze
from CovidSeverityLib.config import mask_config
from CovidSeverityLib.errors import ConfigurationError, InputError
from CovidSeverityLib.features.classification_image import ClassificationImageConfig
from CovidSeverityLib.features.low_attenuation import LowAttenuationConfig
from CovidSeverityLib.features.published_score import SliceScoreConfig
from CovidSeverityLib.plain import plain
from CovidSeverityLib.preprocessing.orientation import OrientationConfig
from CovidSeverityLib.reporting import build_report
from CovidSeverityLib.segmentation.opacity.published.config import (
    PUBLISHED_CTSS,
    PUBLISHED_SEGMENTATION,
    PublishedOpacityConfig,
)
from CovidSeverityLib.segmentation.opacity.published.mixture import MixtureConfig
from CovidSeverityLib.segmentation.opacity.published.vesselness import VesselnessConfig
from CovidSeverityLib.segmentation.opacity.volumetric.config import OpacityConfig

WRONG = [
    (OpacityConfig, {"smoothing_mm": -1}, "smoothing_mm is -1; expected a number from 0 to 50.0"),
    (OpacityConfig, {"smoothing_mm": 1e9}, "smoothing_mm is 1000000000.0; expected a number from 0 to 50.0"),
    (OpacityConfig, {"smallest_ml": math.nan}, "smallest_ml is nan; expected a number from 0 on"),
    (OpacityConfig, {"smallest_ml": math.inf}, "smallest_ml is inf; expected a number from 0 on"),
    (OpacityConfig, {"smallest_ml": "0.3"}, "smallest_ml is '0.3'; expected a number from 0 on"),
    (OpacityConfig, {"probability": True}, "probability is True; expected a number between 0 and 1"),
    (OpacityConfig, {"fill_holes": 1}, "fill_holes is 1; expected True or False"),
    (OpacityConfig, {"stricter": 0.4}, "expected them to rise"),
    (
        PublishedOpacityConfig,
        {"dilation_px": 4},
        "dilation_px is 4; expected a whole number from 1 to 99 in steps of 2",
    ),
    (PublishedOpacityConfig, {"smallest_px": 1.5}, "smallest_px is 1.5; expected a whole number from 0 on"),
    (PublishedOpacityConfig, {"clip_hu": (300, -1024)}, "clip_hu is (300, -1024); expected two numbers that rise"),
    (
        PublishedOpacityConfig,
        {"clip_hu": [-1024, 300]},
        "clip_hu is [-1024, 300]; expected a tuple, 2 times a whole number",
    ),
    (
        PublishedOpacityConfig,
        {"window_caps_hu": (50.0,)},
        "window_caps_hu is (50.0,); expected a tuple, 2 times a number",
    ),
    (PublishedOpacityConfig, {"window_sds": 0}, "window_sds is 0; expected a number above 0"),
    (PublishedOpacityConfig, {"mixture": None}, "mixture is None; expected MixtureConfig"),
    (
        PublishedOpacityConfig,
        {"mixture": MixtureConfig(start_means_hu=(-900.0, 0.0))},
        "mixture has 2 components; expected 3",
    ),
    (MixtureConfig, {"start_means_hu": ()}, "start_means_hu is (); expected a tuple, one or more times a number"),
    (MixtureConfig, {"start_means_hu": (-9000.0,)}, "expected a tuple, one or more times a number from -1024 to 3071"),
    (MixtureConfig, {"variance_floor_hu2": -0.1}, "variance_floor_hu2 is -0.1"),
    (MixtureConfig, {"max_iterations": 0}, "max_iterations is 0; expected a whole number from 1 on"),
    (VesselnessConfig, {"threshold": 1.0}, "threshold is 1.0; expected a number between 0 and 1"),
    (VesselnessConfig, {"sigmas_px": (0.5, -1.0)}, "sigmas_px is (0.5, -1.0)"),
    (SliceScoreConfig, {"skip_first": -1}, "skip_first is -1; expected a whole number from 0 on"),
    (SliceScoreConfig, {"smallest_lung_share": 6}, "smallest_lung_share is 6; expected a number from 0 to 1"),
    (
        LowAttenuationConfig,
        {"thin_threshold_hu": -951},
        "thin_threshold_hu is -951; expected a whole number from -1022",
    ),
    (OrientationConfig, {"decisive_odds": math.inf}, "decisive_odds is inf; expected a number"),
    (AnalysisConfig, {"lesions": "default"}, "lesions is 'default'; expected OpacityConfig or None"),
    (AnalysisConfig, {"mixture": None}, "mixture is None; expected MixtureConfig"),
    (AnalysisConfig, {"profile": "refrence"}, "no profile 'refrence'; there are default and reference"),
    (AnalysisConfig, {"profile": None}, "profile is None; expected a text"),
]


@pytest.mark.parametrize(("kind", "wrong", "said"), WRONG)
def test_wrong_value_is_refused_with_its_name_and_what_is_allowed(kind, wrong, said):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the message is compared below)
        kind(**wrong)
    assert said in str(caught.value)


def test_images_of_a_classifier_check_themselves():
    with pytest.raises(ConfigurationError, match="outline is 'yes'; expected True or False"):
        ClassificationImageConfig(infection=PUBLISHED_CTSS, outline="yes")
    with pytest.raises(ConfigurationError, match="infection is None; expected PublishedOpacityConfig"):
        ClassificationImageConfig(infection=None)


def test_a_programmer_catches_a_value_error_and_the_command_line_an_input_error():
    with pytest.raises(InputError):
        OpacityConfig(smoothing_mm=-1)
    with pytest.raises(ValueError, match="expected"):
        OpacityConfig(smoothing_mm=-1)


def test_numbers_of_numpy_are_numbers():
    assert OpacityConfig(smoothing_mm=np.float32(2)).smoothing_mm == 2
    assert SliceScoreConfig(skip_first=np.int64(3)).skip_first == 3
    assert OpacityConfig(smoothing_mm=0).smoothing_mm == 0


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"profile": "reference"}, "profile is 'reference', which marks infection by infection, and infection is None"),
        ({"lesions": None, "infection": PUBLISHED_CTSS}, "profile is 'default', which marks infection by lesions"),
    ],
)
def test_a_profile_is_what_its_name_says(values, said):
    with pytest.raises(ConfigurationError, match=said):
        AnalysisConfig(**values)


def test_a_changed_profile_says_so():
    default, reference = (AnalysisConfig.for_profile(profile) for profile in ("default", "reference"))
    assert (default.name, reference.name) == ("default", "reference")
    assert replace(default, lesions=OpacityConfig(smallest_ml=1.0)).name == "custom (from default)"
    assert replace(reference, slice_scores=None).name == "custom (from reference)"
    assert replace(reference, infection=PUBLISHED_SEGMENTATION) == mask_config("reference")
    assert mask_config("reference").name == "custom (from reference)"
    assert replace(default, lesions=OpacityConfig()).name == "default"


@pytest.mark.slow
def test_report_says_custom_where_a_number_was_changed(tiny_chest):
    config = AnalysisConfig(lesions=OpacityConfig(smallest_ml=1.0))
    provenance = build_report(analyze(tiny_chest.volume, config))["provenance"]
    assert provenance["profile"] == "custom (from default)"
    assert provenance["configuration"]["profile"] == "default"
    assert provenance["configuration"]["lesions"]["smallest_ml"] == 1.0


def test_report_holds_the_numbers_of_lungs_opacities_and_lobes(coarse_analysis):
    configuration = build_report(coarse_analysis)["provenance"]["configuration"]
    assert json.loads(json.dumps(configuration)) == plain(AnalysisConfig().as_dict())
    assert configuration["lungs"]["thorax"]["lung_tissue_hu"] == -400
    assert configuration["lungs"]["field_of_view"]["smallest_lungs_ml"] == 300.0
    assert configuration["lesions"]["features"]["aerated"]["peak_range_hu"] == [-1000, -600]
    assert configuration["lobes"]["fissures"]["oblique_reach_mm"] == 48.0
    assert configuration["measures"]["least_percent"] == 0.3
    assert configuration["orientation"]["cues"][0]["measure"] == "trachea_above_lungs_mm"
