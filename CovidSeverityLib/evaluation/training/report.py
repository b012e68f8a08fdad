"""The files of a training: weights, manifest, model card, history, curves, split and failures.

The model card and the manifest may be published: they contain numbers, and no name of a file or a patient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from CovidSeverityLib.checksums import sha256_of
from CovidSeverityLib.classification.description import CLASS_NAMES
from CovidSeverityLib.classification.keras.weights import save_weights
from CovidSeverityLib.classification.store.catalogue import MANIFEST_NAME, ModelEntry, manifest_text
from CovidSeverityLib.classification.training.cases import PART_TEXTS, Part, patients_of
from CovidSeverityLib.classification.training.config import KERAS_WEIGHTS, NO_WEIGHTS, TrainingConfig
from CovidSeverityLib.classification.training.history import best_epoch
from CovidSeverityLib.classification.training.outcome import INTERVAL_METHOD, Outcome
from CovidSeverityLib.classification.training.run import TrainedClassifier
from CovidSeverityLib.evaluation.cases import Failure
from CovidSeverityLib.evaluation.outputs import (
    FAILURES_NAME,
    SUMMARY_NAME,
    Table,
    csv_writer,
    failure_table,
    json_writer,
    markdown_table,
    table_of,
    text_writer,
)
from CovidSeverityLib.evaluation.reports import counted
from CovidSeverityLib.formats.training_tables import HISTORY, SPLIT
from CovidSeverityLib.reporting.output_folder import FileWriter
from CovidSeverityLib.types import Diagnosis
from CovidSeverityLib.version import __version__

from .curves import curves

WEIGHTS_NAME, CARD_NAME, HISTORY_NAME = "weights.hdf5", "README.md", "history.csv"
CURVES_NAME, SPLIT_NAME = "curves.png", "split.csv"
TRAINING_NAMES = (
    *(WEIGHTS_NAME, MANIFEST_NAME, CARD_NAME, HISTORY_NAME, CURVES_NAME, SPLIT_NAME, FAILURES_NAME, SUMMARY_NAME),
)
"""Every file of a training in the order of writing."""

LIMITS = (
    "Research use only. Measured on patients of the same collection as those that it was trained on: on CTs of other "
    "scanners, hospitals or patients it may be much worse, and it knows no disease but the three classes."
)


@dataclass(frozen=True)
class TrainingReport:
    """The written and the printed output of a training.

    Parameters
    ----------
    trained : TrainedClassifier
        Result of the training.
    failures : tuple of Failure
        CTs that could not be used.
    layout : str
        Recognised layout of the table of labels.
    """

    trained: TrainedClassifier
    failures: tuple[Failure, ...]
    layout: str

    def writers(self) -> dict[str, FileWriter]:
        """Writers of all files, for :func:`~CovidSeverityLib.reporting.write_together`; the summary comes last."""
        trained = self.trained
        epochs = [record.as_dict() for record in trained.history]
        history = table_of(HISTORY.header(), {name: [epoch[name] for epoch in epochs] for name in HISTORY.header()})
        return {
            WEIGHTS_NAME: lambda path: save_weights(trained.model, trained.config.network, path),
            MANIFEST_NAME: self._write_manifest,
            CARD_NAME: text_writer(self.card()),
            HISTORY_NAME: csv_writer(history),
            CURVES_NAME: curves(trained.history),
            SPLIT_NAME: csv_writer(self._split()),
            FAILURES_NAME: csv_writer(failure_table(self.failures)),
            SUMMARY_NAME: json_writer(self.summary()),
        }

    def entry(self, weights: Path) -> ModelEntry:
        """The entry of a manifest for a file of these weights."""
        config = self.trained.config
        entry = ModelEntry(
            name=f"trained-{config.network.backbone}-{date.today():%Y%m%d}".lower(),
            title=f"{config.network.backbone}, trained with covid-severity train",
            network=config.network,
            source=f"trained with covid-severity train, CovidSeverity {__version__}",
            trained_on=f"{self._numbers(Part.TRAINING)}.",
            limits=LIMITS,
        )
        return entry.of_file(sha256_of(weights), weights.stat().st_size)

    def summary(self) -> dict[str, Any]:
        """All results in numbers, for programs."""
        trained, best = self.trained, best_epoch(self.trained.history)
        config = trained.config
        return {
            "program": f"CovidSeverity {__version__}",
            "network": config.network.as_dict(),
            "labels": self.layout,
            "imagenet": _imagenet_text(config.imagenet),
            "frozen": config.freeze,
            "optimizer": {"name": "Adam", "learning_rate": config.learning_rate, "beta_1": 0.5},
            "batch_size": config.batch_size,
            "augmentation": None if config.augmentation is None else asdict(config.augmentation),
            "seed": config.seed,
            "precision": trained.precision,
            "devices": trained.devices,
            "parts": {part.value: self._counts(part) for part in Part},
            "failed": len(self.failures),
            "epochs": len(trained.history),
            "best_epoch": best.as_dict(),
            "intervals": INTERVAL_METHOD,
            "outcomes": {part.value: _outcome_dict(outcome) for part, outcome in trained.outcomes.items()},
        }

    def headline(self) -> str:
        """The printed lines."""
        trained, best = self.trained, best_epoch(self.trained.history)
        lines = [
            f"Learnt from {self._numbers(Part.TRAINING)}",
            f"{counted(len(trained.history), 'epoch')}, the weights of epoch {best.epoch} are kept",
        ]
        for part, outcome in trained.outcomes.items():
            lines.append(f"{part.value.capitalize()}: {outcome.accuracy.text} CTs right")
        return "\n".join(lines)

    def card(self) -> str:
        """The model card, Markdown."""
        config, best = self.trained.config, best_epoch(self.trained.history)
        network = config.network
        frozen = ", frozen: the dense layers alone were trained" if config.freeze else ""
        rows = [[part.value, PART_TEXTS[part], *map(str, self._counts(part).values())] for part in Part]
        header = ["part", "used", *self._counts(Part.TRAINING)]
        outcomes = "".join(_outcome_text(part, outcome) for part, outcome in self.trained.outcomes.items())
        return (
            f"# {network.backbone} for COVID-19, community-acquired pneumonia and normal chest CTs\n\n"
            f"Trained with `covid-severity train` of CovidSeverity {__version__}.\n\n"
            "## Network\n\n"
            f"{network.backbone} on images of {network.size_px} x {network.size_px} pixels ({network.image}), "
            f"dense layers of {' and '.join(str(units) for units in network.head_units)}, "
            f"outputs {', '.join(CLASS_NAMES[c] for c in network.classes)}. "
            f"First weights of the backbone: {_imagenet_text(config.imagenet)}{frozen}.\n\n"
            "## Training\n\n"
            f"{markdown_table(header, rows)}\n"
            "Patients were shared out to the parts by chance, each diagnosis for itself; no patient is in two of them. "
            f"{self._failed_text()}"
            f"Adam, learning rate {config.learning_rate:g}, beta 1 0.5; categorical cross-entropy, slices weighted by "
            f"the inverse frequency of their class; batches of {config.batch_size}; seed {config.seed}. "
            f"{_augmentation_text(config)} "
            f"{counted(len(self.trained.history), 'epoch')}; the weights are those of epoch {best.epoch}, with the "
            "lowest validation loss.\n\n"
            "## What it is worth\n\n"
            f"CTs by the weighted vote of their slices. In brackets: {INTERVAL_METHOD}. The validation patients chose "
            "the epoch, which flatters them; the test patients chose nothing.\n\n"
            f"{outcomes}"
            f"## Limits\n\n{LIMITS}\n\n"
            "## Use\n\n"
            f"```\ncovid-severity models add {WEIGHTS_NAME} --as NAME\n"
            "covid-severity classify INPUT --classifier NAME\n```\n"
        )

    def _failed_text(self) -> str:
        number = len(self.failures)
        return f"{counted(number, 'CT')} could not be used. " if number else ""

    def _write_manifest(self, path: Path) -> None:
        text_writer(manifest_text([self.entry(path.with_name(WEIGHTS_NAME))]))(path)

    def _split(self) -> Table:
        trained = self.trained
        found = {case.name: case for outcome in trained.outcomes.values() for case in outcome.cases}
        rows = []
        for case in trained.cases:
            outcome = found.get(case.name)
            answer = (CLASS_NAMES[outcome.found], *outcome.probabilities) if outcome else ("", None, None, None)
            part = trained.parts[case.patient].value
            rows.append(
                (case.name, case.patient, CLASS_NAMES[case.diagnosis], part, trained.slices[case.name], *answer)
            )
        return Table(SPLIT.header(), tuple(rows))

    def _counts(self, part: Part) -> dict[str, int]:
        """Number of patients in total and by diagnosis, of CTs and of slices."""
        cases = self.trained.of_part(part)
        diagnoses = list(patients_of(cases).values())
        by_class = {CLASS_NAMES[diagnosis]: diagnoses.count(diagnosis) for diagnosis in Diagnosis}
        slices = sum(self.trained.slices[case.name] for case in cases)
        return {"patients": len(diagnoses), **by_class, "CTs": len(cases), "slices": slices}

    def _numbers(self, part: Part) -> str:
        """``24 CTs of 24 patients (8 normal, 8 CAP, 8 COVID-19), 1224 slices``."""
        counts = self._counts(part)
        classes = ", ".join(f"{counts[name]} {name}" for name in CLASS_NAMES.values())
        patients = counted(counts["patients"], "patient")
        return f"{counted(counts['CTs'], 'CT')} of {patients} ({classes}), {counts['slices']} slices"


def _imagenet_text(imagenet: str) -> str:
    texts = {NO_WEIGHTS: "random", KERAS_WEIGHTS: "ImageNet's, from Keras"}
    return texts.get(imagenet, "those of a file")


def _augmentation_text(config: TrainingConfig) -> str:
    changes = config.augmentation
    if changes is None:
        return "The training images were not changed."
    versions = f"; {counted(changes.copies, 'version')} of each slice" if config.freeze else " in every epoch"
    return (
        f"The training images were changed by chance{versions}: mirrored ({changes.mirror:.0%}), moved (by up to "
        f"{changes.shift:.0%} of the edge), turned ({changes.rotation_deg:g} degrees), darker or brighter "
        f"({changes.gain:.0%})."
    )


def _outcome_dict(outcome: Outcome) -> dict[str, Any]:
    return {
        "patients": outcome.patients,
        "accuracy": outcome.accuracy.as_dict(),
        "confusion": outcome.confusion.tolist(),
        "sensitivity": {CLASS_NAMES[d]: outcome.sensitivity(d).as_dict() for d in Diagnosis},
        "precision": {CLASS_NAMES[d]: outcome.precision(d).as_dict() for d in Diagnosis},
    }


def _outcome_text(part: Part, outcome: Outcome) -> str:
    names = [CLASS_NAMES[diagnosis] for diagnosis in Diagnosis]
    rows: Sequence[Sequence[str]] = [
        [
            f"**{CLASS_NAMES[d]}**",
            *map(str, outcome.confusion[d]),
            outcome.sensitivity(d).text,
            outcome.precision(d).text,
        ]
        for d in Diagnosis
    ]
    patients = counted(outcome.patients, "patient")
    return (
        f"### {part.value.capitalize()}: {counted(len(outcome.cases), 'CT')} of {patients}\n\n"
        f"Accuracy: {outcome.accuracy.text}.\n\n"
        f"{markdown_table(['', *names, 'sensitivity', 'precision'], rows)}\n"
        "Rows the truth, columns what was found.\n\n"
    )
