"""Networks in the HDF5 layout of Keras 2: the content of a file by name, and writing of such a file.

Two kinds are read: weights (``model.save_weights``), and whole models (``model.save``), whose configuration is read as
text and never executed. h5py is a dependency of TensorFlow and is imported when a file is opened.
"""

from __future__ import annotations

import json
import re
import secrets
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from CovidSeverityLib.errors import InputError, OutputError

DESCRIPTION_ATTRIBUTE = "covid_severity_network"
"""Attribute of the root in which this library stores the description of the network in its own files, as JSON."""

LONGEST_ATTRIBUTE = 64512
"""Keras splits a list of names with more bytes into ``name0``, ``name1``... (HDF5's limit minus a margin)."""

KERAS_2_NAMES = (
    (re.compile(r":\d+$"), ""),
    (re.compile(r"(^|/)normalization_\d+/"), r"\1normalization/"),
    (re.compile(r"/depthwise_kernel$"), "/kernel"),
)
"""Differences in names of weights: Keras 2 adds ``:0``, Keras numbers unnamed layers, and depthwise kernels are named
kernels in Keras 3."""

MISSING_TENSORFLOW = 'classification needs TensorFlow, which is not installed: pip install "covid-severity[classify]"'

_DAMAGED = "{} is damaged: not all the weights that it names can be read"


@dataclass(frozen=True, eq=False)
class StoredNetwork:
    """An open file of weights; arrays are read on access.

    Parameters
    ----------
    name : str
        Name of the file.
    backbone : mapping of str to any
        Arrays (h5py datasets) by plain name, such as ``stem_conv/kernel``.
    dense : tuple of mapping of str to any
        ``kernel`` and ``bias`` of the dense layers after the backbone, in their order.
    keras : (int, int)
        Major and minor version that wrote the file; (0, 0) if the file does not contain it.
    config : mapping of str to any or None
        Configuration of a whole model, as Keras wrote it; None for weights alone.
    own : mapping of str to any or None
        Description in a file of this library; None for other files.
    """

    name: str
    backbone: Mapping[str, Any]
    dense: tuple[Mapping[str, Any], ...]
    keras: tuple[int, int]
    config: Mapping[str, Any] | None
    own: Mapping[str, Any] | None


@contextmanager
def opened(path: str | Path) -> Iterator[StoredNetwork]:
    """The network in a file, until the end of the ``with`` block.

    Parameters
    ----------
    path : str or Path
        ``.hdf5`` or ``.h5`` in the layout of Keras 2.

    Raises
    ------
    InputError
        If the file is missing, damaged or in another layout, or TensorFlow is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no file of classifier weights at {path}")
    try:
        import h5py
    except ImportError as error:
        raise InputError(MISSING_TENSORFLOW) from error
    if not h5py.is_hdf5(path):
        raise InputError(_not_hdf5(path))
    with ExitStack() as stack:
        try:
            file = stack.enter_context(h5py.File(path))
            stored = _stored(file, path.name)
        except (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
            raise InputError(_DAMAGED.format(path.name)) from error
        yield stored


def read_array(array: Any, name: str) -> NDArray:  # noqa: ANN401 - h5py
    """The values of an array of an open file.

    Parameters
    ----------
    array : any
        Array of a :class:`StoredNetwork`.
    name : str
        Name of the file.

    Raises
    ------
    InputError
        If they cannot be read, or some are not finite numbers.
    """
    try:
        values = array[()]
    except (OSError, RuntimeError) as error:
        raise InputError(_DAMAGED.format(name)) from error
    if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        raise InputError(f"{name} is damaged: {plain_name(array.name)} holds values that are no numbers")
    return values


def plain_name(name: str) -> str:
    """The last two parts of a weight's name, layer and weight, as in Keras 3."""
    for pattern, replacement in KERAS_2_NAMES:
        name = pattern.sub(replacement, name)
    return "/".join(name.split("/")[-2:])


def write_weights(
    path: str | Path,
    layers: Sequence[tuple[str, Mapping[str, ArrayLike]]],
    own: Mapping[str, Any],
    keras_version: str,
) -> None:
    """Write weights like ``model.save_weights`` of Keras 2; the same weights give the same bytes.

    The file appears when it is complete; an existing file is replaced.

    Parameters
    ----------
    path : str or Path
        Path of the file.
    layers : sequence of (str, mapping of str to ArrayLike)
        Name of every layer, with its arrays by their name and in their order in Keras 2.
    own : mapping of str to any
        Description of the network, for :data:`DESCRIPTION_ATTRIBUTE`.
    keras_version : str
        Version of Keras that made the weights.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    import h5py

    try:
        with h5py.File(part, "w") as file:
            _write_names(file, "layer_names", [name for name, _ in layers])
            file.attrs["backend"] = np.bytes_(b"tensorflow")
            file.attrs["keras_version"] = np.bytes_(keras_version.encode())
            file.attrs[DESCRIPTION_ATTRIBUTE] = json.dumps(own)
            for name, weights in layers:
                group = file.create_group(name)
                _write_names(group, "weight_names", list(weights))
                for weight, values in weights.items():
                    group.create_dataset(weight, data=np.asarray(values))
        part.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write weights to {path}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


def _not_hdf5(path: Path) -> str:
    if zipfile.is_zipfile(path):
        return f"{path.name} is in Keras 3's own format; save the network in Keras 2's with model.save('NAME.h5')"
    return f"{path.name} is not an HDF5 file, or cut short; weights as Keras 2 saves them (.hdf5, .h5) are needed"


def _stored(file: Any, name: str) -> StoredNetwork:  # noqa: ANN401 - h5py
    config, own = _json(file, "model_config", name), _json(file, DESCRIPTION_ATTRIBUTE, name)
    if config is not None and "model_weights" not in file:
        raise InputError(f"{name} is a saved model without weights; model.save writes both")
    root = file["model_weights"] if config is not None else file
    backbone: dict[str, Any] = {}
    dense: dict[str, dict[str, Any]] = {}
    names = _names(root, "layer_names")
    if not names and "layers" in root:
        raise InputError(
            f"{name} holds weights in Keras 3's own layout; save them in Keras 2's with model.save('NAME.h5')"
        )
    for layer in names:
        arrays = {_plain_of(layer, weight): root[layer][weight] for weight in _names(root[layer], "weight_names")}
        heads = {key.split("/")[0] for key, array in arrays.items() if key.endswith("/kernel") and array.ndim == 2}
        for key, array in arrays.items():
            head, kind = key.split("/")
            whole = dense.setdefault(head, {}) if head in heads else backbone
            if (short := kind if head in heads else key) in whole:
                raise InputError(f"{name} holds two networks, or layers of one name ({key})")
            whole[short] = array
    if not (backbone or dense):
        raise InputError(f"{name} holds no weights in the layout of Keras 2 (model.save_weights to .hdf5)")
    version = _version(root.attrs.get("keras_version", file.attrs.get("keras_version", "")))
    return StoredNetwork(name, backbone, tuple(dense.values()), version, config, own)


def _plain_of(layer: str, weight: str) -> str:
    """``layer/weight``, also if the file names only the weight."""
    plain = plain_name(weight)
    return plain if "/" in plain else plain_name(f"{layer}/{weight}")


def _names(group: Any, attribute: str) -> list[str]:  # noqa: ANN401
    """A list of names, which Keras 2 splits into ``attribute0``, ``attribute1``... if it is too long for HDF5."""

    def parts() -> Iterator[Any]:
        if attribute in group.attrs:
            yield group.attrs[attribute]
        n = 0
        while f"{attribute}{n}" in group.attrs:
            yield group.attrs[f"{attribute}{n}"]
            n += 1

    return [_text(name) for part in parts() for name in part]


def _write_names(group: Any, attribute: str, names: Sequence[str]) -> None:  # noqa: ANN401
    values: NDArray = np.array([name.encode() for name in names], dtype="S")
    pieces = -(-max(values.nbytes, 1) // LONGEST_ATTRIBUTE)
    if pieces == 1:
        group.attrs[attribute] = values
        return
    for n, piece in enumerate(np.array_split(values, pieces)):
        group.attrs[f"{attribute}{n}"] = piece


def _json(file: Any, attribute: str, name: str) -> Mapping[str, Any] | None:  # noqa: ANN401
    if attribute not in file.attrs:
        return None
    try:
        value = json.loads(_text(file.attrs[attribute]))
    except ValueError as error:
        raise InputError(f"{name} is damaged: its {attribute} is no JSON") from error
    if not isinstance(value, dict):
        raise InputError(f"{name} is damaged: its {attribute} is {type(value).__name__}, not an object")
    return value


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _version(stored: str | bytes) -> tuple[int, int]:
    """Major and minor version; (0, 0) if the file does not contain it, as before Keras 2."""
    found = re.match(r"(\d+)\.(\d+)", _text(stored))
    return (int(found[1]), int(found[2])) if found else (0, 0)
