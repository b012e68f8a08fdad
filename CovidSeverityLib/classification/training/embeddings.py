"""Features of every slice from a frozen backbone, computed once and kept in the cache."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.errors import OutputError
from CovidSeverityLib.types import Progress

from .examples import CaseSlices, ImageExamples, VectorExamples
from .feeding import predict

STAGE = "embeddings"
"""Name of this stage in progress calls."""

EMBEDDING_ENDING = ".npy"


def compute_embeddings(
    backbone: Any,  # noqa: ANN401 - keras.Model
    versions: Sequence[ImageExamples],
    cache: Path,
    batch_size: int,
    progress: Progress | None = None,
) -> tuple[VectorExamples, ...]:
    """The backbone's mean for every image, CT by CT; cached values are not computed again.

    Parameters
    ----------
    backbone : any
        From (n, size, size, 3) images to (n, features).
    versions : sequence of ImageExamples
        Images, and changed images.
    cache : Path
        Existing folder.
    batch_size : int
        Images per batch.
    progress : Progress, optional
        Called with stage "embeddings" as CTs are done.

    Raises
    ------
    OutputError
        If nothing can be written to ``cache``.
    """
    mark = model_mark(backbone)
    total, done = sum(len(examples.cases) for examples in versions), 0
    embedded = []
    for examples in versions:
        vectors = []
        for case, images in zip(examples.cases, examples.images, strict=True):
            if progress is not None:
                progress(STAGE, done, total)
            done += 1
            changes = "" if examples.augmentation is None else f" {examples.augmentation} {case.name}"
            path = cache / f"{sha256(f'{mark} {images.key}{changes}'.encode()).hexdigest()}{EMBEDDING_ENDING}"
            found = _cached(path, case)
            if found is None:
                found = predict(backbone, replace(examples, cases=(case,), images=(images,)), batch_size)
                _write(path, found)
            vectors.append(found)
        embedded.append(VectorExamples(examples.cases, np.concatenate(vectors)))
    if progress is not None:
        progress(STAGE, total, total)
    return tuple(embedded)


def model_mark(model: Any) -> str:  # noqa: ANN401
    """A checksum of the layers of a network with their settings, and of its weights."""
    digest = sha256(_settings(model).encode())
    for variable in model.weights:
        digest.update(variable.numpy().tobytes())
    return digest.hexdigest()


def _settings(model: Any) -> str:  # noqa: ANN401
    """The kinds and settings of the layers, without their names, whose numbers increase in a process."""

    def flat(layers: Iterable[Any]) -> list[Any]:
        return [part for layer in layers for part in (flat(layer.layers) if hasattr(layer, "layers") else [layer])]

    facts = [(type(layer).__name__, layer.get_config() | {"name": ""}) for layer in flat(model.layers)]
    return json.dumps([facts, list(model.input_shape)], sort_keys=True, default=str)


def _cached(path: Path, case: CaseSlices) -> NDArray[np.float32] | None:
    try:
        found = np.load(path)
    except (OSError, ValueError, EOFError):
        return None
    return found if len(found) == case.count else None


def _write(path: Path, vectors: NDArray[np.float32]) -> None:
    trial = path.with_suffix(".new")
    try:
        with trial.open("wb") as file:
            np.save(file, vectors)
        trial.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write embeddings to {path.parent}: {error.strerror or error}") from error
    finally:
        trial.unlink(missing_ok=True)


def joined(parts: Sequence[CaseSlices], of: VectorExamples) -> VectorExamples:
    """The examples of the given cases."""
    ends = np.cumsum([case.count for case in of.cases])
    rows = {case.name: slice(int(end) - case.count, int(end)) for case, end in zip(of.cases, ends, strict=True)}
    return VectorExamples(tuple(parts), np.concatenate([of.vectors[rows[case.name]] for case in parts]))
