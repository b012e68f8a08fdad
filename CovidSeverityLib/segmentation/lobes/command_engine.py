"""Lobes by a segmenter that the user has installed, run as a child process.

A JSON file (:func:`read_lobe_command`) tells its command line and which label or file is which lobe. There is no shell.
The result is brought onto the CT's grid by its own geometry, whatever its axes and its spacing.
"""

from __future__ import annotations

import glob
import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.types import Lobe

from .external_lobes import checked_lobes
from .values import LobeSegmentation

if TYPE_CHECKING:
    import SimpleITK as sitk

SCHEMA_VERSION = 1

LIMIT_S = 3600.0
"""Time limit unless the file has another, seconds: five times what TotalSegmentator and MOOSE take for a chest on a
processor (about 12 minutes)."""

SHOWN_LINES = 3
"""Last lines of what a segmenter wrote that an error shows."""

_FIELDS = ("schema_version", "name", "command", "lobes", "input", "result", "install", "limit_s")


@dataclass(frozen=True)
class LobeCommand:
    """How a segmenter is called, and what its labels mean; a :class:`~.values.LobeSegmentation` from a CT.

    Parameters
    ----------
    name : str
        Name of the segmenter, for messages and reports.
    command : tuple of str
        Program and arguments. In each, ``{input}`` stands for the CT's file (NIfTI), ``{folder}`` for the temporary
        folder and ``{output}`` for the path ``output`` in it, which does not exist yet.
    lobes : mapping of Lobe to int or str
        Of each lobe its label in ``result``, or the file of its mask in ``{output}``.
    input : str
        Path of the CT's file in the temporary folder.
    result : str
        Pattern of the one file with all labels, in the temporary folder; only for labels.
    install : str
        How to get the program, as an end of a sentence.
    limit_s : float
        Time limit, seconds.
    """

    name: str
    command: tuple[str, ...]
    lobes: Mapping[Lobe, int | str]
    input: str = "ct.nii.gz"
    result: str = "output*"
    install: str = "install it, or name its full path in the file"
    limit_s: float = LIMIT_S

    def as_dict(self) -> dict[str, Any]:
        """Values for JSON; :func:`lobe_command_from` is the inverse."""
        return {
            "schema_version": SCHEMA_VERSION,
            "name": self.name,
            "command": list(self.command),
            "lobes": {lobe.name: self.lobes[lobe] for lobe in Lobe},
            "input": self.input,
            "result": self.result,
            "install": self.install,
            "limit_s": self.limit_s,
        }

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as its values."""
        return lobe_command_from, (self.as_dict(), self.name)

    def program(self) -> str:
        """Path of the program.

        Raises
        ------
        InputError
            If it is not installed.
        """
        found = shutil.which(self.command[0])
        if found is None:
            raise InputError(f"{self.name} is not installed ({self.command[0]} is not found); {self.install}")
        return found

    def __call__(self, volume: CtVolume) -> LobeSegmentation:
        """The lobes of ``volume``.

        Raises
        ------
        InputError
            If the program is not installed, fails, takes too long or writes no usable lobes.
        """
        program = self.program()
        with tempfile.TemporaryDirectory(prefix="covid-severity-", ignore_cleanup_errors=True) as name:
            folder = Path(name).resolve()
            given = folder / self.input
            given.parent.mkdir(parents=True, exist_ok=True)
            _write(volume.to_image(), given)
            places = {"{input}": str(given), "{folder}": str(folder), "{output}": str(folder / "output")}
            self._run([program, *(_filled(word, places) for word in self.command[1:])], folder)
            labels = self._labels(folder, volume)
        return checked_lobes(labels, volume, f"of {self.name}", self.name)

    def _run(self, words: list[str], folder: Path) -> None:
        with (folder / "messages.txt").open("w+b") as messages:
            try:
                child = subprocess.Popen(
                    words, cwd=folder, stdin=subprocess.DEVNULL, stdout=messages, stderr=subprocess.STDOUT
                )
            except OSError as error:
                raise InputError(f"{self.name} cannot be started: {error.strerror or error}") from error
            try:
                status = child.wait(self.limit_s)
            except subprocess.TimeoutExpired as error:
                raise InputError(f"{self.name} was stopped after {self.limit_s:g} s, its time limit") from error
            finally:
                _end(child)
            if status:
                messages.seek(0)
                lines = messages.read().decode(errors="replace").split("\n")
                said = " / ".join([line.strip() for line in lines if line.strip()][-SHOWN_LINES:])
                raise InputError(f"{self.name} failed with status {status}{f': {said}' if said else ''}")

    def _labels(self, folder: Path, volume: CtVolume) -> NDArray[np.uint8]:
        """(K, J, I) uint8 of :class:`Lobe`."""
        labels = np.zeros(volume.hu.shape, dtype=np.uint8)
        values = {lobe: value for lobe, value in self.lobes.items() if isinstance(value, int)}
        if values:
            found = self._read(folder, self.result, volume)
            for lobe, value in values.items():
                labels[found == value] = lobe
        for lobe, file in self.lobes.items():
            if isinstance(file, str):
                labels[self._read(folder / "output", glob.escape(file), volume) != 0] = lobe
        return labels

    def _read(self, folder: Path, pattern: str, volume: CtVolume) -> NDArray:
        """(K, J, I) labels of the one file, at the places of the CT's voxels."""
        import SimpleITK as sitk

        files = sorted(path for path in folder.glob(pattern) if path.is_file())
        if len(files) != 1:
            seen = "no file" if not files else f"{len(files)} files"
            raise InputError(f"{self.name} ended without an error, but wrote {seen} {pattern}")
        try:
            image = sitk.ReadImage(str(files[0]))
        except RuntimeError as error:
            raise InputError(f"{files[0].name} of {self.name} cannot be read as an image") from error
        if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
            raise InputError(f"{files[0].name} of {self.name} is no label map with one number a voxel")
        there = sitk.Resample(image, volume.to_image(), sitk.Transform(), sitk.sitkNearestNeighbor, 0.0)
        return volume.storage.to_canonical(sitk.GetArrayFromImage(there))


def read_lobe_command(path: str | Path) -> LobeCommand:
    """A segmenter from its JSON file.

    Parameters
    ----------
    path : str or Path
        The file; docs/inputs.md describes it.

    Raises
    ------
    InputError
        If the file is missing or damaged, or tells something else.
    """
    path = Path(path)
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"the description of a segmenter {path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"{path.name} is no JSON: {error}") from error
    return lobe_command_from(stored, path.name)


def lobe_command_from(values: Any, what: str) -> LobeCommand:  # noqa: ANN401 (anything that JSON holds)
    """A segmenter from the values of its JSON file, which messages call ``what``.

    Raises
    ------
    InputError
        If a value is missing, unknown or of the wrong kind.
    """

    def need(holds: bool, sentence: str) -> None:
        if not holds:
            raise InputError(f"{what} describes no segmenter: {sentence}")

    need(isinstance(values, dict), "an object of JSON is needed")
    strange = [name for name in values if name not in _FIELDS]
    need(not strange, f"there is no field {(strange or [''])[0]!r}; fields are {', '.join(_FIELDS)}")
    version = values.get("schema_version")
    need(version == SCHEMA_VERSION, f"schema_version is {version!r}; this program reads {SCHEMA_VERSION}")
    words, lobes = values.get("command"), values.get("lobes")
    texts = {key: values[key] for key in ("name", "input", "result", "install") if key in values}
    need("name" in texts, "name is missing")
    for key, text in texts.items():
        need(isinstance(text, str) and bool(text.strip()), f"{key} is {text!r}; a text is needed")
    for key in ("input", "result"):
        parts = Path(texts.get(key, "x")).parts
        need(not Path(texts.get(key, "x")).is_absolute() and ".." not in parts, f"{key} leaves the temporary folder")
    need(
        isinstance(words, list) and bool(words) and all(isinstance(word, str) and word for word in words),
        f"command is {words!r}; a list of texts is needed, the program first",
    )
    need(
        isinstance(lobes, dict) and set(lobes) == {lobe.name for lobe in Lobe},
        f"lobes needs a label or a file for each of {', '.join(lobe.name for lobe in Lobe)}",
    )
    kinds = {type(value) for value in lobes.values()}
    need(
        kinds in ({int}, {str}) and len(set(lobes.values())) == len(Lobe) and 0 not in lobes.values(),
        "lobes are five different labels above 0, or five different files",
    )
    limit = values.get("limit_s", LIMIT_S)
    need(type(limit) in (int, float) and 0 < limit < float("inf"), f"limit_s is {limit!r}; seconds above 0 are needed")
    return LobeCommand(
        command=tuple(words),
        lobes=MappingProxyType({lobe: lobes[lobe.name] for lobe in Lobe}),
        limit_s=float(limit),
        **texts,
    )


_STRUCTURES = {
    Lobe.RUL: "lung_upper_lobe_right",
    Lobe.RML: "lung_middle_lobe_right",
    Lobe.RLL: "lung_lower_lobe_right",
    Lobe.LUL: "lung_upper_lobe_left",
    Lobe.LLL: "lung_lower_lobe_left",
}

PRESETS: Mapping[str, LobeCommand] = {
    "totalsegmentator": LobeCommand(
        "TotalSegmentator",
        ("TotalSegmentator", "-i", "{input}", "-o", "{output}", "--roi_subset", *_STRUCTURES.values()),
        MappingProxyType({lobe: f"{structure}.nii.gz" for lobe, structure in _STRUCTURES.items()}),
        install="pip install TotalSegmentator gets it, into an environment of its own, whose folder belongs in PATH",
    ),
    "moose": LobeCommand(
        "MOOSE",
        ("moosez", "-d", "{folder}", "-m", "clin_ct_lungs"),
        MappingProxyType({Lobe.LUL: 1, Lobe.LLL: 2, Lobe.RUL: 3, Lobe.RML: 4, Lobe.RLL: 5}),
        input="chest/CT_chest.nii.gz",
        result="chest/**/segmentations/*.nii*",
        install="pip install moosez gets it, into an environment of its own, whose folder belongs in PATH",
    ),
}
"""Segmenters whose command line and labels are known: TotalSegmentator 2 (one mask a structure), MOOSE 2 and 3."""


def _filled(word: str, places: Mapping[str, str]) -> str:
    for name, place in places.items():
        word = word.replace(name, place)
    return word


def _write(image: sitk.Image, path: Path) -> None:
    import SimpleITK as sitk

    sitk.WriteImage(image, str(path))


def _end(child: subprocess.Popen[bytes]) -> None:
    """Stop a child that still runs, with the children that it has started."""
    import psutil

    if child.poll() is not None:
        return
    try:
        processes = [*psutil.Process(child.pid).children(recursive=True), psutil.Process(child.pid)]
    except psutil.NoSuchProcess:
        return
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    child.wait()
