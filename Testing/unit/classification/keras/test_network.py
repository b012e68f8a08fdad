"""The network from files in the layout of Keras 2, written here with h5py (and by Keras 2 itself where it is there)."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from CovidSeverityLib.classification.description import NetworkDescription
from CovidSeverityLib.classification.keras.architecture import import_keras
from CovidSeverityLib.classification.keras.files import DESCRIPTION_ATTRIBUTE
from CovidSeverityLib.classification.keras.network import build_network, describe_weights, load_classifier
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.types import Diagnosis

BACKBONE, SIZE, HEAD = "EfficientNetB0", 32, (64, 32)
SMALL = NetworkDescription(BACKBONE, SIZE, HEAD)
CHANNEL_MEANS, CHANNEL_VARIANCES = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
"""What the published backbone's normalisation holds, to a digit or two."""


def pictures(number=5):
    """(N, J, I) uint8 that differ in brightness and pattern."""
    rng = np.random.default_rng(3)
    scale = np.linspace(0.2, 1, number)[:, None, None]
    return (scale * rng.integers(0, 256, (number, SIZE, SIZE))).astype(np.uint8)


@pytest.fixture(scope="module")
def model(keras, keras24):
    """The network as its authors build it, with weights that make it look at the image."""
    shape = (SIZE, SIZE, 3)
    image = keras.Input(shape)
    backbone = keras.applications.EfficientNetB0(include_top=False, weights=None, input_shape=shape)
    x = keras.layers.GlobalAveragePooling2D()(backbone(image))
    for number, units in enumerate(HEAD):
        x = keras.layers.Dense(units, activation="relu", name=f"dense_{number}")(x)
    network = keras.Model(image, keras.layers.Dense(3, activation="softmax", name="dense_2")(x))
    keras24.fill(network, BACKBONE, 64)
    normalization = next(layer for layer in backbone.layers if isinstance(layer, keras.layers.Normalization))
    normalization.set_weights([CHANNEL_MEANS, CHANNEL_VARIANCES, np.zeros((), dtype=np.int32)])
    normalization.finalize_state()
    return network


def channels(images):
    return np.repeat(images[..., None], 3, axis=-1).astype(np.float32)


def keras_2_name(layer, variable):
    """As Keras 2 called a weight: ``stem_conv/kernel:0``."""
    name = "depthwise_kernel" if "dwconv" in layer.name and variable.name == "kernel" else variable.name
    return f"{layer.name}/{name}:0"


def named_weights(layer, frozen=False):
    """(name, array) in the order of Keras 2: trainable weights first, unless the layer was frozen when it was saved."""
    parts = getattr(layer, "layers", [layer])
    if frozen:
        return [(keras_2_name(part, w), np.asarray(w)) for part in parts for w in part.weights]
    kinds = ("trainable_weights", "non_trainable_weights")
    return [(keras_2_name(p, w), np.asarray(w)) for kind in kinds for p in parts for w in getattr(p, kind)]


@pytest.fixture(scope="module")
def write(h5py, tmp_path_factory, keras):
    """A function that writes a model's weights as Keras 2 did; ``change`` may put others in their place."""

    def names(group, attribute, values, pieces=1):
        if pieces == 1:
            group.attrs[attribute] = np.array(values, dtype="S")
        else:
            for n, part in enumerate(np.array_split(np.array(values, dtype="S"), pieces)):
                group.attrs[f"{attribute}{n}"] = part

    folder = tmp_path_factory.mktemp("networks")

    def written(model, version="2.4.0", frozen=False, pieces=1, change=lambda layers: layers, name="weights.hdf5"):
        layers = change([(layer.name, named_weights(layer, frozen)) for layer in model.layers])
        with h5py.File(folder / name, "w") as file:
            names(file, "layer_names", [layer for layer, _ in layers])
            file.attrs["backend"] = np.bytes_("tensorflow")
            if version is not None:
                file.attrs["keras_version"] = np.bytes_(version)
            for layer, weights in layers:
                group = file.create_group(layer)
                names(group, "weight_names", [weight for weight, _ in weights], pieces if len(weights) > 2 else 1)
                for weight, value in weights:
                    group.create_dataset(weight, data=value)
        return folder / name

    return written


def load(path, **fields):
    """With the description that the file gives, but of this size."""
    return load_classifier(path, replace(describe_weights(path), size_px=SIZE, **fields))


@pytest.fixture(scope="module")
def classifier(model, write):
    return load(write(model, name="published.hdf5"))


def test_file_of_keras_2_gives_the_predictions_of_its_network(model, classifier):
    wanted = model.predict_on_batch(channels(pictures()))
    assert np.ptp(wanted, axis=0).max() > 0.1
    found = classifier(pictures())
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=1e-6)


ORDER = (Diagnosis.COVID19, Diagnosis.NORMAL, Diagnosis.CAP)


def test_order_of_weights_and_classes_and_numbers_in_names_do_not_matter(model, write, classifier):
    """Frozen layers, long lists of names, numbers of unnamed layers; a newer version, but no second division."""

    def changed(layers):
        name, weights = layers[-1]
        reordered = [*layers[:-1], (name, [(n, w[..., list(ORDER)]) for n, w in weights])]
        return [
            (
                layer.replace("dense", "dense_7"),
                [(n.replace("normalization/", "normalization_4/").replace("dense", "dense_7"), w) for n, w in weights],
            )
            for layer, weights in reordered
        ]

    path = write(model, version="2.15.0", frozen=True, pieces=3, change=changed)
    found = load_classifier(path, replace(SMALL, classes=ORDER), name="other")
    assert found.name == "other"
    np.testing.assert_allclose(found(pictures()), classifier(pictures()), atol=1e-6)
    asked = [Diagnosis.CAP, Diagnosis.COVID19, Diagnosis.NORMAL, Diagnosis.CAP, Diagnosis.COVID19]
    np.testing.assert_allclose(found.explain(pictures(), asked), classifier.explain(pictures(), asked), atol=1e-4)


@pytest.mark.parametrize(
    ("version", "rescaled"),
    [(None, False), ("2.4.0", False), ("2.8.0", False), ("2.9.0", True), ("2.15.0", True), ("3.1.0", True)],
)
def test_version_that_wrote_the_file_decides_on_the_second_division(model, write, version, rescaled):
    path = write(model, version=version)
    assert describe_weights(path) == NetworkDescription(BACKBONE, 512, HEAD, imagenet_rescaling=rescaled)


def test_second_division_is_done_where_it_is_described(model, write):
    images, means, spreads = channels(pictures()), CHANNEL_MEANS * 255, np.sqrt(CHANNEL_VARIANCES)
    plain = model.predict_on_batch(images)
    divided = model.predict_on_batch((means + (images - means) / spreads).astype(np.float32))
    assert np.abs(plain - divided).max() > 0.01
    np.testing.assert_allclose(load(write(model, version="2.15.0"))(pictures()), divided, atol=1e-5)


def test_answer_for_an_image_is_the_same_bits_whatever_else_is_asked_with_it(classifier):
    once = classifier(pictures())
    np.testing.assert_array_equal(np.concatenate([classifier(p[None]) for p in pictures()]), once)
    np.testing.assert_array_equal(classifier(pictures()[::-1])[::-1], once)
    np.testing.assert_array_equal(replace(classifier, batch=8)(pictures()), once)
    assert classifier(pictures()[:0]).shape == (0, 3)


CHILD = """
import importlib.abc, os, sys

class AtTheStart(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "tensorflow":
            sys.meta_path.remove(self)
            print(os.environ["TF_ENABLE_ONEDNN_OPTS"])

sys.meta_path.insert(0, AtTheStart())
import CovidSeverityLib.__main__
from CovidSeverityLib.classification.keras import architecture, network
import CovidSeverityLib.classification.training.run
print(*{"tensorflow", "keras", "h5py"} & set(sys.modules), "imported")
import numpy as np
keras = architecture.import_keras()
keras.config.set_dtype_policy("mixed_float16")
found = network.load_classifier(sys.argv[1])
print("heard", file=sys.stderr)
np.save(sys.argv[3], found(np.load(sys.argv[2])))
print(keras.config.dtype_policy().name)
"""


def test_other_process_starts_tensorflow_late_and_silently_and_threads_and_half_precision_change_no_bit(
    h5py, model, write, classifier, tmp_path
):
    """With the same kernels on every processor, and silent as the program asks for it."""
    network = write(model)
    with h5py.File(network, "r+") as file:
        file.attrs[DESCRIPTION_ATTRIBUTE] = json.dumps(SMALL.as_dict())
    np.save(tmp_path / "images.npy", pictures())
    kept = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
    threads = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    asked = dict.fromkeys(threads, "1") | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    path = {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, "-c", CHILD, network, tmp_path / "images.npy", tmp_path / "answer.npy"]
    run = subprocess.run(command, env=kept | asked | path, capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("imported\n1\nmixed_float16\n", "heard\n")
    np.testing.assert_array_equal(np.load(tmp_path / "answer.npy"), classifier(pictures()))


def test_kernels_that_the_user_asks_for_are_kept(keras, monkeypatch):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    import_keras()
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "0"


def test_classifier_tells_its_name_checksum_and_network(model, write, classifier):
    assert (classifier.name, classifier.description) == ("published.hdf5", SMALL)
    path = write(model, name="published.hdf5")
    assert classifier.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("images", [np.zeros((2, SIZE, SIZE), np.float32), np.zeros((2, SIZE, SIZE + 1), np.uint8)])
def test_images_of_another_kind_or_size_are_refused(classifier, images):
    for act in (classifier, lambda images: classifier.explain(images, [Diagnosis.CAP] * 2)):
        with pytest.raises(ValueError, match=rf"the network takes \(N, {SIZE}, {SIZE}\) uint8"):
            act(images)


def test_file_of_another_backbone_than_described_is_refused_with_both(model, write):
    with pytest.raises(InputError, match=r"backbone EfficientNetB0 in the file, EfficientNetB1 in the description$"):
        load_classifier(write(model), replace(SMALL, backbone="EfficientNetB1"))


def test_file_of_another_number_of_classes_is_refused(model, write):
    def two_classes(layers):
        name, weights = layers[-1]
        return [*layers[:-1], (name, [(n, w[..., :2]) for n, w in weights])]

    path = write(model, change=two_classes)
    for act in (load, describe_weights):
        with pytest.raises(InputError, match=r"^weights\.hdf5 tells 2 classes apart; 3 are needed$"):
            act(path)


def test_file_with_other_dense_layers_than_described_is_refused_with_both(model, write):
    path = write(model, change=lambda layers: [*layers[:-2], layers[-1]])
    with pytest.raises(InputError, match=r"dense layers \(64\) in the file, \(64, 32\) in the description$"):
        load_classifier(path, SMALL)


def test_dense_layers_that_do_not_fit_each_other_are_refused(model, write):
    def narrower(layers):
        name, weights = layers[-2]
        return [*layers[:-2], (name, [(n, w[:10] if w.ndim == 2 else w) for n, w in weights]), layers[-1]]

    with pytest.raises(
        InputError,
        match=r": in dense layer 2, an array \(10, 32\) for kernel, where an array \(64, 32\) is needed$",
    ):
        load(write(model, change=narrower))


def test_backbone_of_another_make_is_refused(model, write):
    def changed(layers, old, new):
        name, weights = layers[1]
        return [layers[0], (name, [(n.replace(old, new), w) for n, w in weights]), *layers[2:]]

    with pytest.raises(
        InputError, match=r": in the backbone, an array \(32,\) for first_bn/beta, where nothing is needed$"
    ):
        load(write(model, change=lambda layers: changed(layers, "stem_bn", "first_bn")))
    with pytest.raises(InputError, match=r"^weights\.hdf5 holds no backbone that is known; there are EfficientNetB0, "):
        load(write(model, change=lambda layers: changed(layers, "top_conv", "last_conv")))


def test_weights_that_are_no_numbers_are_refused(model, write):
    def broken(layers):
        name, weights = layers[-1]
        return [*layers[:-1], (name, [(n, w * np.nan) for n, w in weights])]

    with pytest.raises(InputError, match=r"^weights\.hdf5 is damaged: dense_?\d*/kernel holds"):
        load(write(model, change=broken))


def test_file_that_contradicts_itself_or_its_description_is_refused(h5py, model, write):
    path, described = write(model), replace(SMALL, image="without-filling")
    with h5py.File(path, "r+") as file:
        file.attrs[DESCRIPTION_ATTRIBUTE] = json.dumps(described.as_dict())
    assert describe_weights(path) == described
    with pytest.raises(InputError, match=r"image without-filling in the file, as-published in the description$"):
        load_classifier(path, replace(described, image="as-published"))
    with h5py.File(path, "r+") as file:
        file.attrs[DESCRIPTION_ATTRIBUTE] = json.dumps(described.as_dict() | {"backbone": "ResNet50"})
    with pytest.raises(InputError, match=r"backbone EfficientNetB0 in the file, ResNet50 in the description$"):
        load_classifier(path)
    with h5py.File(path, "r+") as file:
        file.attrs[DESCRIPTION_ATTRIBUTE] = "{"
    with pytest.raises(InputError, match=rf"^weights\.hdf5 is damaged: its {DESCRIPTION_ATTRIBUTE} is no JSON$"):
        load_classifier(path)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras, while it saves
def test_file_without_weights_in_the_layout_of_keras_2_is_refused(model, write, tmp_path):
    model.save_weights(tmp_path / "new.weights.h5")
    with pytest.raises(InputError, match=r"^new\.weights\.h5 holds weights in Keras 3's own layout; save"):
        load(tmp_path / "new.weights.h5")
    model.save(tmp_path / "new.keras")
    with pytest.raises(InputError, match=r"^new\.keras is in Keras 3's own format; save"):
        load(tmp_path / "new.keras")
    with pytest.raises(InputError, match="holds no weights"):
        load(write(model, change=lambda _: []))


def test_saved_model_without_weights_is_refused(h5py, keras, tmp_path):
    with h5py.File(tmp_path / "model.hdf5", "w") as file:
        file.attrs["model_config"] = "{}"
    with pytest.raises(InputError, match=r"^model\.hdf5 is a saved model without weights"):
        load(tmp_path / "model.hdf5")


def test_damaged_file_is_refused(model, write):
    path = write(model)
    path.write_bytes(path.read_bytes()[:200_000])
    with pytest.raises(InputError, match=r"^weights\.hdf5 is damaged"):
        load(path)


def test_file_that_lacks_a_weight_that_it_names_is_refused(h5py, model, write):
    path = write(model)
    with h5py.File(path, "r+") as file:
        del file["efficientnetb0/stem_conv/kernel:0"]
    with pytest.raises(InputError, match=r"^weights\.hdf5 is damaged"):
        load(path)


def test_file_that_is_not_hdf5_is_refused(keras, tmp_path):
    (tmp_path / "weights.hdf5").write_text("weights")
    with pytest.raises(InputError, match=r"^weights\.hdf5 is not an HDF5 file"):
        load(tmp_path / "weights.hdf5")


def test_file_that_keras_2_itself_wrote_gives_its_predictions(keras, tmp_path):
    old = pytest.importorskip("tf_keras", reason="Keras 2 (tf_keras) is not installed")
    shape = (SIZE, SIZE, 3)
    image = old.layers.Input(shape)
    x = old.applications.EfficientNetB0(include_top=False, weights=None, input_shape=shape)(image)
    x = old.layers.GlobalAveragePooling2D()(x)
    for units, activation in ((2048, "relu"), (1024, "relu"), (3, "softmax")):
        x = old.layers.Dense(units, activation=activation, bias_initializer="random_normal")(x)
    network = old.Model(image, x)
    rng = np.random.default_rng(1)
    network.set_weights(
        [w * rng.uniform(0.8, 1.2, w.shape).astype(w.dtype) if w.ndim else w for w in network.get_weights()]
    )
    network.save_weights(tmp_path / "old.hdf5")
    wanted = network.predict_on_batch(channels(pictures()))
    found = load(tmp_path / "old.hdf5", imagenet_rescaling=False)(pictures())
    np.testing.assert_allclose(found, wanted, atol=1e-6)


# Without TensorFlow


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"^no file of classifier weights at .*none\.hdf5$"):
        load_classifier(tmp_path / "none.hdf5")


@pytest.mark.parametrize("missing", ["h5py", "keras", "tensorflow"])
def test_missing_tensorflow_is_told_with_the_command_that_installs_it(tmp_path, monkeypatch, missing):
    (tmp_path / "weights.hdf5").write_text("weights")
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(InputError, match=r'pip install "covid-severity\[classify\]"$'):
        load_classifier(tmp_path / "weights.hdf5") if missing == "h5py" else build_network(NetworkDescription())
