"""What is done with every case of a batch, as a value that travels to the workers."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from CovidSeverityLib.checksums import sha256_of
from CovidSeverityLib.classification.loading import ClassifierChoice
from CovidSeverityLib.config import AnalysisConfig
from CovidSeverityLib.plain import plain
from CovidSeverityLib.reporting.files import ReportPages
from CovidSeverityLib.segmentation.engines import Engines, LobeEngine, LungmaskLobes
from CovidSeverityLib.segmentation.lobes.command_engine import LobeCommand
from CovidSeverityLib.version import __version__

from .config import BatchConfig
from .destination import Destination


@dataclass(frozen=True)
class BatchPlan:
    """How all cases are analysed, and where their results go.

    Parameters
    ----------
    destination : Destination
        Where results go.
    config : AnalysisConfig
        How a CT is analysed.
    pages : ReportPages
        The report for people.
    dicom : bool
        Whether DICOM objects are written where the input is DICOM.
    force, independent_slices : bool
        As for ``analyze``.
    engines : Engines
        What finds lungs and lobes where a case has no masks.
    classifier : ClassifierChoice
        What makes the diagnosis.
    limits : BatchConfig
        Time and memory of a case.
    threads : int
        Threads of a worker.
    version : str
        Of the library; a worker of another version is refused.
    """

    destination: Destination
    config: AnalysisConfig = field(default_factory=AnalysisConfig)
    pages: ReportPages = field(default_factory=ReportPages)
    dicom: bool = False
    force: bool = False
    independent_slices: bool = False
    engines: Engines = field(default_factory=Engines)
    classifier: ClassifierChoice = field(default_factory=ClassifierChoice)
    limits: BatchConfig = field(default_factory=BatchConfig)
    threads: int = 1
    version: str = __version__

    def __getstate__(self) -> dict[str, Any]:
        """All fields, with the settings: weights are read once, before the plan travels to the workers."""
        return self.__dict__ | {"settings": self.settings}

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Everything but the CT and the version that decides the files of a case, as values for JSON."""
        lungs, compared = self.engines.lungs, self.engines.compared_lobes
        return {
            "configuration": plain(self.config.as_dict()),
            "pages": plain(self.pages),
            "dicom": self.dicom,
            "force": self.force,
            "independent_slices": self.independent_slices,
            "lung_engine_sha256": None if lungs is None else sha256_of(lungs.weights),
            **_lobe_settings(self.engines.lobes),
            "compared_lobes": None if compared is None else _lobe_settings(compared),
            "classifier_sha256": self.classifier.sha256,
            "no_classifier": self.classifier.absent,
        }


def _lobe_settings(engine: LobeEngine) -> dict[str, Any]:
    """What tells an engine from others; nothing for the library's own lobes."""
    return {
        "lobe_weights_sha256": sha256_of(engine.weights) if isinstance(engine, LungmaskLobes) else None,
        "lobe_command": engine.as_dict() if isinstance(engine, LobeCommand) else None,
    }


def digest_of(settings: dict[str, Any]) -> str:
    """SHA-256 of values for JSON, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
