"""The network from files in the layout of Keras 2, written here with h5py (and by Keras 2 itself where it is there)."""

import subprocess
import sys

import numpy as np
import pytest

from CovidSeverityLib.classification.network import load_classifier
from CovidSeverityLib.errors import InputError

BACKBONE, SIZE = "EfficientNetB0", 32
CHANNEL_MEANS, CHANNEL_VARIANCES = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
"""What the published backbone's normalisation holds, to a digit or two."""


@pytest.fixture(scope="module")
def keras():
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    return pytest.importorskip("keras")


def pictures(number=5):
    """(N, J, I) uint8 that differ in brightness and pattern."""
    rng = np.random.default_rng(3)
    scale = np.linspace(0.2, 1, number)[:, None, None]
    return (scale * rng.integers(0, 256, (number, SIZE, SIZE))).astype(np.uint8)


@pytest.fixture(scope="module")
def model(keras):
    """The network as its authors build it, with weights that make it look at the image."""
    keras.utils.set_random_seed(0)
    shape = (SIZE, SIZE, 3)
    image = keras.Input(shape)
    backbone = keras.applications.EfficientNetB0(include_top=False, weights=None, input_shape=shape)
    x = keras.layers.GlobalAveragePooling2D()(backbone(image))
    x = keras.layers.Dense(2048, activation="relu")(x)
    x = keras.layers.Dense(1024, activation="relu")(x)
    network = keras.Model(image, keras.layers.Dense(3, activation="softmax")(x))
    rng = np.random.default_rng(0)
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = (w.shape for w in layer.get_weights())
            values = rng.uniform(0.8, 1.2, gamma), rng.normal(0, 0.1, beta), rng.normal(0, 0.1, mean)
            layer.set_weights([*values, rng.uniform(0.05, 0.3, variance)])
        if isinstance(layer, keras.layers.Normalization):
            layer.set_weights([CHANNEL_MEANS, CHANNEL_VARIANCES, np.zeros((), dtype=np.int32)])
            layer.finalize_state()
    kernel, bias = network.layers[-1].get_weights()
    network.layers[-1].set_weights([3 * kernel, bias])
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


@pytest.fixture
def write(tmp_path, keras):
    """A function that writes a model's weights as Keras 2 did; ``change`` may put others in their place."""
    h5py = pytest.importorskip("h5py")

    def names(group, attribute, values, pieces=1):
        if pieces == 1:
            group.attrs[attribute] = np.array(values, dtype="S")
        else:
            for n, part in enumerate(np.array_split(np.array(values, dtype="S"), pieces)):
                group.attrs[f"{attribute}{n}"] = part

    def written(model, version="2.4.0", frozen=False, pieces=1, change=lambda layers: layers, name="weights.hdf5"):
        layers = change([(layer.name, named_weights(layer, frozen)) for layer in model.layers])
        with h5py.File(tmp_path / name, "w") as file:
            names(file, "layer_names", [layer for layer, _ in layers])
            file.attrs["backend"] = np.bytes_("tensorflow")
            if version is not None:
                file.attrs["keras_version"] = np.bytes_(version)
            for layer, weights in layers:
                group = file.create_group(layer)
                names(group, "weight_names", [weight for weight, _ in weights], pieces if len(weights) > 2 else 1)
                for weight, value in weights:
                    group.create_dataset(weight, data=value)
        return tmp_path / name

    return written


def load(path, **kwargs):
    return load_classifier(path, BACKBONE, SIZE, **kwargs)


def test_file_of_keras_2_gives_the_predictions_of_its_network(model, write):
    wanted = model.predict_on_batch(channels(pictures()))
    assert np.ptp(wanted, axis=0).max() > 0.1
    found = load(write(model))(pictures())
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_weights_that_were_saved_frozen_or_under_long_lists_of_names_are_the_same(model, write):
    wanted = load(write(model))(pictures())
    np.testing.assert_array_equal(load(write(model, frozen=True))(pictures()), wanted)
    np.testing.assert_array_equal(load(write(model, pieces=3))(pictures()), wanted)


def test_numbers_that_keras_gave_to_unnamed_layers_do_not_matter(model, write):
    def renumber(layers):
        return [
            (
                layer.replace("dense", "dense_7"),
                [(n.replace("normalization/", "normalization_4/").replace("dense", "dense_7"), w) for n, w in weights],
            )
            for layer, weights in layers
        ]

    wanted = load(write(model))(pictures())
    np.testing.assert_array_equal(load(write(model, change=renumber))(pictures()), wanted)


def with_rescaling(model, images):
    """Predictions with the division by sqrt(sd) after the normalisation, put into the image that goes in."""
    means, variances = CHANNEL_MEANS * 255, np.sqrt(CHANNEL_VARIANCES)
    moved = means + (channels(images) - means) / variances
    return model.predict_on_batch(moved.astype(np.float32))


@pytest.mark.parametrize(
    ("version", "rescaled"),
    [(None, False), ("2.4.0", False), ("2.8.0", False), ("2.9.0", True), ("2.15.0", True)],
)
def test_version_that_wrote_the_file_decides_on_the_second_division(model, write, version, rescaled):
    plain, divided = model.predict_on_batch(channels(pictures())), with_rescaling(model, pictures())
    assert np.abs(plain - divided).max() > 0.01
    found = load(write(model, version=version))(pictures())
    np.testing.assert_allclose(found, divided if rescaled else plain, atol=1e-5)


@pytest.mark.parametrize(("version", "rescaled"), [("2.4.0", True), ("2.15.0", False)])
def test_caller_may_know_better_about_the_second_division(model, write, version, rescaled):
    found = load(write(model, version=version), imagenet_rescaling=rescaled)(pictures())
    wanted = with_rescaling(model, pictures()) if rescaled else model.predict_on_batch(channels(pictures()))
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_same_images_give_the_same_bits_and_batches_the_same_answer(model, write):
    classifier = load(write(model))
    once = classifier(pictures())
    np.testing.assert_array_equal(classifier(pictures()), once)
    np.testing.assert_array_equal(load(write(model))(pictures()), once)
    np.testing.assert_allclose(np.concatenate([classifier(p[None]) for p in pictures()]), once, atol=1e-6)
    assert classifier(pictures()[:0]).shape == (0, 3)


@pytest.mark.parametrize("images", [np.zeros((2, SIZE, SIZE), np.float32), np.zeros((2, SIZE, SIZE + 1), np.uint8)])
def test_images_of_another_kind_or_size_are_refused(model, write, images):
    with pytest.raises(ValueError, match=rf"the network takes \(N, {SIZE}, {SIZE}\) uint8"):
        load(write(model))(images)


def test_file_of_another_backbone_is_refused(model, write):
    path = write(model)
    with pytest.raises(InputError, match=r"^weights.hdf5 does not hold the weights of EfficientNetB1"):
        load_classifier(path, "EfficientNetB1", SIZE)


def test_file_of_another_number_of_classes_is_refused(model, write):
    def two_classes(layers):
        name, weights = layers[-1]
        return [*layers[:-1], (name, [(n, w[..., :2]) for n, w in weights])]

    with pytest.raises(InputError, match=r"it tells 2 classes apart$"):
        load(write(model, change=two_classes))


def test_file_with_other_dense_layers_is_refused(model, write):
    def narrower(layers):
        (first, weights), (second, more) = layers[-3:-1]
        return [
            *layers[:-3],
            (first, [(n, w[..., :100]) for n, w in weights]),
            (second, [(n, w[:100] if w.ndim == 2 else w) for n, w in more]),
            layers[-1],
        ]

    with pytest.raises(InputError, match=r"the weights for dense_?[0-9]* differ in name or shape$"):
        load(write(model, change=narrower))
    with pytest.raises(InputError, match=r"it has 3 layers with weights, not 4$"):
        load(write(model, change=lambda layers: [*layers[:-2], layers[-1]]))


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras, while it saves
def test_file_without_weights_in_the_layout_of_keras_2_is_refused(model, write, tmp_path):
    model.save_weights(tmp_path / "new.weights.h5")
    with pytest.raises(InputError, match=r"^new\.weights\.h5 holds no weights in the layout of Keras 2"):
        load(tmp_path / "new.weights.h5")
    with pytest.raises(InputError, match="holds no weights"):
        load(write(model, change=lambda _: []))


def test_whole_saved_model_is_refused(keras, tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "model.hdf5", "w") as file:
        file.attrs["model_config"] = "{}"
    with pytest.raises(InputError, match=r"^model\.hdf5 is a whole saved model; save its weights alone"):
        load(tmp_path / "model.hdf5")


def test_damaged_file_is_refused(model, write):
    path = write(model)
    path.write_bytes(path.read_bytes()[:200_000])
    with pytest.raises(InputError, match=r"^weights\.hdf5 is damaged"):
        load(path)


def test_file_that_lacks_a_weight_that_it_names_is_refused(model, write):
    h5py = pytest.importorskip("h5py")
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


def test_unknown_backbone_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"^no backbone 'ResNet50'; there are EfficientNetB0, .*EfficientNetB7$"):
        load_classifier(tmp_path / "none.hdf5", backbone="ResNet50")


def test_missing_tensorflow_is_told_with_the_command_that_installs_it(tmp_path, monkeypatch):
    (tmp_path / "weights.hdf5").write_text("weights")
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(InputError, match=r'pip install "covid-severity\[classify\]"$'):
        load_classifier(tmp_path / "weights.hdf5")


def test_library_does_not_import_tensorflow_by_itself():
    """In a process of its own: here another test may have imported it."""
    imports = "import sys, CovidSeverityLib.classification.network"
    check = "assert not {'tensorflow', 'keras', 'h5py'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", f"{imports}; {check}"], check=False).returncode == 0
