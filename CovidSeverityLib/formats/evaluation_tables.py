"""The tables of ``evaluate``: what was measured in every case."""

from __future__ import annotations

from CovidSeverityLib.types import LOBE_NAMES, Lobe

from .analysis_tables import CTSS_SOURCE, DIAGNOSES
from .columns import (
    Column,
    Kind,
    TableFormat,
    count,
    flag,
    ml,
    mm,
    percent,
    points,
    seconds,
    share,
    text,
)

INTEGER, NUMBER = Kind.INTEGER, Kind.NUMBER

METRICS = "`metrics.py`"
SEGMENTATION = "`evaluation/paper/segmentation.py`"
DETAILS = "`evaluation/paper/opacity_agreement.py`"
SEVERITIES = ("mild", "moderate", "severe")

CASE = text("case", "Name of the case: of its file or folder, or as in the table of truth.", "the input")
SECONDS = seconds("seconds", "Time that the case took.")

_NO_SLICE = "no slice counts"
_NO_TRUTH = "nothing was to be found, or no slice counts"
_NO_REST = "every voxel was to be found, or no slice counts"
_NOTHING = "nothing was found, or no slice counts"
_MEASURES = (
    share(
        "dice",
        "Dice coefficient: 2 TP / (2 TP + FP + FN); 1 if nothing was to be found and nothing was found.",
        METRICS,
        empty=_NO_SLICE,
    ),
    share(
        "sensitivity",
        "Found part of the truth: TP / (TP + FN).",
        METRICS,
        empty=_NO_TRUTH,
    ),
    share(
        "specificity",
        "Part of the rest that was left alone: TN / (TN + FP).",
        METRICS,
        empty=_NO_REST,
    ),
    share(
        "precision",
        "True part of what was found: TP / (TP + FP).",
        METRICS,
        empty=_NOTHING,
    ),
    share("jaccard", "Jaccard index: TP / (TP + FP + FN); 1 as for Dice.", METRICS, empty=_NO_SLICE),
    Column("mcc", NUMBER, "", "Matthews correlation coefficient.", METRICS, empty=_NO_SLICE, low=-1, high=1),
    share("mae", "Mean absolute error of the mask as an image of 0 and 1: (FP + FN) / all.", METRICS, empty=_NO_SLICE),
    share("accuracy", "Part of the voxels that are right: (TP + TN) / all.", METRICS, empty=_NO_SLICE),
)
_COUNTS = (
    count("true_positive", "voxels", "TP: marked and truly opacity.", METRICS),
    count("false_positive", "voxels", "FP: marked, but no opacity.", METRICS),
    count("false_negative", "voxels", "FN: opacity that was not marked.", METRICS),
    count("true_negative", "voxels", "TN: neither.", METRICS),
)
_LUNGS = text(
    "lungs",
    "Lungs in which the opacities were marked: own ones, or the given masks.",
    SEGMENTATION,
    values=("own", "given"),
)

SEGMENTATION_RESULTS = TableFormat(
    file="results.csv",
    written_by="`evaluate segmentation`",
    rows="One row per case and kind of lungs; the slices that count are taken together.",
    columns=(
        CASE,
        _LUNGS,
        count("slices", "slices", "Slices that count by the protocol.", SEGMENTATION),
        count("infected_slices", "slices", "Those of them with true opacity.", SEGMENTATION),
        *_MEASURES,
        share(
            "infected_slice_dice",
            "Mean Dice of the slices with true opacity.",
            SEGMENTATION,
            empty="no slice that counts has opacity",
        ),
        ml("true_ml", "Volume of the true opacities.", SEGMENTATION),
        ml("found_ml", "Volume that was marked.", SEGMENTATION),
        Column(
            "true_percent",
            NUMBER,
            "%",
            "True opacity, part of the lungs; above 100 if it lies outside of them.",
            DETAILS,
            empty="there are no lungs",
            high=float("inf"),
        ),
        percent("found_percent", "Marked opacity, part of the lungs.", DETAILS, empty="there are no lungs"),
        share(
            "own_lungs_dice",
            "Dice coefficient of own and given lungs.",
            DETAILS,
            empty="only one kind of lungs was used",
        ),
        percent(
            "lesions_in_own_lungs_percent",
            "Part of the true opacity inside own lungs.",
            DETAILS,
            empty="own lungs were not segmented, or there is no opacity",
        ),
        share(
            "consolidation_dice",
            "Dice coefficient of consolidation alone.",
            DETAILS,
            empty="the mask has no label of consolidation",
        ),
        share(
            "recall_{label}",
            "Marked part of the voxels with this label of the mask.",
            DETAILS,
            empty="the mask does not have this label",
        ),
        *_COUNTS,
        SECONDS,
    ),
)

SEGMENTATION_SLICES = TableFormat(
    file="slices.csv",
    written_by="`evaluate segmentation`",
    rows="One row per compared slice of a case and kind of lungs.",
    columns=(
        CASE,
        _LUNGS,
        Column("slice", INTEGER, "", "Number of the slice in its file, from 1.", "the input", low=1),
        mm("z_mm", "Position of the slice, LPS z.", "geometry of the CT"),
        flag("counted", "Whether the slice counts by the protocol.", SEGMENTATION),
        *_MEASURES,
        *_COUNTS,
    ),
)

ABLATION_RESULTS = TableFormat(
    file="results.csv",
    written_by="`evaluate ablation`",
    rows="One row per case, mask or image, and variant.",
    columns=(
        CASE,
        text(
            "of",
            "What was made: the mask of the opacities, or the images for the classifier.",
            "`evaluation/paper/ablation.py`",
            values=("segmentation", "images"),
        ),
        text("variant", "All steps, or the step that was left out.", "`evaluation/paper/ablation.py`"),
        *_MEASURES,
    ),
)


def _severity(name: str, what: str) -> Column:
    return text(
        name,
        f"Severity by {what}: mild (0-7), moderate (8-17), severe (18-25).",
        "Li 2020, doi 10.1097/RLI.0000000000000672",
        values=SEVERITIES,
    )


CTSS_RESULTS = TableFormat(
    file="results.csv",
    written_by="`evaluate ctss`",
    rows="One row per case.",
    columns=(
        CASE,
        points("truth", "CTSS by the radiologists.", CTSS_SOURCE),
        Column(
            "{variant}",
            NUMBER,
            "points",
            "CTSS by the program, or by the column of this name in the table of "
            "scores. `ctss_max_variant`, in the published profile: with the maximum over slices instead of the mean.",
            CTSS_SOURCE,
        ),
        _severity("truth_severity", "the radiologists' CTSS"),
        _severity("{variant}_severity", "the variant's CTSS"),
        *(
            points(
                f"lobe_{lobe.name}",
                f"CTSS of the {LOBE_NAMES[lobe]}, by the program.",
                CTSS_SOURCE,
                high=5,
                group="images",
            )
            for lobe in Lobe
        ),
        percent("infection_percent", "Opacity, part of both lungs.", "`features/quantification.py`", group="images"),
        seconds("seconds", "Time that the case took.", group="images"),
    ),
    groups={"images": "with `--images`"},
)

_CLASS_WORDS = {"normal": "no disease", "cap": "community-acquired pneumonia", "covid19": "COVID-19"}

CLASSIFICATION_RESULTS = TableFormat(
    file="results.csv",
    written_by="`evaluate classification`",
    rows="One row per case.",
    columns=(
        CASE,
        text("truth", "True diagnosis.", "the input", values=DIAGNOSES),
        text("predicted", "Diagnosis by the classifier.", "`classification/voting.py`", values=DIAGNOSES),
        flag("right", "Whether they are equal.", "`evaluation/paper/classification.py`"),
        *(
            share(
                f"score_{name}",
                f"Probability of {words}: mean over the slices, or as given.",
                "`evaluation/paper/classification.py`",
                high=1.01,
                group="probabilities",
            )
            for name, words in _CLASS_WORDS.items()
        ),
        count("slices", "slices", "Slices that voted.", "`classification/voting.py`", group="images"),
        seconds("seconds", "Time that the case took.", group="images"),
    ),
    groups={"probabilities": "if every case has probabilities", "images": "with `--images`"},
)

FAILURES = TableFormat(
    file="failures.csv",
    written_by="`evaluate` and `train`",
    rows="One row per case that could not be used.",
    columns=(CASE, text("reason", "Why, in one sentence.", "the error of the program")),
)
