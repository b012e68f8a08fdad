"""From images to a trained classifier: split, network, fit and measurement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from CovidSeverityLib.checksums import sha256_of
from CovidSeverityLib.classification.description import EFFICIENT_NETS, RESNETS, NetworkDescription
from CovidSeverityLib.classification.keras.architecture import import_keras
from CovidSeverityLib.classification.keras.weights import build_network
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.types import Progress

from .augmentation import Augmentation
from .cases import Part, TrainingCase
from .checkpoint import CHECKPOINT_NAME, Checkpoint
from .config import KERAS_WEIGHTS, NO_WEIGHTS, TrainingConfig
from .devices import make_deterministic, precision, precision_for_machine, strategy_for
from .embeddings import compute_embeddings, joined
from .examples import CaseSlices, Examples, ImageExamples, VectorExamples
from .feeding import predict
from .fitting import Fitting
from .head import Standardisation, features_of, head_of, put_head_back
from .history import EpochRecord
from .outcome import Outcome, outcome_of
from .preparation import PreparedCases
from .split import split_patients

SUMMARY_NAME = "summary.json"
"""A file that is in the folder of the results when they are complete."""

HELD_OUT = (Part.VALIDATION, Part.TEST)


@dataclass(frozen=True, eq=False)
class TrainedClassifier:
    """A network with its best weights, and its training.

    Parameters
    ----------
    model : any
        The whole network, as :func:`~.weights.build_network` builds it.
    config : TrainingConfig
        Configuration of the training.
    cases : tuple of TrainingCase
        CTs that were used.
    parts : mapping of str to Part
        Part of each patient.
    slices : mapping of str to int
        Number of slices of every CT, by its name.
    history : tuple of EpochRecord
        The epochs.
    outcomes : mapping of Part to Outcome
        Results for the parts that were not used for training; without a test part there is no entry for it.
    precision : str
        Precision of the computation, and number of devices.
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
    """The published network with another backbone, size or image, and the input scaling of its first weights.

    ImageNet's weights in Keras were trained with images that an EfficientNet divides a second time, and from which a
    ResNet's means are subtracted. A backbone with random first weights uses the published scaling.
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
    """CTs that an unfinished training in ``folder`` leaves out, with the reasons; empty without such a training.

    Raises
    ------
    InputError
        If there is an unfinished training and ``resume`` is false, or if ``resume`` is true and the training is
        finished or was started with other options.
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
    """Delete the checkpoint of the training in ``folder``, because its results are written."""
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

    If there is a checkpoint in ``folder``, the training continues from it and gives the same weights as without the
    interruption. From the call on, TensorFlow computes deterministically in this process, with random numbers from the
    seed.

    Parameters
    ----------
    cases : sequence of TrainingCase
        CTs; those without images are left out.
    prepared : PreparedCases
        Their images, for ``config.network``.
    config : TrainingConfig
        Configuration of the training.
    cache : Path
        Folder for the features of a frozen backbone.
    folder : Path
        Folder of the checkpoint, which the caller deletes after writing the results.
    progress : Progress, optional
        Called with stages "embeddings" and "epochs".
    devices : sequence of str, optional
        Names of devices in TensorFlow, each of which trains a copy of the network; None for all GPUs.

    Raises
    ------
    InputError
        If there are too few patients, TensorFlow is not installed, the first weights are not available, or the
        checkpoint is from another training.
    CancelledError
        At an interrupt.
    """
    import_keras()
    cases = tuple(case for case in cases if case.name in prepared.images)
    parts = split_patients(cases, config.validation, config.test, config.seed)
    checkpoint = Checkpoint(folder, _made_with(cases, prepared, config))
    if checkpoint.path.exists():
        checkpoint.load()  # a wrong one is reported before a network is built
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
    """The common part of both ways to train."""

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
        """Train the whole network on images; return the epochs and the results."""
        examples = {part: self._images(slices) for part, slices in self._slices.items()}
        examples[Part.TRAINING] = replace(examples[Part.TRAINING], augmentation=self._changes(epoch=1))
        return self._fit(model, examples, strategy)

    def fit_head(self, model: Any) -> tuple[tuple[EpochRecord, ...], dict[Part, Outcome]]:  # noqa: ANN401
        """Train the dense layers on the backbone's features of the images; return as :meth:`fit_whole`."""
        everything = self._images(tuple(case for slices in self._slices.values() for case in slices))
        training = self._images(self._slices[Part.TRAINING])
        number = 1 if self.config.augmentation is None else self.config.augmentation.copies
        changed = [replace(training, augmentation=self._changes(epoch=n)) for n in range(1, number)]
        embedded, *copies = compute_embeddings(
            features_of(model), (everything, *changed), self.cache, self.config.batch_size, self.progress
        )
        standardisation = Standardisation.of(joined(self._slices[Part.TRAINING], embedded))
        examples = {
            part: standardisation.applied(joined(slices, embedded)) for part, slices in self._slices.items() if slices
        }
        examples[Part.TRAINING] = VectorExamples(
            training.cases,
            examples[Part.TRAINING].vectors,
            tuple(standardisation.applied(copy).vectors for copy in copies),
        )
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

    def _changes(self, epoch: int) -> Augmentation | None:
        config = self.config.augmentation
        return None if config is None else Augmentation(config, self.config.seed, epoch)

    def _images(self, slices: tuple[CaseSlices, ...]) -> ImageExamples:
        return ImageExamples(slices, tuple(self.prepared.images[case.name] for case in slices))


def _made_with(cases: Sequence[TrainingCase], prepared: PreparedCases, config: TrainingConfig) -> dict[str, Any]:
    """Everything that determines the weights except the number of epochs, under names for messages."""
    facts = [(prepared.images[c.name].key, c.patient, int(c.diagnosis), c.name) for c in cases]
    return _options(config) | {"set of CTs or labels": sha256(repr(facts).encode()).hexdigest()}


def _options(config: TrainingConfig) -> dict[str, Any]:
    """The part of :func:`_made_with` that does not depend on the CTs."""
    values = {name.replace("_", " "): value for name, value in asdict(config).items()}
    del values["epochs"], values["patience"]
    return values | {"network": config.network.as_dict(), "imagenet": _imagenet_mark(config.imagenet)}


def _imagenet_mark(imagenet: str) -> str:
    """An identifier of the first weights that does not depend on the path of their file."""
    if imagenet in (NO_WEIGHTS, KERAS_WEIGHTS):
        return imagenet
    return sha256_of(Path(imagenet))
