"""From images to a trained classifier: split, network, fit, and what it is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from CovidSeverityLib.checksums import sha256_of
from CovidSeverityLib.classification.description import EFFICIENT_NETS, RESNETS, NetworkDescription
from CovidSeverityLib.classification.keras.architecture import import_keras
from CovidSeverityLib.classification.keras.weights import build_network
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.types import Progress

from .cases import Part, TrainingCase
from .checkpoint import CHECKPOINT_NAME, Checkpoint
from .config import KERAS_WEIGHTS, NO_WEIGHTS, TrainingConfig
from .devices import make_deterministic, precision, precision_for_machine, strategy_for
from .embeddings import compute_embeddings, joined
from .examples import CaseSlices, Examples, ImageExamples
from .feeding import predict
from .fitting import Fitting
from .head import Standardisation, features_of, head_of, put_head_back
from .history import EpochRecord
from .outcome import Outcome, outcome_of
from .preparation import PreparedCases
from .split import split_patients

SUMMARY_NAME = "summary.json"
"""Is in the folder of the results when they are complete."""

HELD_OUT = (Part.VALIDATION, Part.TEST)


@dataclass(frozen=True, eq=False)
class TrainedClassifier:
    """A network with its best weights, and how it came about.

    Parameters
    ----------
    model : the whole network, as :func:`~.weights.build_network` builds it.
    config : how it was trained.
    cases : CTs that were used.
    parts : by patient.
    slices : of every CT, by its name.
    history : the epochs.
    outcomes : of the parts that the network did not learn from; no test part, no entry.
    precision : what was computed with, and on how many devices.
    """

    model: Any
    config: TrainingConfig
    cases: tuple[TrainingCase, ...]
    parts: Mapping[str, Part]
    slices: Mapping[str, int]
    history: tuple[EpochRecord, ...]
    outcomes: Mapping[Part, Outcome]
    precision: str
    devices: int

    def of_part(self, part: Part) -> tuple[TrainingCase, ...]:
        """The CTs of a part."""
        return tuple(case for case in self.cases if self.parts[case.patient] == part)


def network_for(backbone: str, size_px: int, image: str, imagenet: str) -> NetworkDescription:
    """The published network with another backbone, size or image, fed as its first weights want it.

    ImageNet's weights in Keras were trained with images that an EfficientNet divides a second time, and that a ResNet
    is given less their means; a backbone that begins at random takes them as published.
    """
    given = imagenet != NO_WEIGHTS
    return NetworkDescription(
        backbone=backbone,
        size_px=size_px,
        image=image,
        imagenet_rescaling=given and backbone in EFFICIENT_NETS,
        input_scaling="caffe" if given and backbone in RESNETS else "none",
    )


def given_up_before(folder: Path, config: TrainingConfig, resume: bool) -> Mapping[str, str]:
    """CTs that an unfinished training in ``folder`` goes on without, with the reasons; none where none is there.

    Raises
    ------
    InputError
        If an unfinished training is there and ``resume`` is false, or if ``resume`` is true and the training that is
        there is finished or was begun with other options.
    """
    checkpoint = Checkpoint(folder, _options(config))
    if checkpoint.path.exists():
        if not resume:
            raise InputError(
                f"an unfinished training is in {folder}: --resume goes on with it, "
                f"and removing {CHECKPOINT_NAME} lets a new one begin"
            )
        return checkpoint.failures()
    if resume and (folder / SUMMARY_NAME).exists():
        raise InputError(f"the training in {folder} is finished; without --resume another takes its place")
    return {}


def finish(folder: Path) -> None:
    """The results of the training in ``folder`` are written: its checkpoint is not needed any more."""
    Checkpoint(folder, {}).remove()


def train(
    cases: Sequence[TrainingCase],
    prepared: PreparedCases,
    config: TrainingConfig,
    cache: Path,
    folder: Path,
    progress: Progress | None = None,
    devices: Sequence[str] | None = None,
) -> TrainedClassifier:
    """Train a classifier. The same cases, configuration and machine give the same weights, bit for bit.

    A checkpoint that is in ``folder`` is gone on from, and ends with the weights of a training that was not stopped.
    From the call on TensorFlow computes deterministically in this process, and its random numbers follow the seed.

    Parameters
    ----------
    cases : CTs; those without images are left out.
    prepared : their images, made as ``config.network`` says.
    config : how.
    cache : folder for what a frozen backbone makes of the images.
    folder : of the checkpoint; the caller removes it when the results are written.
    progress : called with stages "embeddings" and "epochs".
    devices : names of TensorFlow's, on each of which a copy of the network is trained; None for all GPUs.

    Raises
    ------
    InputError
        If there are too few patients, TensorFlow is not installed, the first weights cannot be had, or the checkpoint
        is of another training.
    CancelledError
        At an interrupt.
    """
    import_keras()
    cases = tuple(case for case in cases if case.name in prepared.images)
    parts = split_patients(cases, config.validation, config.test, config.seed)
    checkpoint = Checkpoint(folder, _made_with(cases, prepared, config))
    if checkpoint.path.exists():
        checkpoint.load()  # a wrong one is told before anything is built
    run = _Run(cases, prepared, parts, config, cache, checkpoint, progress)
    make_deterministic(config.seed)
    strategy, policy = strategy_for(devices), precision_for_machine()
    with strategy.scope(), precision(policy):
        model = build_network(config.network, None if config.imagenet == NO_WEIGHTS else config.imagenet)
    history, outcomes = run.fit_head(model) if config.freeze else run.fit_whole(model, strategy)
    return TrainedClassifier(
        model=model,
        config=config,
        cases=cases,
        parts=parts,
        slices={case.name: prepared.images[case.name].count for case in cases},
        history=history,
        outcomes=outcomes,
        precision=policy,
        devices=strategy.num_replicas_in_sync,
    )


@dataclass
class _Run:
    """What both ways to train share."""

    cases: tuple[TrainingCase, ...]
    prepared: PreparedCases
    parts: Mapping[str, Part]
    config: TrainingConfig
    cache: Path
    checkpoint: Checkpoint
    progress: Progress | None
    _slices: dict[Part, tuple[CaseSlices, ...]] = field(init=False)

    def __post_init__(self) -> None:
        self._slices = {
            part: tuple(
                CaseSlices(case.name, case.diagnosis, self.prepared.images[case.name].count)
                for case in self.cases
                if self.parts[case.patient] == part
            )
            for part in Part
        }

    def fit_whole(
        self,
        model: Any,  # noqa: ANN401
        strategy: Any,  # noqa: ANN401
    ) -> tuple[tuple[EpochRecord, ...], dict[Part, Outcome]]:
        """Train all of the network on images; return the epochs, and what it is worth."""
        examples = {part: self._images(slices) for part, slices in self._slices.items()}
        return self._fit(model, examples, strategy)

    def fit_head(self, model: Any) -> tuple[tuple[EpochRecord, ...], dict[Part, Outcome]]:  # noqa: ANN401
        """Train the dense layers on what the backbone makes of the images; return as :meth:`fit_whole`."""
        everything = self._images(tuple(case for slices in self._slices.values() for case in slices))
        batch = self.config.batch_size
        embedded = compute_embeddings(features_of(model), everything, self.cache, batch, self.progress)
        standardisation = Standardisation.of(joined(self._slices[Part.TRAINING], embedded))
        examples = {
            part: standardisation.applied(joined(slices, embedded)) for part, slices in self._slices.items() if slices
        }
        head = head_of(model)
        found = self._fit(head, examples, strategy_for(()))
        put_head_back(head, model, standardisation)
        return found

    def _fit(
        self,
        model: Any,  # noqa: ANN401
        examples: Mapping[Part, Examples],
        strategy: Any,  # noqa: ANN401
    ) -> tuple[tuple[EpochRecord, ...], dict[Part, Outcome]]:
        fitting = Fitting(
            model,
            examples[Part.TRAINING],
            examples[Part.VALIDATION],
            self.config,
            self.checkpoint,
            strategy,
            self.prepared.failures,
        )
        history = fitting.run(self.progress)
        outcomes = {}
        for part in HELD_OUT:
            if self._slices[part]:
                probabilities = predict(model, examples[part], self.config.batch_size)
                patients = len({case.patient for case in self.cases if self.parts[case.patient] == part})
                outcomes[part] = outcome_of(self._slices[part], probabilities, patients)
        return history, outcomes

    def _images(self, slices: tuple[CaseSlices, ...]) -> ImageExamples:
        return ImageExamples(slices, tuple(self.prepared.images[case.name] for case in slices))


def _made_with(cases: Sequence[TrainingCase], prepared: PreparedCases, config: TrainingConfig) -> dict[str, Any]:
    """All that decides the weights but how many epochs there may be, under names for messages."""
    facts = [(prepared.images[c.name].key, c.patient, int(c.diagnosis), c.name) for c in cases]
    return _options(config) | {"set of CTs or labels": sha256(repr(facts).encode()).hexdigest()}


def _options(config: TrainingConfig) -> dict[str, Any]:
    """What of :func:`_made_with` does not depend on the CTs."""
    values = {name.replace("_", " "): value for name, value in asdict(config).items()}
    del values["epochs"], values["patience"]
    return values | {"network": config.network.as_dict(), "imagenet": _imagenet_mark(config.imagenet)}


def _imagenet_mark(imagenet: str) -> str:
    """What tells the first weights apart, wherever their file is."""
    if imagenet in (NO_WEIGHTS, KERAS_WEIGHTS):
        return imagenet
    return sha256_of(Path(imagenet))
