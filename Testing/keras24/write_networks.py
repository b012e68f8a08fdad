"""Writes the kinds of file that the authors published, and what the networks predict, with the TensorFlow that runs it.

Meant for TensorFlow 2.4.3 on Python 3.8, with which the authors trained:

    PYTHON3.8 Testing/keras24/write_networks.py FOLDER [VARIANT ...]         files, predictions and layouts
    PYTHON3.8 Testing/keras24/write_networks.py --compare FOLDER BACKBONE SIZE        a whole model of any size
    PYTHON3.8 Testing/keras24/write_networks.py --predict FILE BACKBONE SIZE          what it predicts with a file

``VARIANT.hdf5``; ``VARIANT.npy``, (N, 3) float32; ``VARIANT.json.gz``: all of the file but the arrays, which
``layouts.py`` makes again by the same formula; ``VARIANT.scales.json``: what the formula needs. The layouts, and the
scales of all in one file, lie beside this script.
"""

import gzip
import json
import sys
from functools import lru_cache
from pathlib import Path

import h5py
import numpy as np
import tensorflow as tf

sys.path.insert(0, str(Path(__file__).parent))
import formula

SCALES = Path(__file__).with_name("scales.json")
IMAGES = 6
VARIANTS = {
    "weights": dict(backbone="EfficientNetB0", size=64),
    "whole": dict(backbone="EfficientNetB0", size=64, whole=True),
    "frozen": dict(backbone="EfficientNetB0", size=64, whole=True, frozen=True, dropout=True, numbered=True),
    "flat": dict(backbone="EfficientNetB0", size=64, whole=True, nested=False, units=(64, 32)),
    "resnet": dict(backbone="ResNet50", size=64, units=(64, 32)),
}


def network(backbone, size, units=(2048, 1024), frozen=False, dropout=False, nested=True):
    """The network as its authors build it; ``nested=False`` puts the backbone's layers into the network itself."""
    layers, shape = tf.keras.layers, (size, size, 3)
    base = getattr(tf.keras.applications, backbone)(include_top=False, weights=None, input_shape=shape)
    base.trainable = not frozen
    image = tf.keras.Input(shape) if nested else base.input
    x = layers.GlobalAveragePooling2D()(base(image) if nested else base.output)
    for width in units:
        x = layers.Dense(width, activation="relu")(x)
        if dropout:
            x = layers.Dropout(0.3)(x)
    return tf.keras.Model(image, layers.Dense(3, activation="softmax")(x))


def fill(model, scales):
    """The formula's weights, in the backbone too."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            fill(layer, scales)
        elif layer.weights:
            layer.set_weights([formula.weight(w.name, w.shape, scales) for w in layer.weights])


def scales_of(backbone, size):
    """What :func:`formula.weight` needs to know of the batch norms: stored, or measured where this size is not."""
    key = "{} {}".format(backbone, size)
    stored = json.loads(SCALES.read_text()) if SCALES.exists() else {}
    return stored[key] if key in stored else measured_scales(backbone, size)


@lru_cache(maxsize=None)  # noqa: UP033 - Python 3.8
def measured_scales(backbone, size):
    """Mean square of what every batch norm is given, to two digits, each after those before it are settled.

    The geometric mean over images, so that none outweighs the others.
    """
    tf.keras.backend.clear_session()
    model, scales = network(backbone, size, nested=False), {}
    fill(model, scales)
    norms = [layer for layer in model.layers if isinstance(layer, tf.keras.layers.BatchNormalization)]
    inputs = tf.function(tf.keras.Model(model.input, [layer.input for layer in norms]))
    images = formula.channels(formula.images(IMAGES, size))
    for n, layer in enumerate(norms):
        squares = np.square(inputs(images)[n]).mean(axis=(1, 2, 3))
        scales[layer.name] = float("{:.2g}".format(np.exp(np.log(squares).mean())))
        layer.set_weights([formula.weight(w.name, w.shape, scales) for w in layer.weights])
    return scales


def write(folder, name, backbone, size, whole=False, numbered=False, **kinds):
    scales = scales_of(backbone, size)
    if not numbered:
        tf.keras.backend.clear_session()
    model = network(backbone, size, **kinds)
    images = formula.channels(formula.images(IMAGES, size))
    if whole:
        model.compile(tf.keras.optimizers.Adam(2e-4, beta_1=0.5), "categorical_crossentropy", ["accuracy"])
        model.train_on_batch(images[:2], np.eye(3)[:2])  # the optimiser's state is in the authors' files
    fill(model, scales)
    path = folder / f"{name}.hdf5"
    (model.save if whole else model.save_weights)(str(path))
    predictions = np.concatenate([model(images[n : n + 1]).numpy() for n in range(IMAGES)])
    np.save(str(path.with_suffix(".npy")), predictions)
    path.with_suffix(".scales.json").write_text(json.dumps({"{} {}".format(backbone, size): scales}))
    stored = layout(path)
    stored.update(backbone=backbone, size=size)
    stored.update(tensorflow=tf.__version__, predictions=[[float(p) for p in row] for row in predictions])
    text = json.dumps(stored, separators=(",", ":")).encode()
    path.with_suffix(".json.gz").write_bytes(gzip.compress(text, mtime=0))
    print(name, np.round(predictions, 3).tolist())


def layout(path):
    """Attributes of every group, and shape and type of every array; text alone is kept."""
    groups, arrays = {}, {}

    def visit(name, node):
        if isinstance(node, h5py.Dataset):
            arrays[name] = [list(node.shape), str(node.dtype)]
        else:
            groups[name] = {key: _plain(node, key) for key in node.attrs}

    with h5py.File(str(path), "r") as file:
        visit("/", file)
        file.visititems(visit)
    return {"groups": groups, "arrays": arrays}


def _plain(node, key):
    """Text, or a list of texts, with the type that HDF5 has them in."""
    value, stored = node.attrs[key], h5py.h5a.open(node.id, key.encode()).get_type()
    if isinstance(value, np.ndarray):
        return {"type": str(value.dtype), "value": [v.decode() for v in value]}
    charset = "utf-8" if stored.get_cset() == h5py.h5t.CSET_UTF8 else "ascii"
    kind = charset if stored.is_variable_str() else "fixed"
    return {"type": kind, "value": value.decode() if isinstance(value, bytes) else str(value)}


def main(arguments):
    if arguments[0] == "--compare":
        folder, backbone, size = arguments[1:]
        write(Path(folder), "compare", backbone, int(size), whole=True)
    elif arguments[0] == "--predict":
        path, backbone, size = Path(arguments[1]), arguments[2], int(arguments[3])
        model = network(backbone, size)
        model.load_weights(str(path))
        images = formula.channels(formula.images(IMAGES, size))
        np.save(str(path.with_suffix(".npy")), np.concatenate([model(images[n : n + 1]) for n in range(IMAGES)]))
    else:
        for name in arguments[1:] or VARIANTS:
            write(Path(arguments[0]), name, **VARIANTS[name])


if __name__ == "__main__":
    main(sys.argv[1:])
