"""``analysis.npz``: a complete analysis that can be loaded again.

It is an archive of NumPy arrays without pickles. The array ``content`` is a JSON text with every other field; it
contains the names of the arrays in the archive.
"""

from __future__ import annotations

import hashlib
import json
import types
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.findings import Findings
from CovidSeverityLib.immutable import frozen
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.types import Progress

from .files import ANALYSIS_NAME, ReportPages, write_results
from .output_folder import check_output_folder

T = TypeVar("T", bound=Findings)

FORMAT = 1
"""Version of the format. It changes if a field of a saved value is renamed, removed or gets another meaning."""

CT_ARRAY, CONTENT = "hu", "content"
"""Names in the archive. The other arrays are ``array_1`` and so on."""

ARRAY = "ndarray"
"""In the text an array is a mapping from this key to its name."""

Arrays = dict[str, NDArray]


def save_analysis(
    analysis: Findings, folder: Path, *, with_ct: bool, pages: ReportPages, progress: Progress | None = None
) -> tuple[Path, ...]:
    """Write every file of a result and ``analysis.npz``; see :meth:`Analysis.save`."""
    check_output_folder(folder)
    archive = {ANALYSIS_NAME: lambda path: _write(analysis, path, with_ct)}
    return write_results(analysis, folder, progress, pages=pages, extra=archive)


def load_analysis(kind: type[T], folder: Path, ct: CtVolume | None = None) -> T:
    """Read ``analysis.npz``; see :meth:`Analysis.load`."""
    path = folder / ANALYSIS_NAME
    if not path.is_file():
        raise InputError(f"{folder} holds no {ANALYSIS_NAME}; Analysis.save writes one")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        content = json.loads(arrays.pop(CONTENT).item())
        if content["format"] != FORMAT:
            raise InputError(f"{path.name} is of format {content['format']}; this version reads format {FORMAT}")
        arrays[CT_ARRAY] = _voxels(arrays, content["hu_sha256"], ct, path.name)
        return _decoded(content["analysis"], kind, arrays)
    except (KeyError, ValueError, TypeError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path.name} is damaged or was written by another program ({error})") from error


def _write(analysis: Findings, path: Path, with_ct: bool) -> None:
    hu = analysis.volume.hu
    arrays: Arrays = {CT_ARRAY: hu}
    content = {"format": FORMAT, "hu_sha256": _sha256(hu), "analysis": _encoded(analysis, arrays)}
    if not with_ct:
        del arrays[CT_ARRAY]
    arrays[CONTENT] = np.array(json.dumps(content))
    np.savez_compressed(path, allow_pickle=False, **arrays)


def _voxels(arrays: Arrays, sha256: str, ct: CtVolume | None, name: str) -> NDArray[np.int16]:
    """The CT's voxels, from the archive or from ``ct``."""
    hu = arrays.get(CT_ARRAY) if ct is None else ct.hu
    if hu is None:
        raise InputError(f"{name} was saved without its CT; Analysis.load(folder, ct=read_ct(...)) needs it")
    if _sha256(hu) != sha256:
        raise InputError(f"the voxels of {'the CT in ' + name if ct is None else 'this CT'} are not those analysed")
    return hu


def _sha256(hu: NDArray[np.int16]) -> str:
    return hashlib.sha256(np.ascontiguousarray(hu).astype("<i2", copy=False).data).hexdigest()


def _encoded(value: Any, arrays: Arrays) -> Any:  # noqa: ANN401 (any field)
    """``value`` as a value for JSON; its arrays are added to ``arrays``."""
    if isinstance(value, np.ndarray):
        name = next((name for name, array in arrays.items() if array is value), f"array_{len(arrays)}")
        arrays[name] = value
        return {ARRAY: name}
    if is_dataclass(value):
        return {field.name: _encoded(getattr(value, field.name), arrays) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(_encoded(key, arrays)): _encoded(item, arrays) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_encoded(item, arrays) for item in value]
    return value.value if isinstance(value, Enum) else value


def _decoded(value: Any, hint: Any, arrays: Arrays) -> Any:  # noqa: ANN401 (any field)
    """The value of type ``hint`` that :func:`_encoded` wrote as ``value``."""
    if value is None or hint is Any:
        return frozen(value)
    if isinstance(value, dict) and value.keys() == {ARRAY}:
        return arrays[value[ARRAY]]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _decoded(value, next(option for option in arguments if option is not type(None)), arrays)
    if isinstance(hint, type) and is_dataclass(hint):
        hints = get_type_hints(hint)
        return hint(**{name: _decoded(item, hints[name], arrays) for name, item in value.items()})
    if origin is tuple:
        kinds = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        return tuple(_decoded(item, kind, arrays) for item, kind in zip(value, kinds, strict=True))
    if origin is not None and issubclass(origin, Mapping):
        return {_decoded_key(key, arguments[0]): _decoded(item, arguments[1], arrays) for key, item in value.items()}
    return hint(value) if isinstance(hint, type) and issubclass(hint, Enum) else value


def _decoded_key(key: str, hint: type) -> Any:  # noqa: ANN401 (a text or an Enum)
    return hint(int(key)) if issubclass(hint, int) else key
