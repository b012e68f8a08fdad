"""Files that TensorFlow 2.4.3 wrote, made again: the stored layout to the letter, arrays by the formula."""

import gzip
import importlib.util
import json
from pathlib import Path

import h5py
import numpy as np

HERE = Path(__file__).parent


def _module(name):
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


formula = _module("formula")


def layout(variant):
    """The stored layout of ``write_networks.py``: groups, arrays, backbone, size, predictions."""
    return json.loads(gzip.decompress((HERE / f"{variant}.json.gz").read_bytes()))


def scales(backbone, size):
    return json.loads((HERE / "scales.json").read_text())[f"{backbone} {size}"]


def rebuild(variant, path):
    """Write the file of a variant; the optimiser's arrays alone, which nobody reads, are zeros here."""
    stored = layout(variant)
    found = scales(stored["backbone"], stored["size"])
    with h5py.File(path, "w") as file:
        for name, attributes in stored["groups"].items():
            group = file.require_group(name)
            for key, attribute in attributes.items():
                _set_attribute(group, key, attribute)
        for name, (shape, kind) in stored["arrays"].items():
            optimiser = name.startswith("optimizer_weights")
            values = np.zeros(shape) if optimiser else formula.weight(name, tuple(shape), found)
            file.create_dataset(name, data=np.asarray(values, dtype=kind))
    return path


def fill(model, backbone, size):
    """Give a Keras 3 model the formula's weights, in the backbone too."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            fill(layer, backbone, size)
        elif layer.weights:
            found = scales(backbone, size)
            values = [formula.weight(f"{layer.name}/{w.name}", tuple(w.shape), found) for w in layer.weights]
            layer.set_weights(values)
            if hasattr(layer, "finalize_state"):
                layer.finalize_state()


def _set_attribute(group, key, attribute):
    value, kind = attribute["value"], attribute["type"]
    if isinstance(value, list):
        group.attrs[key] = np.array([v.encode() for v in value], dtype=kind)
    elif kind == "fixed":
        group.attrs[key] = np.bytes_(value.encode())
    else:
        group.attrs.create(key, value, dtype=h5py.string_dtype(kind))
