"""The headers of NIfTI-1, NIfTI-2 and Analyze 7.5, in one file or in two, read by nibabel.

nibabel parses the fields. They are checked here, because nibabel repairs headers silently, or with messages on the
terminal.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.types import Geometry, NoteSeverity, QualityNote

from .affine import (
    SAME_GRID_MM,
    check_lengths,
    contradiction,
    corners_apart_mm,
    edges_of,
    geometry_of,
    orientation_unknown,
    same_edges,
)
from .extent import check_voxel_edges, edges_text, settle_unit
from .image_header import ImageHeader, volume_size
from .voxels import Encoding, VoxelSource, first_bytes, is_gzip

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header
    from nibabel.spm99analyze import Spm99AnalyzeHeader

NIFTI_1_BYTES, NIFTI_2_BYTES = 348, 540
NIFTI_1_MAGIC_AT, NIFTI_2_MAGIC_AT = 344, 4
EXTENSION_FLAG_BYTES = 4
"""Layout of the headers (nifti.nimh.nih.gov). In a single file the image begins after the extension flag or later."""

UNITS_MM = {1: 1e3, 3: 1e-3}
"""Length of the units metre and micrometre by their code, mm. Code 2 is mm; without a code the unit is mm."""

UNIT_BITS = 0b111
"""Bits of xyzt_units with the unit of length."""

RAS_TO_LPS = np.array([[-1.0], [-1.0], [1.0], [1.0]])
"""Signs of the rows of a matrix."""

ANALYZE_AXES = np.array([1.0, -1.0, 1.0])
"""Signs of the axes of Analyze 7.5 in LPS: to the left, to the front and to the head (its orient code 0)."""

QUATERNION_TOLERANCE = 1e-2
"""Largest excess of the vector of a quaternion over length 1: some headers have two digits."""

PAIR_ENDINGS = {".hdr": (".img", ".img.gz"), ".img": (".hdr", ".hdr.gz")}
"""Endings of the other half of a pair."""


def read_nifti_header(path: Path) -> ImageHeader:
    """Read the header of ``path``; for a pair, either half can be given.

    Raises
    ------
    InputError
        The file is not NIfTI or Analyze, not a 3-D volume with one number per voxel, or has a contradictory geometry.
    """
    head = path if path.suffix.lower() != ".img" else other_half(path)
    if head is None:
        raise InputError(f"{path.name} is half of a pair; {path.stem}.hdr, its header, is not there")
    block = first_bytes(head, NIFTI_2_BYTES)
    fields, magic = _parsed(block, head)
    rank = int(fields["dim"][0])
    if not 1 <= rank <= 7:
        raise InputError(f"the header of {path.name} gives its image {rank} dimensions; 3 are needed")
    dim = [int(n) for n in fields["dim"][1 : rank + 1]]
    sizes = dim[:3] + [max(n, 1) for n in dim[3:]]  # some writers leave the sizes after the third at 0
    dtype = _dtype(fields, path.name)
    channels = len(dtype.names or ("",))
    size = volume_size(sizes, channels, path.name, is_complex=dtype.kind == "c")
    source = _source(head, path, fields, magic, size, dtype)
    place = _place if magic else _place_of_analyze
    geometry, notes = place(fields, size, path.name)
    slope, inter = _scale(fields, path.name)
    return ImageHeader(source, geometry, slope, inter, notes)


def begins_as_nifti(head: bytes) -> bool:
    """Whether the first 348 bytes of a file, decompressed, are those of NIfTI-1 or NIfTI-2 in one file."""
    return head[NIFTI_1_MAGIC_AT:][:4] == b"n+1\0" or head[NIFTI_2_MAGIC_AT:][:4] == b"n+2\0"


def other_half(path: Path) -> Path | None:
    """Return the other half of ``path``, a .hdr or a .img; None if it does not exist."""
    endings = PAIR_ENDINGS.get(path.suffix.lower(), ())
    names = [path.stem + form(ending) for ending in endings for form in (str.lower, str.upper)]
    return next((path.with_name(name) for name in names if path.with_name(name).is_file()), None)


def _parsed(block: bytes, head: Path) -> tuple[Nifti1Header | Spm99AnalyzeHeader, bytes]:
    """Return the fields of a header, and the first two letters of its magic: n+, ni or, for Analyze 7.5, none."""
    from nibabel.nifti1 import Nifti1Header, Nifti1PairHeader
    from nibabel.nifti2 import Nifti2Header
    from nibabel.spm99analyze import Spm99AnalyzeHeader

    one, two = block[NIFTI_1_MAGIC_AT:][:3], block[NIFTI_2_MAGIC_AT:][:3]
    if two in (b"n+2", b"ni2") and len(block) == NIFTI_2_BYTES:
        return Nifti2Header(block, check=False), two[:2]
    block = block[:NIFTI_1_BYTES]
    if one in (b"n+1", b"ni1") and len(block) == NIFTI_1_BYTES:
        return (Nifti1Header if one == b"n+1" else Nifti1PairHeader)(block, check=False), one[:2]
    own_size = NIFTI_1_BYTES in (int.from_bytes(block[:4], order) for order in ("little", "big"))
    if head.suffix.lower() == ".hdr" and own_size and len(block) == NIFTI_1_BYTES:
        return Spm99AnalyzeHeader(block, check=False), b""
    kind = "NIfTI or Analyze" if head.suffix.lower() == ".hdr" else "NIfTI"
    raise InputError(f"{head.name} is not a {kind} file, or is cut short before its image")


def _dtype(fields: Nifti1Header | Spm99AnalyzeHeader, name: str) -> np.dtype:
    code = int(fields["datatype"])
    try:
        dtype = fields.get_data_dtype()
    except KeyError as error:
        raise InputError(
            f"{name} has voxels of the type {code}, which is none; integers or floats are needed"
        ) from error
    if dtype.kind == "V" and dtype.names is None:
        raise InputError(f"{name} has voxels of the type {code}; integers or floats are needed")
    return dtype


def _source(
    head: Path,
    path: Path,
    fields: Nifti1Header | Spm99AnalyzeHeader,
    magic: bytes,
    size: tuple[int, int, int],
    dtype: np.dtype,
) -> VoxelSource:
    data, least = head, len(fields.binaryblock) + EXTENSION_FLAG_BYTES
    if head.suffix.lower() == ".hdr" and magic != b"n+":
        data, least = path if path != head else other_half(head), 0
        if data is None:
            raise InputError(f"{head.name} is half of a pair; {head.stem}.img, its image, is not there")
    offset = float(fields["vox_offset"])
    if not math.isfinite(offset):
        raise InputError(f"the header of {path.name} has its image begin at byte {offset}; a number is needed")
    encoding = Encoding.DEFLATE if is_gzip(data) else Encoding.RAW
    return VoxelSource((data,), size, dtype, encoding, skip=max(int(offset), least))


def _scale(fields: Nifti1Header | Spm99AnalyzeHeader, name: str) -> tuple[float, float]:
    from nibabel.spatialimages import HeaderDataError

    try:
        slope, inter = fields.get_slope_inter()
    except HeaderDataError as error:
        raise InputError(f"the header of {name} has an intercept (scl_inter) that is no number") from error
    return (1.0 if slope is None else float(slope)), (0.0 if inter is None else float(inter))


def _place(
    fields: Any,  # noqa: ANN401 (nibabel's headers are typed as NumPy's void)
    size: tuple[int, int, int],
    name: str,
) -> tuple[Geometry, tuple[QualityNote, ...]]:
    """Return the geometry of the voxels, from the sform or the qform, and notes about it.

    If both are given and agree, the sform is used, as in most readers.
    """
    forms = _forms(fields, name)
    unit_mm = UNITS_MM.get(int(fields["xyzt_units"]) & UNIT_BITS, 1.0)
    pixdim = np.array(fields["pixdim"][1:4], dtype=float)
    if not forms:
        factor, notes = settle_unit(pixdim, unit_mm)
        check_voxel_edges(pixdim * factor, name)
        geometry, more = geometry_of(np.diag([*pixdim * factor, 1.0]), size, name)
        return geometry, (*notes, *more, orientation_unknown())
    placed, notes = {}, ()
    for form, matrix in forms.items():
        factor, said = settle_unit(edges_of(matrix, name), unit_mm)
        matrix *= RAS_TO_LPS
        matrix[:3] *= factor
        placed[form], more = geometry_of(matrix, size, name)
        notes = notes or (*said, *more)
    if len(placed) == 2:
        notes = (*notes, *_agreement(placed["sform"], placed["qform"], name))
    elif "sform" in placed:
        notes = (*notes, *_spacing_agreement(placed["sform"], pixdim * factor, name))
    return next(iter(placed.values())), notes


def _forms(fields: Any, name: str) -> dict[str, NDArray[np.float64]]:  # noqa: ANN401
    """Return the matrices to RAS, in the unit of the file, of the forms with a code other than 0; the sform first."""
    forms = {}
    if int(fields["sform_code"]) > 0:
        forms["sform"] = np.array(fields.get_sform(), dtype=float)
    if int(fields["qform_code"]) > 0:
        numbers = [
            float(fields[f"{kind}_{n}"]) for kind, axes in (("quatern", "bcd"), ("qoffset", "xyz")) for n in axes
        ]
        pixdim = fields["pixdim"][1:4]
        check_lengths([*numbers, *pixdim], name)
        if min(pixdim) <= 0:
            raise InputError(f"the header of {name} has voxels of {edges_text(pixdim)} mm; positive numbers are needed")
        length = math.hypot(*numbers[:3])
        if length > 1 + QUATERNION_TOLERANCE:
            text = ", ".join(f"{v:g}" for v in numbers[:3])
            raise InputError(f"the qform of {name} is no rotation (quaternion {text}); correct the header")
        for axis in "bcd":
            fields[f"quatern_{axis}"] /= max(length, 1)
        fields["pixdim"][0] = -1 if fields["pixdim"][0] < 0 else 1  # 0 means 1
        forms["qform"] = np.array(fields.get_qform(), dtype=float)
    return forms


def _agreement(sform: Geometry, qform: Geometry, name: str) -> tuple[QualityNote, ...]:
    said = contradiction(sform, qform, ("sform", "qform"))
    if said:
        raise InputError(f"the sform and the qform of {name} contradict each other: {said}; correct the header")
    apart = corners_apart_mm(sform, qform)
    if apart <= SAME_GRID_MM:
        return ()
    message = f"the sform and the qform of the file place its corners up to {apart:.1f} mm apart; the sform was used"
    return (QualityNote("forms_apart", NoteSeverity.INFO, message),)


def _spacing_agreement(sform: Geometry, pixdim: NDArray, name: str) -> tuple[QualityNote, ...]:
    """Compare the sform with pixdim, which must have the same spacing; 0, or only 1, means an empty field."""
    if same_edges(sform.spacing_mm, pixdim) or not (pixdim > 0).all():
        return ()
    if not (pixdim == 1).all():
        raise InputError(
            f"the sform and the pixdim of {name} contradict each other: by the sform its voxels are "
            f"{edges_text(sform.spacing_mm)} mm large, by pixdim {edges_text(pixdim)} mm; correct the header"
        )
    message = (
        f"pixdim in the header of the file is 1; voxels of {edges_text(sform.spacing_mm)} mm, of its sform, were taken"
    )
    return (QualityNote("spacing_of_sform", NoteSeverity.WARNING, message),)


def _place_of_analyze(
    fields: Any,  # noqa: ANN401
    size: tuple[int, int, int],
    name: str,
) -> tuple[Geometry, tuple[QualityNote, ...]]:
    pixdim = np.array(fields["pixdim"][1:4], dtype=float)
    check_voxel_edges(pixdim, name)
    geometry, notes = geometry_of(np.diag([*pixdim * ANALYZE_AXES, 1.0]), size, name)
    return geometry, (*notes, orientation_unknown("to the left, to the front and to the head"))
