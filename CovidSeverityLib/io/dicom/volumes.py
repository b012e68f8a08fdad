"""Which slices of the input form a volume, and which volume is chosen.

The slices of a volume have the same patient, frame of reference, orientation, matrix, pixel spacing, slice thickness,
kernel, tube voltage and image type. If acquisitions cover the same part of the body, they also have the same
acquisition. An identifier that differs in every slice (some anonymisers do this) is ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.checked import known
from CovidSeverityLib.types import NoteSeverity, QualityNote

from .headers import SliceHeader
from .scans import Placed, scans_of, step_of

SAME_ANGLE = np.sin(np.radians(0.5))
"""Slices of one stack: largest difference of the unit vectors of their rows and columns. In files of scanners and
converters, orientations vary by a few tenths of a degree."""

SAME_PIXEL_SPACING = 1e-3
"""Slices of one stack: largest relative difference of their pixel spacing (half a millimetre over a body)."""

SAME_THICKNESS = 0.02
"""Slices of one stack: largest relative difference of their thickness (0.62 and 0.625 mm are one)."""

UNTELLING_SHARE = 0.5
"""If an identifier has more values than this share of the slices, it identifies slices and not volumes."""

WHOLE_CHEST_SHARE = 0.75
"""A volume with at least this share of the longest volume's length shows as much of the chest."""

THIN_RATIO = 1.2
"""Volumes whose slices are up to so many times as thick as the thinnest ones count as equally thin."""

LUNG_KERNEL = ("LUNG", "CHEST")
"""Names of kernels for lungs (GE, Philips, Canon); Siemens uses numbers."""

SIEMENS_LUNG_KERNELS = range(50, 81)
"""Numbers of the Siemens kernels for lungs (B50 to B80, also Br and Bl)."""

PROJECTED = {"MIP", "MINIP", "MNIP", "AVERAGE", "PROJECTION IMAGE", "VRT"}
COMPUTED = {*PROJECTED, "MPR", "CSA MPR", "CSAPARALLEL"}
"""Values of ImageType for projections over slices and for other images computed from slices. Their first value may
still be ORIGINAL."""

AXIAL_COSINE = 0.8
"""A stack is axial if the cosine of its normal and the patient's axis is at least this: up to 37 degrees of tilt."""


@dataclass(frozen=True, eq=False)
class Volume:
    """Slices of one volume, in the order of their position along the normal.

    ``extent_mm`` : from the first slice to the last. ``step_mm`` : median distance of slices, 0 for a single slice.
    """

    slices: tuple[SliceHeader, ...]
    extent_mm: float
    step_mm: float

    @property
    def first(self) -> SliceHeader:
        """The slice whose header represents all slices."""
        return self.slices[0]

    @property
    def is_original(self) -> bool:
        """Whether the slices were reconstructed from a scan and not computed from other slices."""
        types = self.first.image_type
        return not (self.first.is_capture or types[:1] == ("DERIVED",) or COMPUTED.intersection(types))

    @property
    def is_projected(self) -> bool:
        """Whether the values are a maximum or a mean over several slices."""
        return bool(PROJECTED.intersection(self.first.image_type))

    @property
    def is_axial(self) -> bool:
        """Whether the slices are axial."""
        return abs(_normal(self.first)[2]) >= AXIAL_COSINE

    @property
    def thickness_mm(self) -> float:
        """The extent of a slice along the axis: its thickness, or the distance to the next one if that is larger."""
        return max(self.step_mm, self.first.thickness_mm or 0.0)

    @property
    def has_lung_kernel(self) -> bool:
        """Whether the kernel is one for lungs."""
        kernel = self.first.kernel.upper()
        digits = "".join(c for c in kernel if c.isdigit())
        numbered = kernel[:1] in "BIQ" and len(digits) >= 2 and int(digits[:2]) in SIEMENS_LUNG_KERNELS
        return any(name in kernel for name in LUNG_KERNEL) or numbered

    def described(self) -> str:
        """Number of slices, thickness, kernel and kind."""
        parts = [f"{len(self.slices)} slices" if len(self.slices) > 1 else "1 slice"]
        if self.thickness_mm:
            parts.append(f"{self.thickness_mm:.3g} mm")
        if self.first.kernel:
            parts.append(f"kernel {self.first.kernel}")
        if not self.is_axial:
            parts.append("not axial")
        if self.first.is_capture:
            parts.append("Secondary Capture")
        elif not self.is_original:
            parts.append("/".join(self.first.image_type[:3]).lower())
        return ", ".join(parts)


CRITERIA: tuple[tuple[str, Callable[[Volume, Sequence[Volume]], bool]], ...] = (
    ("original images", lambda v, _: v.is_original),
    ("axial slices", lambda v, _: v.is_axial),
    ("more of the body", lambda v, all_: v.extent_mm >= WHOLE_CHEST_SHARE * max(o.extent_mm for o in all_)),
    (
        "thinner slices",
        lambda v, all_: (
            v.thickness_mm <= THIN_RATIO * min(o.thickness_mm for o in all_ if o.thickness_mm)
            if any(o.thickness_mm for o in all_)
            else True
        ),
    ),
    ("a kernel made for lungs", lambda v, _: v.has_lung_kernel),
    ("more slices", lambda v, all_: len(v.slices) == max(len(o.slices) for o in all_)),
)
"""The criteria by which a volume is better for the lungs, the most important one first."""


def split_volumes(headers: Sequence[SliceHeader]) -> list[Volume]:
    """Return the volumes of the slices; their order does not depend on file names.

    Parameters
    ----------
    headers : slices with position, orientation and two pixel spacings.
    """
    keys = _telling_keys(headers)
    groups: list[list[SliceHeader]] = []
    by_key: dict[Hashable, list[list[SliceHeader]]] = {}
    for header in sorted(headers, key=lambda h: (*h.tie_key, h.series_uid)):
        known = by_key.setdefault(keys(header), [])
        group = next((g for g in known if _fits(g[0], header)), None)
        if group is None:
            group = []
            known.append(group)
            groups.append(group)
        group.append(header)
    return [_volume(scan) for group in groups for scan in scans_of(group, _normal(group[0]))]


def best_first(volumes: Sequence[Volume]) -> list[tuple[Volume, str]]:
    """Return the volumes, best first, each with the criterion that makes it better than the next ones.

    Equal volumes are ordered by acquisition and UID.
    """
    ranked: list[tuple[Volume, str]] = []
    left = sorted(volumes, key=_tie_key)
    while left:
        candidates, reason = left, ""
        for name, holds in CRITERIA:
            better = [v for v in candidates if holds(v, candidates)]
            if better and len(better) < len(candidates):
                candidates, reason = better, reason or name
        ranked.append((candidates[0], reason))
        left = [v for v in left if v is not candidates[0]]
    return ranked


def _tie_key(volume: Volume) -> tuple:
    first = volume.first
    return (first.acquisition, first.acquisition_text, first.image_type, *first.tie_key, first.series_uid)


def patients_of(volumes: Iterable[Volume]) -> int:
    """Number of patients in the volumes."""
    known: list[tuple[str, ...]] = []
    for volume in volumes:
        if not any(_agree(volume.first.patient, other) for other in known):
            known.append(volume.first.patient)
    return len(known)


def volume_notes(volume: Volume) -> tuple[QualityNote, ...]:
    """Notes for the user about the kind of images."""
    if volume.first.is_capture:
        message = (
            "The images are Secondary Captures with the geometry of a CT: what was done to their values before they "
            "were captured is not known. Analyse the original series if there is one."
        )
        return (QualityNote("secondary_capture", NoteSeverity.WARNING, message),)
    if volume.is_projected:
        message = (
            f"The images are projections over slices ({'/'.join(volume.first.image_type)}), in which lung is denser "
            "(of minima less dense), so that infection and CTSS are too high (too low). Analyse the original series."
        )
        return (QualityNote("derived_images", NoteSeverity.WARNING, message),)
    return ()


def differences(volumes: Sequence[Volume]) -> str:
    """Text about the fields in which the volumes differ."""
    fields: tuple[tuple[str, Callable[[Volume], Hashable]], ...] = (
        ("patient", lambda v: v.first.patient),
        ("series", lambda v: v.first.series_uid),
        ("frame of reference", lambda v: v.first.frame_of_reference),
        ("image type", lambda v: v.first.image_type),
        ("matrix", lambda v: (v.first.rows, v.first.columns)),
        ("kernel", lambda v: v.first.kernels),
        ("thickness", lambda v: v.first.thickness_mm),
        ("tube voltage", lambda v: v.first.tube_voltage),
        ("acquisition", lambda v: v.first.acquisition_text),
    )
    words = [name for name, value in fields if len({value(v) for v in volumes}) > 1]
    if not all(_same_orientation(volumes[0].first, v.first) for v in volumes):
        words.append("orientation")
    if not all(_same_spacing(volumes[0].first, v.first) for v in volumes):
        words.append("pixel spacing")
    words = words or ["numbers of their slices"]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _telling_keys(headers: Sequence[SliceHeader]) -> Callable[[SliceHeader], Hashable]:
    """The fields that must be equal in a volume, without identifiers that identify single slices."""
    identifiers: list[Callable[[SliceHeader], Hashable]] = [
        lambda h: h.series_uid,
        lambda h: h.study_uid,
        lambda h: h.frame_of_reference,
    ]
    telling = [
        value
        for value in identifiers
        if len(headers) == 1 or len({value(h) for h in headers}) <= max(1.0, UNTELLING_SHARE * len(headers))
    ]

    def key(header: SliceHeader) -> Hashable:
        return (
            *(value(header) for value in telling),
            (header.rows, header.columns, header.is_capture),
            (header.image_type[:3], frozenset(COMPUTED.intersection(header.image_type))),
        )

    return key


def _fits(a: SliceHeader, b: SliceHeader) -> bool:
    return bool(
        _agree(a.patient, b.patient)
        and _same_orientation(a, b)
        and _same_spacing(a, b)
        and _agree((a.kernels, a.tube_voltage), (b.kernels, b.tube_voltage))
        and (not (a.thickness_mm and b.thickness_mm) or np.isclose(a.thickness_mm, b.thickness_mm, SAME_THICKNESS, 0))
    )


def _agree(a: Sequence[str], b: Sequence[str]) -> bool:
    """Whether all fields that both of them have are equal."""
    return all(not x or not y or x == y for x, y in zip(a, b, strict=True))


def _same_orientation(a: SliceHeader, b: SliceHeader) -> bool:
    return bool(np.abs(np.subtract(_axes(a), _axes(b))).max() <= SAME_ANGLE)


def _same_spacing(a: SliceHeader, b: SliceHeader) -> bool:
    return np.allclose(known(a.pixel_spacing), known(b.pixel_spacing), rtol=SAME_PIXEL_SPACING, atol=0)


def _axes(header: SliceHeader) -> NDArray[np.float64]:
    axes = np.reshape(known(header.orientation), (2, 3))
    return axes / np.linalg.norm(axes, axis=1, keepdims=True)


def _normal(header: SliceHeader) -> NDArray[np.float64]:
    return np.cross(*_axes(header))


def _volume(entries: Sequence[Placed]) -> Volume:
    ordered = sorted(entries, key=lambda e: (e[0], e[1].tie_key))
    return Volume(tuple(header for _, header in ordered), ordered[-1][0] - ordered[0][0], step_of(ordered))
