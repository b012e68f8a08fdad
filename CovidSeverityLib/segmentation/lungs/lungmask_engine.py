"""Lungs and lobes by lungmask's U-Nets (Hofmanninger 2020, doi 10.1186/s41747-020-00173-2), where it is installed.

The package comes with the extra ``lungmask``; its weights are a file that the user has, for example from
``covid-severity models download lungmask-r231``. Nothing is downloaded here, and a file is opened only when its SHA-256
is the one that it should have. The networks run on the processor.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.checked import known
from CovidSeverityLib.checksums import sha256_of
from CovidSeverityLib.errors import InputError, NoLungsError
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.types import Side

from .config import FieldOfViewConfig
from .lung_segmentation import LungSegmentation, field_of_view_notes

INSTALL = 'pip install "covid-severity[lungmask]"'

HUB_FOLDER = Path("~/.cache/torch/hub/checkpoints")
"""Where lungmask itself keeps what it has downloaded."""

SUM_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.pth?$")
"""PyTorch's convention: the name of a weights file ends in the first digits (8 and more) of its SHA-256."""


@dataclass(frozen=True)
class PublishedModel:
    """A network of lungmask: its names for lungmask and for the models of this program, its file and the number of its
    classes with background."""

    name: str
    model: str
    file: str
    classes: int


R231 = PublishedModel("R231", "lungmask-r231", "unet_r231-d5d2fc3d.pth", 1 + len(Side))
R231_COVID = PublishedModel("R231CovidWeb", "lungmask-covid", "unet_r231covid-0de78a7e.pth", 1 + len(Side))
LTRC_LOBES = PublishedModel("LTRCLobes", "lungmask-lobes", "unet_ltrclobes-3a07043d.pth", 6)


class LungmaskEngine:
    """lungmask's R231 or R231CovidWeb as a :class:`~.lungs.LungSegmenter`.

    Parameters
    ----------
    weights : path, optional
        File of the weights; the one that lungmask has downloaded earlier if left out.
    sha256 : str, optional
        Hexadecimal sum of the file, 8 digits of it or more; the one in its name, or the published one, if left out.
    config : FieldOfViewConfig
        Which lungs are too small or cut off.
    model : PublishedModel
        :data:`R231` or :data:`R231_COVID`.

    Raises
    ------
    InputError
        If lungmask or the file is missing, or the file's sum is another.
    """

    def __init__(
        self,
        weights: Path | str | None = None,
        sha256: str | None = None,
        config: FieldOfViewConfig = FieldOfViewConfig(),
        model: PublishedModel = R231,
    ) -> None:
        self._weights = checked_weights(model, weights, sha256)
        self._config = config
        self._model = model

    @property
    def weights(self) -> Path:
        """The checked file of its weights."""
        return self._weights

    def __call__(self, volume: CtVolume) -> LungSegmentation:
        """Find the lungs of ``volume``.

        Raises
        ------
        NoLungsError
            If the network finds none.
        InputError
            If the weights are not those of such a network.
        """
        labels = _infer(self._model, self._weights, volume)
        found_ml = float(np.count_nonzero(labels)) * volume.geometry.voxel_ml
        if found_ml < self._config.smallest_lungs_ml:
            raise NoLungsError(
                f"no lungs found in {volume.name or 'the volume'}: lungmask marks {found_ml:.0f} ml, "
                f"at least {self._config.smallest_lungs_ml:.0f} ml are expected in a chest CT"
            )
        notes = field_of_view_notes(labels, self._config)
        return LungSegmentation(labels, f"lungmask {self._model.name} ({self._weights.name})", notes)


def lungmask_lobes(volume: CtVolume, weights: Path | str | None = None, sha256: str | None = None) -> NDArray[np.uint8]:
    """Lobes by lungmask's LTRCLobes, in its own labels, for
    :func:`~CovidSeverityLib.segmentation.lobes.external_lobes.lobes_from_labels`.

    Parameters
    ----------
    volume : CtVolume
        Chest CT in Hounsfield units.
    weights, sha256 : path and str, optional
        As for :class:`LungmaskEngine`.

    Returns
    -------
    (K, J, I) ndarray of uint8
        1 left upper, 2 left lower, 3 right upper, 4 middle, 5 right lower lobe.

    Raises
    ------
    InputError
        If lungmask or the file is missing, the file's sum is another, or it holds another network.
    """
    return _infer(LTRC_LOBES, checked_weights(LTRC_LOBES, weights, sha256), volume)


def checked_weights(model: PublishedModel, weights: Path | str | None, sha256: str | None) -> Path:
    """The weights file of ``model``, once the package, the file and its sum are checked.

    Parameters
    ----------
    model : PublishedModel
        The network.
    weights, sha256 : path and str, optional
        As for :class:`LungmaskEngine`.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        As :class:`LungmaskEngine`, with the command that corrects it.
    """
    if find_spec("lungmask") is None or find_spec("torch") is None:
        raise InputError(f"lungmask is not installed; {INSTALL} installs it")
    path = (HUB_FOLDER / model.file if weights is None else Path(weights)).expanduser()
    if not path.is_file():
        raise InputError(
            f"no weights of lungmask's {model.name} at {path}; "
            f"covid-severity models download {model.model} fetches them"
        )
    named = SUM_IN_NAME.search(path.name)
    expected = (sha256 or known(named or SUM_IN_NAME.search(model.file))[1]).lower()
    found = sha256_of(path)
    if len(expected) < 8 or not found.startswith(expected):
        raise InputError(
            f"weights {path.name} have the SHA-256 {found}, expected {expected}...: the file is damaged or another; "
            f"covid-severity models download {model.model} fetches the published one"
        )
    return path


def _infer(model: PublishedModel, weights: Path, volume: CtVolume) -> NDArray[np.uint8]:
    """(K, J, I) uint8 labels of the network; its axes are those of the library."""
    with _silence():
        from lungmask import LMInferer  # pyright: ignore[reportMissingImports] (an extra)

        inferer = _loaded(LMInferer, model, weights)
        return np.asarray(inferer.apply(np.array(volume.hu)), dtype=np.uint8)


def _loaded(inferer: Any, model: PublishedModel, weights: Path) -> Any:  # noqa: ANN401 - a class of an optional package
    try:
        loaded = inferer(modelpath=str(weights), force_cpu=True, tqdm_disable=True)
    except Exception as error:  # whatever PyTorch makes of a file that is no such state
        raise InputError(f"weights {weights.name} cannot be read as a network of lungmask: {error}") from error
    classes = loaded.model.last.out_channels
    if classes != model.classes:
        raise InputError(
            f"weights {weights.name} tell {classes} classes apart; lungmask's {model.name} has {model.classes}"
        )
    return loaded


@contextmanager
def _silence() -> Iterator[None]:
    """lungmask logs to standard output and changes the warning filters when it is imported. Both are undone here."""
    logger = logging.getLogger("lungmask")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        was, logger.disabled = logger.disabled, True
        try:
            yield
        finally:
            logger.disabled = was
