"""Fitting: the same bits every time, also after a break; the best weights are kept; several devices; 16 bits.

A network of a few layers stands for the published one: what is tested does not depend on which network it is.
"""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from CovidSeverityLib.classification.training.augmentation import Augmentation, AugmentationConfig
from CovidSeverityLib.classification.training.cases import Part
from CovidSeverityLib.classification.training.checkpoint import Checkpoint, TrainingState
from CovidSeverityLib.classification.training.config import TrainingConfig
from CovidSeverityLib.classification.training.embeddings import compute_embeddings
from CovidSeverityLib.classification.training.examples import (
    CaseSlices,
    ImageExamples,
    VectorExamples,
    class_weights,
    labels_of,
    votes,
)
from CovidSeverityLib.classification.training.head import Standardisation, features_of, head_of, put_head_back
from CovidSeverityLib.classification.training.history import EpochRecord, best_epoch, is_over, validation_of
from CovidSeverityLib.classification.training.outcome import Proportion, outcome_of
from CovidSeverityLib.classification.training.run import network_for
from CovidSeverityLib.errors import CancelledError, CovidSeverityError, InputError
from CovidSeverityLib.types import Diagnosis

SIZE = 16
CONFIG = TrainingConfig(epochs=4, patience=4, batch_size=8, learning_rate=3e-3)
QUICK = replace(CONFIG, learning_rate=0.04, seed=2)
"""It learns in a few epochs, after which the validation varies."""

SLICES = (
    CaseSlices("a", Diagnosis.COVID19, 3),
    CaseSlices("b", Diagnosis.NORMAL, 1),
    CaseSlices("c", Diagnosis.CAP, 2),
)


@pytest.fixture(scope="module")
def examples(training_factory, tmp_path_factory):
    """Training and validation images of easy cases."""
    cases, prepared = training_factory.easy_cases(tmp_path_factory.mktemp("cache"), 4, SIZE)
    split = {Part.TRAINING: cases[:9], Part.VALIDATION: cases[9:]}
    return {
        part: ImageExamples(
            tuple(CaseSlices(c.name, c.diagnosis, prepared.images[c.name].count) for c in chosen),
            tuple(prepared.images[c.name] for c in chosen),
        )
        for part, chosen in split.items()
    }


def small_network(keras, seed=0):
    """Everything whose state a checkpoint has to hold: batch normalisation, random dropout, weights."""
    from CovidSeverityLib.classification.training.devices import make_deterministic

    make_deterministic(seed)
    layers = keras.layers
    stack = [layers.Rescaling(1 / 255), layers.Conv2D(6, 3, strides=2), layers.BatchNormalization(), layers.ReLU()]
    stack += [layers.Dropout(0.3), layers.GlobalAveragePooling2D(), layers.Dense(16, activation="relu")]
    return keras.Sequential([keras.Input((SIZE, SIZE, 3)), *stack, layers.Dense(3, "softmax", dtype="float32")])


@pytest.fixture(scope="module")
def fit(keras, examples, tmp_path_factory):
    """A function that trains in a folder; returns the history and the weights that it ended with."""
    from CovidSeverityLib.classification.training.devices import strategy_for
    from CovidSeverityLib.classification.training.fitting import Fitting

    base = tmp_path_factory.mktemp("fit")

    def run(folder, config=CONFIG, progress=None):
        (base / folder).mkdir(exist_ok=True)
        checkpoint = Checkpoint(base / folder, {"seed": config.seed})
        training = replace(examples[Part.TRAINING], augmentation=Augmentation(AugmentationConfig(), config.seed))
        parts = training, examples[Part.VALIDATION]
        model = small_network(keras, config.seed)
        history = Fitting(model, *parts, config, checkpoint, strategy_for(), {"lost": "no lungs"}).run(progress)
        return [replace(record, seconds=0.0) for record in history], [np.asarray(w.numpy()) for w in model.weights]

    return run


@pytest.fixture(scope="module")
def learnt(fit):
    """A training that goes on until the validation gets no better."""
    return fit("learnt", replace(QUICK, epochs=30, patience=1))


def same(one, two):
    return all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def stop_after(epochs):
    def progress(_stage, done, _total):
        if done == epochs:
            raise KeyboardInterrupt

    return progress


def test_run_that_was_stopped_and_resumed_ends_with_the_same_weights_and_another_seed_with_others(fit, learnt):
    history, weights = fit("whole")
    for epochs in (1, 3):
        with pytest.raises(
            CancelledError, match=rf"^stopped after epoch {epochs} of 4; --resume goes on with the next$"
        ):
            fit("parts", progress=stop_after(epochs))
    resumed_history, resumed = fit("parts")
    assert same(weights, resumed)
    assert resumed_history == history
    assert learnt[0][0].loss != history[0].loss


def test_interrupt_in_the_first_epoch_says_that_it_begins_again(fit):
    with pytest.raises(CancelledError, match=r"^stopped in the first epoch; the same command begins again"):
        fit("stopped", progress=stop_after(0))


def test_network_learns_until_the_validation_gets_no_better_and_keeps_the_best_weights(learnt, keras, examples):
    from CovidSeverityLib.classification.training.feeding import predict

    history, weights = learnt
    best = best_epoch(history)
    assert best.validation_loss < history[0].validation_loss / 2
    assert best.validation_patient_accuracy == 1
    assert best.epoch + 1 == history[-1].epoch < 30
    model, validation = small_network(keras), examples[Part.VALIDATION]
    model.set_weights(weights)
    probabilities = predict(model, validation, 8)
    found = validation_of(validation.cases, probabilities, class_weights(examples[Part.TRAINING].cases))
    assert found.loss == pytest.approx(best.validation_loss, rel=1e-5)
    assert found.loss != pytest.approx(history[-1].validation_loss, rel=1e-3)


def test_step_is_traced_once_and_a_loss_that_is_no_number_ends_the_training(fit, keras, monkeypatch):
    traces, step = [], keras.Model.train_step
    monkeypatch.setattr(keras.Model, "train_step", lambda model, data: traces.append(data) or step(model, data))
    with pytest.raises(CovidSeverityError, match=r"^the loss is no number any more in epoch 1; a lower learning rate"):
        fit("endless", replace(CONFIG, learning_rate=1e30))
    assert len(traces) == 1


def test_16_bit_training_learns_and_keeps_weights_in_32_bits(keras, examples, tmp_path):
    from CovidSeverityLib.classification.training.devices import MIXED_PRECISION, precision, strategy_for
    from CovidSeverityLib.classification.training.fitting import Fitting

    with precision(MIXED_PRECISION):
        model = small_network(keras, QUICK.seed)
    assert keras.config.dtype_policy().name == "float32"
    assert model.layers[1].compute_dtype == "float16"
    parts = examples[Part.TRAINING], examples[Part.VALIDATION]
    config = replace(QUICK, epochs=3)
    history = Fitting(model, *parts, config, Checkpoint(tmp_path, {}), strategy_for()).run()
    assert best_epoch(history).validation_loss < history[0].validation_loss
    assert {w.dtype for w in model.weights if "seed" not in w.path} == {"float32"}


TWO_DEVICES = """
import sys, warnings
from pathlib import Path
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
sys.path[:0] = [sys.argv[1], sys.argv[3]]
import keras, numpy as np
import test_fitting as tests, training_factory
from CovidSeverityLib.classification.training.cases import Part
from CovidSeverityLib.classification.training.checkpoint import Checkpoint
from CovidSeverityLib.classification.training.devices import strategy_for
from CovidSeverityLib.classification.training.examples import CaseSlices, ImageExamples
from CovidSeverityLib.classification.training.fitting import Fitting
folder = Path(sys.argv[2])
cases, prepared = training_factory.easy_cases(folder / "cache", 4, tests.SIZE)
parts = [
    ImageExamples(
        tuple(CaseSlices(c.name, c.diagnosis, prepared.images[c.name].count) for c in chosen),
        tuple(prepared.images[c.name] for c in chosen),
    )
    for chosen in (cases[:9], cases[9:])
]
strategy = strategy_for(["CPU:0", "CPU:1"])
assert strategy.num_replicas_in_sync == 2
def run(config):
    with strategy.scope():
        model = tests.small_network(keras, config.seed)
    history = Fitting(model, *parts, config, Checkpoint(folder, {}), strategy).run()
    return history, model.get_weights()
run(tests.replace(tests.QUICK, epochs=1))
history, _ = run(tests.replace(tests.QUICK, epochs=3))
assert len(history) == 3, history
print(history[0].validation_loss, min(record.validation_loss for record in history))
"""


def test_copies_on_two_devices_learn_together_and_resume(keras, training_factory, tmp_path):
    """Logical devices of one processor stand for GPUs; in a process of its own, as they are set before all else."""
    folder = training_factory.__file__.rsplit("/", 1)[0]
    command = [sys.executable, "-c", TWO_DEVICES, folder, str(tmp_path), str(Path(__file__).parent)]
    found = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stderr[-2000:]
    first, best = map(float, found.stdout.split())
    assert best < first / 2


# The dense layers on top of a frozen backbone


def whole_network(keras):
    """Features, their mean, dense layers, as the published one; the features hardly spread around a large mean."""
    image = keras.Input((SIZE, SIZE, 3))
    features = keras.layers.Conv2D(5, 3, bias_initializer="ones", kernel_initializer="ones")(image)
    features = keras.layers.Conv2D(7, 3)(keras.layers.Rescaling(1e-5, 0.3)(features))
    features = keras.layers.GlobalAveragePooling2D()(features)
    features = keras.layers.Dense(9, activation="relu")(features)
    return keras.Model(image, keras.layers.Dense(3, activation="softmax")(features))


def test_whole_network_answers_what_the_head_answers_for_standardised_features(keras, examples, tmp_path):
    from CovidSeverityLib.classification.training.feeding import predict

    model, training = whole_network(keras), examples[Part.TRAINING]
    (embedded,) = compute_embeddings(features_of(model), [training], tmp_path, 8)
    standardisation = Standardisation.of(embedded)
    plain = standardisation.applied(embedded)
    np.testing.assert_allclose(plain.vectors.mean(axis=0), 0, atol=1e-3)
    head = head_of(model)
    head.set_weights([w + 0.3 * np.random.default_rng(0).normal(size=w.shape) for w in head.get_weights()])
    wanted = predict(head, plain, 8)
    assert np.ptp(wanted, axis=0).max() > 0.05
    put_head_back(head, model, standardisation)
    np.testing.assert_allclose(predict(model, training, 8), wanted, atol=2e-4)


def test_feature_that_never_changes_is_no_feature():
    vectors = np.array([[1.0, 5.0], [3.0, 5.0]], dtype=np.float32)
    standard = Standardisation.of(VectorExamples((), vectors)).applied(VectorExamples((), vectors))
    np.testing.assert_allclose(standard.vectors, [[-1, 0], [1, 0]], atol=1e-6)


def test_embeddings_are_computed_once_for_the_same_backbone_and_changes(keras, examples, tmp_path):
    model, training = whole_network(keras), examples[Part.TRAINING]
    backbone = features_of(model)
    changed = replace(training, augmentation=Augmentation(AugmentationConfig(gain=0.5), seed=0))
    first, copy = compute_embeddings(backbone, [training, changed], tmp_path, 8)
    assert not np.array_equal(copy.vectors, first.vectors)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(before) == 2 * len(training.cases)
    again, copy_again = compute_embeddings(features_of(model), [training, changed], tmp_path, 8)
    np.testing.assert_array_equal(again.vectors, first.vectors)
    np.testing.assert_array_equal(copy_again.vectors, copy.vectors)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    backbone.layers[1].set_weights([w * 2 for w in backbone.layers[1].get_weights()])
    (other,) = compute_embeddings(backbone, [training], tmp_path, 8)
    assert not np.array_equal(other.vectors, first.vectors)
    assert len(list(tmp_path.iterdir())) == len(before) + len(training.cases)


# Without TensorFlow


@pytest.mark.parametrize(
    ("backbone", "imagenet", "rescaling", "scaling"),
    [
        ("EfficientNetB0", "none", False, "none"),
        ("EfficientNetB0", "keras", True, "none"),
        ("ResNet50", "none", False, "none"),
        ("ResNet50", "resnet50_notop.h5", False, "caffe"),
    ],
)
def test_network_takes_images_as_its_first_weights_want_them(backbone, imagenet, rescaling, scaling):
    network = network_for(backbone, 64, "without-boundary", imagenet)
    assert (network.imagenet_rescaling, network.input_scaling) == (rescaling, scaling)
    assert (network.backbone, network.size_px, network.image) == (backbone, 64, "without-boundary")


def test_images_are_read_in_any_order(training_factory, tmp_path):
    cases, prepared = training_factory.easy_cases(tmp_path, 1, SIZE, slices=3)
    examples = ImageExamples(
        tuple(CaseSlices(c.name, c.diagnosis, 3) for c in cases), tuple(prepared.images[c.name] for c in cases)
    )
    whole = np.concatenate([images.read(range(3)) for images in examples.images])
    order = np.array([8, 0, 4, 3, 0])
    np.testing.assert_array_equal(examples.read(order), whole[order])


def test_rarer_classes_weigh_more_so_that_all_weigh_the_same():
    weights = class_weights(SLICES)
    np.testing.assert_allclose(weights, [2, 1, 2 / 3])
    assert labels_of(SLICES).tolist() == [2, 2, 2, 0, 1, 1]
    with pytest.raises(ValueError, match="some of each are needed"):
        class_weights(SLICES[:2])


def test_slices_vote_for_their_own_ct():
    probabilities = np.eye(3, dtype=np.float32)[[2, 2, 0, 0, 1, 1]]
    found = [vote.label for vote in votes(SLICES, probabilities)]
    assert found == [Diagnosis.COVID19, Diagnosis.NORMAL, Diagnosis.CAP]


def test_validation_weighs_classes_and_counts_cts_by_their_vote():
    probabilities = np.array([[0.2, 0.2, 0.6]] * 3 + [[0.5, 0.3, 0.2]] + [[0.7, 0.2, 0.1]] * 2, dtype=np.float32)
    found = validation_of(SLICES, probabilities, np.array([2.0, 1.0, 0.5]))
    wanted = (-np.log(0.6) * 0.5 * 3 - np.log(0.5) * 2 - np.log(0.2) * 2) / 6
    assert found.loss == pytest.approx(wanted, rel=1e-6)
    assert (found.accuracy, found.patient_accuracy) == pytest.approx((4 / 6, 2 / 3))


def test_training_is_over_after_all_epochs_or_when_patience_ends():
    def history(*losses):
        return [EpochRecord(n, 1, 1, loss, 1, 1, 1) for n, loss in enumerate(losses, start=1)]

    assert not is_over((), 1, 1)
    assert is_over(history(3, 2), 2, 5)
    assert not is_over(history(3, 2, 2.5), 9, 2)
    assert is_over(history(3, 2, 2.5, 2), 9, 2)
    assert best_epoch(history(3, 2, 2)).epoch == 2


def test_checkpoint_gives_back_what_was_saved_and_a_damaged_one_is_told(tmp_path):
    checkpoint = Checkpoint(tmp_path, {"seed": 1})
    arrays = [np.arange(3.0, dtype=np.float32), np.array(7, dtype=np.uint32)]
    history = (EpochRecord(1, 0.1, 0.2, 0.30000000000000004, 0.4, 0.5, 0.6),)
    checkpoint.save(TrainingState(history, arrays, arrays[:1], arrays, {"ct": "no lungs"}))
    found = checkpoint.load()
    assert found.history == history
    assert found.failures == {"ct": "no lungs"}
    assert same(found.weights, arrays)
    assert same(found.optimizer, arrays[:1])
    with pytest.raises(InputError, match=r"was begun with another batch size; it cannot go on with these: give"):
        Checkpoint(tmp_path, {"seed": 1, "batch size": 9}).load()
    checkpoint.path.write_bytes(checkpoint.path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"checkpoint\.npz is damaged; remove it to begin anew$"):
        checkpoint.load()
    checkpoint.remove()
    assert not list(tmp_path.iterdir())


def test_outcome_counts_cts_and_its_interval_is_wide_for_few():
    probabilities = np.eye(3, dtype=np.float32)[[2, 2, 0, 0, 2, 2]]
    outcome = outcome_of(SLICES, probabilities, 2)
    assert outcome.confusion.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 1]]
    assert (outcome.accuracy.right, outcome.accuracy.total) == (2, 3)
    assert outcome.sensitivity(Diagnosis.CAP) == Proportion(0, 1)
    assert outcome.precision(Diagnosis.COVID19) == Proportion(1, 2)
    assert outcome.precision(Diagnosis.CAP).text == "none"
    low, high = Proportion(10, 10).interval
    assert (round(low, 3), high) == (0.722, 1.0)
