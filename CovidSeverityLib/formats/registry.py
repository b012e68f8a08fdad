"""Every CSV table and every JSON file that the program writes for users: a new one is entered here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

from . import accuracy_tables, analysis_tables, batch_tables, evaluation_tables, followup_tables, training_tables
from .columns import TableFormat

TABLES: tuple[TableFormat, ...] = (
    analysis_tables.LOBES,
    analysis_tables.SLICES,
    analysis_tables.HISTOGRAM,
    analysis_tables.CLASSIFIED_SLICES,
    analysis_tables.CORRECTED_LOBES,
    analysis_tables.CORRECTED_SLICES,
    followup_tables.LOBE_CHANGES,
    batch_tables.CASES,
    batch_tables.BATCH_FAILURES,
    evaluation_tables.SEGMENTATION_RESULTS,
    evaluation_tables.SEGMENTATION_SLICES,
    evaluation_tables.ABLATION_RESULTS,
    evaluation_tables.CTSS_RESULTS,
    evaluation_tables.CLASSIFICATION_RESULTS,
    accuracy_tables.ACCURACY_RESULTS,
    accuracy_tables.ROBUSTNESS,
    evaluation_tables.FAILURES,
    training_tables.HISTORY,
    training_tables.SPLIT,
)
"""The tables in the order of the page. Tables with the same columns are described once, by the first of them."""


@dataclass(frozen=True)
class JsonFormat:
    """A JSON file, who writes it, and the place of its schema below the library (JSON Schema, draft 2020-12)."""

    file: str
    written_by: str
    schema: str


SCHEMAS: tuple[JsonFormat, ...] = (
    JsonFormat("report.json", "`analyze`, also on standard output with `--json`", "reporting/report.schema.json"),
    JsonFormat(
        "corrected_report.json",
        "3D Slicer, after corrections (*Save report*)",
        "formats/schemas/corrected_report.schema.json",
    ),
    JsonFormat("comparison.json", "`compare`, also with `--json`", "followup/comparison.schema.json"),
    JsonFormat("batch.json", "`batch`, also with `--json`", "formats/schemas/batch.schema.json"),
    JsonFormat("case.json", "`batch`, for each case", "formats/schemas/case.schema.json"),
    JsonFormat("classification.json", "`classify`, also with `--json`", "formats/schemas/classification.schema.json"),
    *(
        JsonFormat(
            "summary.json", f"`evaluate {name}`, also with `--json`", f"formats/schemas/evaluate_{name}.schema.json"
        )
        for name in ("segmentation", "ablation", "ctss", "classification", "accuracy")
    ),
    JsonFormat("summary.json", "`train`, also with `--json`", "formats/schemas/train.schema.json"),
    JsonFormat("manifest.json", "`train`", "models/manifest.schema.json"),
    JsonFormat("entry.json", "`models add`, `models download`", "models/manifest.schema.json"),
    JsonFormat("truth.json", "`phantom`", "formats/schemas/phantom.schema.json"),
    JsonFormat("standard output", "`models list --json`", "formats/schemas/models_list.schema.json"),
    JsonFormat("standard output", "`models files --json`", "formats/schemas/models_files.schema.json"),
    JsonFormat("each line of output", "`--progress json`", "formats/schemas/progress.schema.json"),
)
"""The JSON files in the order of the page."""


def read_schema(place: str) -> dict[str, Any]:
    """A schema.

    Parameters
    ----------
    place : str
        Field ``schema`` of one of :data:`SCHEMAS`. The folder ``models`` is beside the library in a source tree, and in
        it when it is installed.

    Raises
    ------
    FileNotFoundError
        There is none.
    """
    root = resources.files("CovidSeverityLib")
    found = root.joinpath(place)
    if not found.is_file() and place.startswith("models/"):
        found = root.joinpath("..", place)
    return json.loads(found.read_text(encoding="utf-8"))
