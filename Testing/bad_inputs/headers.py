"""Headers that promise what cannot be: sizes, spacings, directions, types and files of voxels."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

import nibabel
import numpy as np

from .broken_files import _pipe
from .entry import BadInput, write_image

SIDE = 100_000
HUGE = r"would need .* of memory"
"""Sentences for a header that promises more than there is."""


def _nifti2(folder: Path) -> Path:
    header = nibabel.Nifti2Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape((SIDE, SIDE, SIDE))
    header.set_sform(np.diag([-1, -1, 1, 1]), 1)
    header["vox_offset"] = 544
    with (folder / "ct.nii").open("wb") as file:
        header.write_to(file)
        file.write(bytes(2000))
    return folder / "ct.nii"


def _nifti(changes: dict[int, bytes], folder: Path) -> Path:
    """A NIfTI-1 file with other bytes in its header, by place."""
    path = write_image(folder / "ct.nii")
    content = bytearray(path.read_bytes())
    for at, new in changes.items():
        content[at : at + len(new)] = new
    path.write_bytes(content)
    return path


def _text(ending: str, changes: dict[str, str], folder: Path) -> Path:
    """An NRRD or MetaImage file with other values in its header; one that is not there is added."""
    path = write_image(folder / f"ct.{ending}")
    content, between = path.read_bytes(), b": " if "n" in ending else b" = "
    mark = b"\n\n" if "n" in ending else b"ElementDataFile"
    at = content.index(mark) if mark in content else len(content)
    lines = content[:at].rstrip(b"\n").split(b"\n")
    for key, value in changes.items():
        new = key.encode() + between + value.encode()
        places = [n for n, line in enumerate(lines) if line.startswith(key.encode() + between.rstrip())]
        lines = [new if n in places else line for n, line in enumerate(lines)] + ([] if places else [new])
    rest = content[at:] if "n" in ending else b"\n" + content[at:]
    path.write_bytes(b"\n".join(lines) + rest)
    return path


def _detached(ending: str, data_file: str, folder: Path, prepare: Callable[[Path], object] = lambda f: None) -> Path:
    """A header whose voxels are in a file of the name ``data_file``."""
    path = write_image(folder / f"ct.{ending}")
    key = "data file: " if ending == "nhdr" else "ElementDataFile = "
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith(key.strip(" ="))]
    lines = [line for line in lines if not line.startswith(key)]
    path.write_text("\n".join([*lines, key + data_file.format(folder=folder)]) + "\n")
    prepare(folder)
    return path


def _floats(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def _sizes(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}h", *values)


NAN, INF = float("nan"), float("inf")
EDGE = r"edges of 0\.1 to 20 mm|numbers of millimetres are needed|positive numbers of mm|right angles|numbers are"
GONE = r"names the data file .*, which is not there"
NO_ROTATION = {252: _sizes(0), 254: _sizes(1)}

ENTRIES = (
    BadInput("huge-nifti", "100,000 voxels a side", _nifti2, HUGE, failure="limit"),
    BadInput(
        "huge-nrrd",
        "100,000 voxels a side",
        partial(_text, "nrrd", {"sizes": "100000 100000 100000"}),
        HUGE,
        failure="limit",
    ),
    BadInput(
        "huge-mha",
        "100,000 voxels a side",
        partial(_text, "mha", {"DimSize": "100000 100000 100000"}),
        HUGE,
        failure="limit",
    ),
    BadInput(
        "absurd-nrrd",
        "10^15 voxels a side",
        partial(_text, "nrrd", {"sizes": " ".join(["1e15"] * 3)}),
        HUGE,
        failure="limit",
    ),
    BadInput("zero-size", "no voxels", partial(_nifti, {42: _sizes(0)}), r"promises an image of"),
    BadInput("negative-size", "-48 voxels", partial(_nifti, {42: _sizes(-48)}), r"promises an image of -48"),
    BadInput(
        "words-size", "words for numbers", partial(_text, "mha", {"DimSize": "ten ten ten"}), r"numbers are needed"
    ),
    BadInput("thousand-axes", "100,000 axes", partial(_text, "mha", {"DimSize": "1 " * 100_000}), r"^.{20,400}$"),
    *(
        BadInput(
            f"spacing-{word}-nifti",
            f"{word} as spacing",
            partial(_nifti, NO_ROTATION | {280: _floats(-value, 0, 0, 0, 0, -value, 0, 0, 0, 0, value, 0)}),
            EDGE,
        )
        for word, value in (("zero", 0.0), ("nan", NAN), ("infinite", INF))
    ),
    *(
        BadInput(
            f"spacing-{word}-{ending}", f"{word} as spacing", partial(_text, ending, {key: form.format(word)}), EDGE
        )
        for ending, key, form in (
            ("mha", "ElementSpacing", "{0} {0} {0}"),
            ("nrrd", "space directions", "({0},0,0) (0,{0},0) (0,0,{0})"),
        )
        for word in ("0", "-8", "nan", "inf", "1e308", "8,0")
        if (ending, word) not in (("nrrd", "-8"), ("nrrd", "8,0"))
    ),
    BadInput("singular-nifti", "two equal axes", partial(_nifti, NO_ROTATION | {280: _floats(8, 0, 0, 0, 8)}), EDGE),
    BadInput("singular-mha", "a matrix of zeros", partial(_text, "mha", {"TransformMatrix": "0 " * 9}), EDGE),
    BadInput(
        "singular-nrrd",
        "two equal axes",
        partial(_text, "nrrd", {"space directions": "(8,0,0) (8,0,0) (0,0,13)"}),
        EDGE,
    ),
    BadInput(
        "origin-nan", "no place", partial(_text, "mha", {"Offset": "nan nan nan"}), r"numbers of millimetres are needed"
    ),
    BadInput(
        "type-unknown",
        "an unknown type",
        partial(_text, "mha", {"ElementType": "MET_QUAD"}),
        r"has the ElementType MET_QUAD",
    ),
    BadInput("complex-nifti", "complex numbers", partial(_nifti, {70: _sizes(32, 64)}), r"complex numbers"),
    BadInput("rgb-nifti", "colours", partial(_nifti, {70: _sizes(128, 24)}), r"numbers a voxel"),
    BadInput(
        "encoding-unknown",
        "unknown encoding",
        partial(_text, "nrrd", {"encoding": "zstd"}),
        r"has the encoding zstd; one of raw",
    ),
    BadInput(
        "skip-huge",
        "10^18 bytes to skip",
        partial(_text, "nrrd", {"byte skip": "1" + "0" * 18}),
        r"whole numbers are needed",
    ),
    BadInput(
        "skip-lines", "10^15 lines to skip", partial(_text, "nrrd", {"line skip": "1" + "0" * 15}), r"is cut short"
    ),
    BadInput(
        "slope-nan",
        "slope not a number",
        partial(_nifti, {112: _floats(1.0, NAN)}),
        r"has an intercept \(scl_inter\) that is no number",
    ),
    BadInput(
        "control-characters", "a terminal's commands", partial(_text, "mha", {"DimSize": "4\r4\x1b[31m"}), r"^[ -~]+$"
    ),
    *(
        BadInput(f"{ending}-{word}", what, partial(_detached, ending, name), expected)
        for ending in ("mhd", "nhdr")
        for word, what, name, expected in (
            ("missing", "no file of voxels", "gone.raw", GONE),
            ("absolute", "voxels of an absolute path that is not there", "/nowhere/ct.raw", GONE),
            ("outside", "voxels out of the folder that are not there", "../../gone.raw", GONE),
            ("itself", "its own header as voxels", f"ct.{ending}", r"is cut short, or its header is wrong"),
            ("device", "a device as voxels", "/dev/zero", GONE),
            ("folder", "a folder as voxels", ".", GONE),
            ("pattern", "a million million files", "ct%d.raw 1 1000000000000 1", r"names over 100,000 data files"),
            ("pattern-wide", "a name of gigabytes", "ct%09999999999d.raw 1 3 1", r"which is none"),
        )
    ),
    BadInput(
        "mhd-pipe",
        "a pipe as voxels",
        partial(_detached, "mhd", "ct.pipe", prepare=partial(_pipe, name="ct.pipe")),
        GONE,
    ),
)
