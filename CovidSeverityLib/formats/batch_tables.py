"""The tables of a batch."""

from __future__ import annotations

import math
from collections.abc import Iterator

from CovidSeverityLib.types import LOBE_NAMES, Lobe

from .analysis_tables import CTSS_SOURCE, QUANTIFICATION
from .columns import Column, Kind, TableFormat, count, ml, percent, points, share, text

NO_LOBES = "the slices were analysed separately, without lobes"
NO_RANGE = "the profile knows no range"
NOT_COMPARED = f"there is no second engine, or {NO_LOBES}"
NO_DIAGNOSIS = "there is no diagnosis"
REPORT = "`report.json`"
KINDS = ("input", "limit", "worker", "output", "error")


def _lobes() -> Iterator[Column]:
    for lobe in Lobe:
        what = f"Score of the {LOBE_NAMES[lobe]}."
        yield points(f"{lobe.name.lower()}_score", what, CTSS_SOURCE, NO_LOBES, high=5)
    for lobe in Lobe:
        what = f"Opacity, part of the volume of the {LOBE_NAMES[lobe]}."
        yield percent(f"{lobe.name.lower()}_opacity_percent", what, QUANTIFICATION, NO_LOBES)


CASES = TableFormat(
    file="cases.csv",
    written_by="`batch`, also as `cases.parquet` with the same columns",
    rows="One row per case that has a result, in the order of SOURCE.",
    columns=(
        text("case", "Name of the case: of its file or folder, or its id in a table.", "`batch/sources.py`"),
        text("folder", "Its results, below the folder of the batch.", "`batch/names.py`"),
        points("ctss", "CT severity score.", CTSS_SOURCE, NO_LOBES),
        points("ctss_low", "Lowest score of its range.", "`features/score_range.py`", NO_RANGE),
        points("ctss_high", "Highest score of its range.", "`features/score_range.py`", NO_RANGE),
        text("severity", "The word for the score; `not scored` without lobes.", "`ctss.py`"),
        points("total_severity_score", "Score from 0 to 20.", CTSS_SOURCE, NO_LOBES, high=20),
        ml("lung_ml", "Volume of both lungs.", QUANTIFICATION),
        percent("opacity_percent", "Opacity, part of the lungs.", QUANTIFICATION),
        ml("ground_glass_ml", "Volume of ground-glass opacity.", QUANTIFICATION),
        ml("consolidation_ml", "Volume of consolidation.", QUANTIFICATION),
        percent("well_aerated_percent", "Lung from -950 to -700 HU.", REPORT, "it was not measured"),
        percent("low_attenuation_percent", "Emphysema index without noise.", "`features/low_attenuation.py`"),
        *_lobes(),
        points("compared_ctss", "CTSS with the lobes of `--compare-lobes-with`.", REPORT, NOT_COMPARED),
        share("compared_lowest_dice", "Dice coefficient of the lobe that agrees least.", REPORT, NOT_COMPARED),
        text("diagnosis", "What the classifier says.", "`classification/diagnosis.py`", NO_DIAGNOSIS),
        share("p_normal", "Mean probability of a normal chest, not calibrated.", REPORT, NO_DIAGNOSIS),
        share("p_cap", "Mean probability of CAP, not calibrated.", REPORT, NO_DIAGNOSIS),
        share("p_covid19", "Mean probability of COVID-19, not calibrated.", REPORT, NO_DIAGNOSIS),
        count("warnings", "", "Number of warnings in the report.", REPORT),
        text("warning_codes", "Their codes, each once, with `;` between them.", REPORT, "there is no warning"),
        count("slices", "slices", "Axial slices of the CT.", REPORT),
        Column("slice_spacing_mm", Kind.NUMBER, "mm", "Distance of the slices.", REPORT, low=0, high=math.inf),
        Column("pixel_spacing_mm", Kind.NUMBER, "mm", "Distance of the columns.", REPORT, low=0, high=math.inf),
        text("profile", "Name of the profile.", REPORT),
        text("version", "Version of the program.", REPORT),
        text("input_sha256", "Checksum of the CT: equal for a CT that is there twice.", "`batch/input_digest.py`"),
    ),
)

BATCH_FAILURES = TableFormat(
    file="failures.csv",
    written_by="`batch`",
    rows="One row per case without a result, in the order of SOURCE.",
    columns=(
        text("case", "Name of the case.", "`batch/sources.py`"),
        text(
            "kind",
            "What stood in the way: the CT or a mask; a limit of time or memory; the process that analysed it; the "
            "place for the results; an error of the program.",
            "`batch/values.py`",
            values=KINDS,
        ),
        text("reason", "The reason, as a sentence.", "`batch/case.py`"),
    ),
)
