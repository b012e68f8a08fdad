"""The tables of ``train``."""

from __future__ import annotations

from .analysis_tables import DIAGNOSES
from .columns import Column, Kind, TableFormat, count, seconds, share, text

NUMBER = Kind.NUMBER

HISTORY_SOURCE = "`classification/training/history.py`"
_NOT_USED = "the CT is of the training part"

HISTORY = TableFormat(
    file="history.csv",
    written_by="`train`",
    rows="One row per epoch.",
    columns=(
        count("epoch", "epochs", "Number of the epoch, from 1.", HISTORY_SOURCE),
        Column(
            "loss",
            NUMBER,
            "",
            "Mean loss over the epoch, during which the network changes: categorical cross-entropy, weighted by class.",
            HISTORY_SOURCE,
            low=0,
        ),
        share("accuracy", "Slices of the training part that were right, over the epoch.", HISTORY_SOURCE),
        Column("validation_loss", NUMBER, "", "Loss on the validation part, after the epoch.", HISTORY_SOURCE, low=0),
        share("validation_accuracy", "Slices of the validation part that are right.", HISTORY_SOURCE),
        share("validation_patient_accuracy", "CTs of the validation part that are right.", HISTORY_SOURCE),
        seconds("seconds", "Time that the epoch took."),
    ),
)

SPLIT = TableFormat(
    file="split.csv",
    written_by="`train`",
    rows="One row per CT.",
    columns=(
        text("case", "Name of the CT, as in the table of labels.", "the input"),
        text("patient", "Patient of the CT; all CTs of a patient are in one part.", "the input"),
        text("diagnosis", "True diagnosis.", "the input", values=DIAGNOSES),
        text(
            "part",
            "What the CT was used for: to learn from, to stop by, to measure with.",
            "`classification/training/split.py`",
            values=("training", "validation", "test"),
        ),
        count("slices", "slices", "Slices of the CT that were used.", "`classification/training/preparation.py`"),
        text(
            "found",
            "Diagnosis by the trained network.",
            "`classification/voting.py`",
            empty=_NOT_USED,
            values=DIAGNOSES,
        ),
        *(
            share(
                f"p_{name}",
                f"Mean probability of {words} over the slices that voted; not calibrated.",
                "`classification/voting.py`",
                empty=_NOT_USED,
            )
            for name, words in (
                ("normal", "no disease"),
                ("cap", "community-acquired pneumonia"),
                ("covid19", "COVID-19"),
            )
        ),
    ),
)
