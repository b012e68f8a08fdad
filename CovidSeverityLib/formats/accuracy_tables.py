"""The tables of ``evaluate accuracy``."""

from __future__ import annotations

from .analysis_tables import CTSS_SOURCE
from .columns import TableFormat, change_percent, count, flag, ml, percent, points, share, text
from .evaluation_tables import METRICS, SECONDS

MEASUREMENT = "`evaluation/accuracy/measurement.py`"
FIGURES = "`evaluation/accuracy/figures.py`"
RANGE = "`features/score_range.py`"

_PLAIN = "the chest has no simulated lesions"
_CHEST = (
    text("chest", "Name of the CT or of the synthetic chest.", "the input"),
    text("what", "`as it is`, the change that was made to the CT, or the number of the simulated case.", MEASUREMENT),
    text("profile", "Profile of the analysis.", "the option `--profiles`"),
)

ACCURACY_RESULTS = TableFormat(
    file="results.csv",
    written_by="`evaluate accuracy`",
    rows="One row per analysis: of a chest as it is, changed, or with simulated lesions, by a profile.",
    columns=(
        *_CHEST,
        points("ctss", "CTSS of the CT.", CTSS_SOURCE),
        percent("infection_percent", "Marked opacity, part of both lungs.", MEASUREMENT),
        ml("infection_ml", "Marked opacity.", MEASUREMENT),
        ml("lung_ml", "Volume of both lungs.", MEASUREMENT),
        SECONDS,
        text(
            "kind",
            "Kind of the simulated lesions.",
            "`evaluation/synthetic/lesions/simulated_lesions.py`",
            empty=_PLAIN,
            values=("ground_glass", "consolidation", "mixed"),
        ),
        text("position", "Place of the simulated lesions.", "`evaluation/synthetic/lesions/places.py`", empty=_PLAIN),
        count("lesions", "lesions", "Number of simulated lesions.", MEASUREMENT, empty=_PLAIN),
        percent("true_percent", "True opacity, part of both lungs.", MEASUREMENT, empty=_PLAIN),
        ml("true_ml", "True opacity.", MEASUREMENT, empty=_PLAIN),
        change_percent(
            "volume_error_percent", "Marked minus true volume, part of the true one.", FIGURES, empty=_PLAIN
        ),
        flag(
            "volume_right", "Whether the marked volume is within 15 % or 10 ml of the true one.", FIGURES, empty=_PLAIN
        ),
        share("dice", "Dice coefficient of marked and true opacity.", METRICS, empty=_PLAIN),
        points("true_ctss", "CTSS of the true opacities in the lobes found without them.", MEASUREMENT, empty=_PLAIN),
        points(
            "ctss_low",
            "Lowest CTSS of the range.",
            RANGE,
            empty="no simulated lesions, or the profile has no range",
        ),
        points(
            "ctss_high",
            "Highest CTSS of the range.",
            RANGE,
            empty="no simulated lesions, or the profile has no range",
        ),
        share(
            "lungs_dice_right",
            "Dice coefficient of the right lung with that found without lesions.",
            MEASUREMENT,
            empty=_PLAIN,
        ),
        share("lungs_dice_left", "The same for the left lung.", MEASUREMENT, empty=_PLAIN),
        share(
            "ground_glass_recall",
            "Marked part of the true ground glass.",
            MEASUREMENT,
            empty="there is no true ground glass",
        ),
        share(
            "consolidation_recall",
            "Marked part of the true consolidation.",
            MEASUREMENT,
            empty="there is no true consolidation",
        ),
    ),
)

ROBUSTNESS = TableFormat(
    file="robustness.csv",
    written_by="`evaluate accuracy`, if CTs were changed",
    rows="One row per change of a CT and profile.",
    columns=(
        *_CHEST,
        points("ctss_change", "CTSS of the changed CT minus that of the CT as it is.", FIGURES, low=-25),
        change_percent(
            "volume_change_percent",
            "Change of the marked volume, part of that in the CT as it is.",
            FIGURES,
            empty="nothing is marked in the CT as it is",
        ),
        percent("infection_percent", "Marked opacity in the changed CT, part of both lungs.", MEASUREMENT),
        flag("normal", "Whether the CT has no true opacity.", "the option `--normal`"),
    ),
)
