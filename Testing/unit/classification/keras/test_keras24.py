"""Files of TensorFlow 2.4.3, the authors' version, predict here what they predict there.

Without that version, from the stored layouts of such files (``Testing/keras24``), whose arrays a formula makes again;
with it (the environment variable names a Python that has it), from files that it writes now.
"""

import json
import os
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from CovidSeverityLib.classification.description import NetworkDescription
from CovidSeverityLib.classification.keras.network import build_network, describe_weights, load_classifier, save_weights
from CovidSeverityLib.errors import InputError

OLD_PYTHON = "COVID_SEVERITY_TF24_PYTHON"
IMAGES, SIZE = 6, 64
PUBLISHED, SMALL = (2048, 1024), (64, 32)
VARIANTS = {
    "weights": NetworkDescription("EfficientNetB0", 512, PUBLISHED),
    "whole": NetworkDescription("EfficientNetB0", SIZE, PUBLISHED),
    "frozen": NetworkDescription("EfficientNetB0", SIZE, PUBLISHED),
    "flat": NetworkDescription("EfficientNetB0", SIZE, SMALL),
    "resnet": NetworkDescription("ResNet50", 512, SMALL),
}
"""What each file tells; weights alone do not tell the size."""


@pytest.fixture(scope="module")
def run_old(repository):
    """A function that runs ``write_networks.py`` in a Python that has TensorFlow 2.4.3."""

    def run(*arguments):
        python = os.environ.get(OLD_PYTHON)
        if not python:
            pytest.skip(f"no Python with TensorFlow 2.4.3 ({OLD_PYTHON})")
        paths = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        script = repository / "Testing" / "keras24" / "write_networks.py"
        subprocess.run([python, script, *arguments], check=True, env=paths)

    return run


@pytest.fixture(scope="module")
def old_files(run_old, tmp_path_factory):
    """A folder of files that TensorFlow 2.4.3 has just written."""
    folder = tmp_path_factory.mktemp("old")
    run_old(folder, "weights", "frozen")
    return folder


@pytest.fixture(scope="module")
def found_in(keras24):
    """A function that answers with the network of a file; networks of one description run as one graph."""
    graphs = {}

    def answers(path):
        found = load_classifier(path, replace(describe_weights(path), size_px=SIZE))
        running = graphs.setdefault(found.description, found)
        running.model.set_weights(found.model.get_weights())
        return running(keras24.formula.images(IMAGES, SIZE))

    return answers


@pytest.mark.parametrize("variant", VARIANTS)
def test_stored_file_of_tensorflow_2_4_predicts_what_it_predicted_there(keras24, found_in, tmp_path, variant):
    path, wanted = keras24.rebuild(variant, tmp_path / "file.hdf5"), np.array(keras24.layout(variant)["predictions"])
    assert np.ptp(wanted, axis=0).max() > 0.1
    assert describe_weights(path) == VARIANTS[variant]
    np.testing.assert_allclose(found_in(path), wanted, atol=1e-5)


@pytest.mark.parametrize("variant", ["weights", "frozen"])
def test_file_that_tensorflow_2_4_writes_now_predicts_the_same_and_is_as_stored(
    keras24, found_in, h5py, old_files, tmp_path, variant
):
    path = old_files / f"{variant}.hdf5"
    np.testing.assert_allclose(found_in(path), np.load(path.with_suffix(".npy")), atol=1e-5)
    assert contents(h5py, keras24.rebuild(variant, tmp_path / "file.hdf5")) == contents(h5py, path)


def contents(h5py, path):
    """All groups, attributes and arrays, but for what the optimiser holds."""
    found = {}

    def visit(name, node):
        if isinstance(node, h5py.Group):
            found[name] = {k: (type(v), np.asarray(v).dtype, np.asarray(v).tolist()) for k, v in node.attrs.items()}
        elif not name.startswith("optimizer_weights"):
            found[name] = (node.shape, node.dtype, node[()].tobytes())

    with h5py.File(path) as file:
        visit("/", file)
        file.visititems(visit)
    return found


def test_tensorflow_2_4_reads_what_is_written_here(keras24, found_in, tmp_path):
    if not os.environ.get(OLD_PYTHON):
        pytest.skip(f"no Python with TensorFlow 2.4.3 ({OLD_PYTHON})")
    description = NetworkDescription("EfficientNetB0", SIZE)
    model = build_network(description)
    keras24.fill(model, "EfficientNetB0", SIZE)
    save_weights(model, description, tmp_path / "ours.hdf5")
    run_old("--predict", tmp_path / "ours.hdf5", "EfficientNetB0", str(SIZE))
    np.testing.assert_allclose(found_in(tmp_path / "ours.hdf5"), np.load(tmp_path / "ours.npy"), atol=1e-5)


@pytest.fixture(scope="module")
def whole_file(keras24, tmp_path_factory):
    return keras24.rebuild("whole", tmp_path_factory.mktemp("whole") / "file.hdf5")


@pytest.fixture
def changed(keras24, h5py, whole_file):
    """A function that gives the file of a whole model another configuration."""

    def written(change):
        config = json.loads(keras24.layout("whole")["groups"]["/"]["model_config"]["value"])
        change(config["config"]["layers"])
        with h5py.File(whole_file, "r+") as file:
            file.attrs["model_config"] = json.dumps(config)
        return whole_file

    return written


def nested(layers):
    return layers[1]["config"]["layers"]


def first(layers, kind):
    return next(layer for layer in layers if layer["class_name"] == kind)


def test_second_rescaling_is_seen_in_a_whole_model(changed):
    scale = {"class_name": "Rescaling", "config": {"scale": [2.0896, 2.1129, 2.1082], "offset": 0.0}}
    exact = {"class_name": "Rescaling", "config": {"scale": list(1 / np.sqrt([0.229, 0.224, 0.225])), "offset": 0.0}}
    path = changed(lambda layers: nested(layers).insert(3, exact))
    assert describe_weights(path).imagenet_rescaling
    with pytest.raises(InputError, match=r"second rescaling of the image True in the file, False in the description$"):
        load_classifier(path, VARIANTS["whole"])
    with pytest.raises(InputError, match=r"^file\.hdf5 holds a model that scales its image by .*, otherwise than Effi"):
        describe_weights(changed(lambda layers: nested(layers).insert(3, scale)))


CHANGES = {
    "layers of another kind than the published: Lambda": lambda ls: ls.insert(
        1, {"class_name": "Lambda", "config": {}}
    ),
    "with Dense, GlobalAveragePooling2D, Dense, Dense, Dense behind": lambda ls: ls.insert(2, ls[-1]),
    "with dense layers that end in relu, relu, sigmoid;": lambda ls: ls[-1]["config"].update(activation="sigmoid"),
    "with dense layers that end in linear, relu, softmax": lambda ls: ls[3]["config"].update(activation="linear"),
    "with activation relu in its EfficientNetB0": lambda ls: first(nested(ls), "Activation")["config"].update(
        activation="relu"
    ),
    "that scales its image by": lambda ls: first(nested(ls), "Rescaling")["config"].update(scale=1 / 127.5),
    "otherwise than EfficientNetB0 does": lambda ls: first(nested(ls), "Rescaling")["config"].update(offset=-1),
    "of 64 x 32 x 3 images": lambda ls: ls[0]["config"].update(batch_input_shape=[None, 64, 32, 3]),
    "of 64 x 64 x 1 images": lambda ls: ls[0]["config"].update(batch_input_shape=[None, 64, 64, 1]),
}


@pytest.mark.parametrize("message", CHANGES)
def test_whole_model_that_does_something_else_is_refused(changed, message):
    with pytest.raises(InputError, match=rf"^file\.hdf5 holds a model .*{message}"):
        describe_weights(changed(CHANGES[message]))


def test_whole_model_of_another_size_than_described_is_refused(keras24, tmp_path):
    path = keras24.rebuild("flat", tmp_path / "file.hdf5")
    with pytest.raises(InputError, match=r"size of the image 64 in the file, 512 in the description$"):
        load_classifier(path, replace(VARIANTS["flat"], size_px=512))


def test_configuration_that_keras_does_not_write_is_refused(changed):
    with pytest.raises(InputError, match=r"^file\.hdf5 is damaged: its model_config is not what Keras writes$"):
        describe_weights(changed(lambda layers: layers.append("layer")))
