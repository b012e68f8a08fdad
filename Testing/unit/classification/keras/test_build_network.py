"""Networks that are built to be trained, and the files that their weights are written to."""

from dataclasses import replace

import numpy as np
import pytest

from CovidSeverityLib.classification.description import NetworkDescription
from CovidSeverityLib.classification.keras.architecture import assembled
from CovidSeverityLib.classification.keras.files import LONGEST_ATTRIBUTE, opened, write_weights
from CovidSeverityLib.classification.keras.network import build_network, describe_weights, load_classifier, save_weights
from CovidSeverityLib.classification.keras.weights import fill
from CovidSeverityLib.errors import InputError, OutputError
from CovidSeverityLib.types import Diagnosis

SIZE = 64
PLAIN = NetworkDescription("EfficientNetB0", SIZE, (16, 8))
SMALL = replace(PLAIN, imagenet_rescaling=True)


@pytest.fixture(scope="module")
def network(keras24):
    """A network of :data:`SMALL` whose answers depend on the image, and whose variance single precision would move."""
    model = build_network(SMALL)
    keras24.fill(model, "EfficientNetB0", 64)
    normalization = next(layer for layer in model.layers[1].layers if layer.name.startswith("normalization"))
    normalization.set_weights([np.full(3, 0.45), np.full(3, 0.057), np.zeros(())])
    normalization.finalize_state()
    return model


@pytest.fixture(scope="module")
def pictures(keras24):
    return keras24.formula.images(4, SIZE)


def channels(images):
    return np.repeat(images[..., None], 3, axis=-1).astype(np.float32)


@pytest.fixture(scope="module")
def answers(network, pictures):
    """Of the network as a graph, as a classifier runs it: joined steps move last bits of an answer."""
    import tensorflow as tf

    run = tf.function(lambda images: network(images, training=False))
    return np.asarray(run(channels(pictures)))


def test_weights_come_back_bit_by_bit_with_their_description(network, pictures, answers, tmp_path):
    description = replace(SMALL, classes=tuple(Diagnosis)[::-1], image="without-boundary")
    save_weights(network, description, tmp_path / "own.hdf5")
    assert describe_weights(tmp_path / "own.hdf5") == description
    loaded = assembled(description)
    with opened(tmp_path / "own.hdf5") as stored:
        fill(loaded, stored, description)
    for ours, theirs in zip(loaded.weights, network.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs, err_msg=theirs.path)
    classifier = load_classifier(tmp_path / "own.hdf5")
    wanted = answers[:, ::-1]
    assert np.ptp(wanted, axis=0).max() > 0.05
    np.testing.assert_allclose(classifier(pictures), wanted, atol=1e-6)


def test_same_weights_are_written_as_the_same_bytes_and_replace_a_file(network, tmp_path):
    save_weights(network, SMALL, tmp_path / "one.hdf5")
    (tmp_path / "two.hdf5").write_bytes(b"another")
    save_weights(network, SMALL, tmp_path / "two.hdf5")
    assert (tmp_path / "one.hdf5").read_bytes() == (tmp_path / "two.hdf5").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one.hdf5", "two.hdf5"]


def test_weights_that_cannot_be_written_leave_the_file_as_it_was(h5py, network, tmp_path, monkeypatch):
    (tmp_path / "own.hdf5").write_bytes(b"before")
    full = OSError(28, "No space left on device")

    def fail(*_, **__):
        raise full

    monkeypatch.setattr(h5py.Group, "create_dataset", fail)
    with pytest.raises(OutputError, match=r"^cannot write weights to .*own\.hdf5: No space left on device$"):
        save_weights(network, SMALL, tmp_path / "own.hdf5")
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"before"]


def test_lists_of_names_longer_than_hdf5_holds_are_cut_and_put_together(keras, tmp_path):
    names = [f"conv4_block{n}_1_conv/{'kernel' * 12}:0" for n in range(1000)]
    write_weights(tmp_path / "many.hdf5", [("backbone", dict.fromkeys(names, 1.0))], {}, "3.0.0")
    assert sum(len(name) for name in names) > LONGEST_ATTRIBUTE
    with opened(tmp_path / "many.hdf5") as stored:
        assert list(stored.backbone) == [name.removesuffix(":0") for name in names]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras, while it saves
def test_whole_model_that_keras_3_saves_in_the_old_layout_is_read(network, pictures, answers, tmp_path):
    network.save(tmp_path / "whole.h5")
    # the division by sqrt(sd) is inside the variance of this network, not a layer of its own
    assert describe_weights(tmp_path / "whole.h5") == PLAIN
    found = load_classifier(tmp_path / "whole.h5")(pictures)
    np.testing.assert_allclose(found, answers, atol=1e-6)


def test_input_scaling_is_part_of_the_network(keras, tmp_path):
    keras.utils.set_random_seed(3)
    description = NetworkDescription("ResNet50", SIZE, (8,), input_scaling="caffe")
    model = build_network(description)
    (backbone,) = (layer for layer in model.layers if hasattr(layer, "layers"))
    image = np.random.default_rng(0).uniform(0, 255, (2, SIZE, SIZE, 3)).astype(np.float32)
    features = keras.ops.mean(backbone(keras.applications.resnet.preprocess_input(image.copy())), axis=(1, 2))
    for layer in model.layers[-2:]:
        features = layer(features)
    np.testing.assert_allclose(model(image), features, rtol=1e-4)
    save_weights(model, description, tmp_path / "own.hdf5")
    assert describe_weights(tmp_path / "own.hdf5") == description


def test_published_files_of_imagenet_weights_fill_the_backbone(keras, keras24, pictures, tmp_path):
    source = keras.applications.EfficientNetB0(include_top=False, weights=None, input_shape=(SIZE, SIZE, 3))
    keras24.fill(source, "EfficientNetB0", SIZE)
    normalization = next(layer for layer in source.layers if isinstance(layer, keras.layers.Normalization))
    normalization.set_weights([np.array([0.5, 0.4, 0.3]), np.array([0.2, 0.25, 0.3]), np.zeros(())])
    normalization.finalize_state()
    path = tmp_path / "efficientnetb0_notop.h5"
    layers = [(x.name, {f"{x.name}/{w.name}:0": np.asarray(w) for w in x.weights}) for x in source.layers]
    write_weights(path, layers, {}, "2.3.0")
    for ours, theirs in zip(build_network(PLAIN, path).layers[1].weights, source.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs, err_msg=theirs.path)
    rescaled, images = build_network(SMALL, path).layers[1], channels(pictures)
    mean, sds = np.array([0.5, 0.4, 0.3]) * 255, np.array([0.229, 0.224, 0.225])
    wanted = np.asarray(source(mean + (images - mean) / np.sqrt(sds)))
    assert np.ptp(wanted, axis=0).max() > 0.1
    np.testing.assert_allclose(rescaled(images), wanted, atol=1e-3 * np.abs(wanted).max())


def test_files_that_hold_no_imagenet_weights_of_the_backbone_are_refused(keras, tmp_path):
    with pytest.raises(InputError, match=r"^no file of ImageNet weights at .*none\.h5$"):
        build_network(SMALL, tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("text")
    with pytest.raises(InputError, match=r"^text\.h5 holds no weights of EfficientNetB0 as Keras publishes them"):
        build_network(SMALL, tmp_path / "text.h5")
    write_weights(tmp_path / "other.h5", [("conv1_conv", {"conv1_conv/kernel:0": np.ones((7, 7, 3, 64))})], {}, "2.3.0")
    with pytest.raises(InputError, match=r"^other\.h5 holds no weights of EfficientNetB0 as Keras .* Layer count"):
        build_network(SMALL, tmp_path / "other.h5")


def test_failed_download_of_imagenet_weights_is_one_sentence(keras, monkeypatch, tmp_path):
    # the address is Keras's; nobody listens at this proxy
    for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path), raising=False)
    with pytest.raises(InputError, match=r"^Keras has no ImageNet weights of EfficientNetB0 .* URL fetch.*$"):
        build_network(SMALL, "keras")
