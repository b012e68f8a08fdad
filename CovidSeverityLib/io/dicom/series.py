"""The volume to read: slices with a position are split into volumes, and one volume is chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from CovidSeverityLib.checked import known
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.affine import SHEAR_LIMIT_DEG
from CovidSeverityLib.io.extent import edges_plausible
from CovidSeverityLib.types import NoteSeverity, QualityNote

from .choice import Choice
from .headers import CT, PROJECTION, SliceHeader, Unreadable
from .volumes import Volume, best_first, differences, patients_of, split_volumes, volume_notes

EXACT_COSINE = 1e-3
"""Rounding to four digits keeps axes perpendicular within this; a larger deviation is noted."""

UNIT_LENGTH = 0.02
"""Largest deviation of the length of a direction from 1: some headers have two digits."""

MAX_LISTED = 6
"""Number of volumes and files that a message lists."""


REPAIRS = {
    "pixel_spacing_single": "PixelSpacing holds one number; pixels were taken as square.",
    "pixel_spacing_of_field": (
        "PixelSpacing cannot be that of a CT in millimetres; it was taken from the diameter of the field."
    ),
    "position_of_location": (
        "The slices have no ImagePositionPatient; SliceLocation was taken for it, and head and feet may be confused."
    ),
    "axes_made_perpendicular": (
        "Rows and columns of the slices were not quite at right angles (rounded directions) and were made so."
    ),
}
"""Code and text of the warning about repairs in headers."""


@dataclass(frozen=True)
class Chosen:
    """The slices to read, the notes, and the unreadable files that were left out."""

    slices: tuple[SliceHeader, ...]
    notes: tuple[QualityNote, ...]
    left_out: tuple[Unreadable | SliceHeader, ...]


def choose_volume(headers: Sequence[SliceHeader], unreadable: Sequence[Unreadable], choice: Choice) -> Chosen:
    """Return the slices of the volume to read, with notes about it and about what was left out.

    Raises
    ------
    InputError
        There is no CT, no such series or volume, the volumes are of several patients, or a slice of the chosen volume
        cannot be read.
    """
    slices = _of_series([h for h in headers if h.kind == CT], headers, unreadable, choice.series_uid)
    sound, broken = _sound(slices)
    if not sound:
        raise InputError(broken[0].problem)
    ranked = best_first(split_volumes(sound))
    volumes = [volume for volume, _ in ranked]
    index = _index(volumes, choice)
    chosen, reason = ranked[index]
    _refuse_broken(chosen, broken)
    if len(chosen.slices) == 1 and len(volumes) > 1 and len(_in_series(volumes, chosen)) > 1 and choice.number is None:
        raise InputError("no two slices of the CT series have one orientation and size; slices that fit are needed")
    notes = (
        *_choice_notes(volumes, index, reason, choice),
        *_merged_note(chosen),
        *_left_out_notes(unreadable, broken),
        *_repair_notes(chosen),
        *volume_notes(chosen),
    )
    return Chosen(chosen.slices, notes, (*unreadable, *broken))


def left_out_text(left_out: Sequence[Unreadable | SliceHeader]) -> str:
    """Text about unreadable files, to follow a sentence about missing slices."""
    return f"; could not be read: {_names(left_out)}" if left_out else ""


def _of_series(
    slices: Sequence[SliceHeader],
    headers: Sequence[SliceHeader],
    unreadable: Sequence[Unreadable],
    series_uid: str | None,
) -> list[SliceHeader]:
    if not slices:
        raise InputError(_no_ct(headers, unreadable))
    wanted = [h for h in slices if series_uid in (None, h.series_uid)]
    if not wanted:
        raise InputError(f"no CT series {series_uid}; there is {_listing(slices)}")
    return wanted


def _no_ct(headers: Sequence[SliceHeader], unreadable: Sequence[Unreadable]) -> str:
    if not headers:
        return unreadable[0].reason if unreadable else "there is no DICOM image; a chest CT is needed"
    kind = Counter(h.kind for h in headers).most_common(1)[0][0]
    if kind == PROJECTION:
        return "the DICOM image is a projection (a localizer or a radiograph); a chest CT with slices is needed"
    return f"the DICOM image is {kind}; a chest CT is needed"


def _listing(slices: Sequence[SliceHeader]) -> str:
    counts = Counter(h.series_uid for h in slices)
    words = {h.series_uid: h.description or "no description" for h in sorted(slices, key=lambda h: h.tie_key)[::-1]}
    ordered = sorted(counts, key=lambda uid: (-counts[uid], uid))
    return "; ".join(f"{uid} ({words[uid]}, {counts[uid]} slices)" for uid in ordered)


def _sound(slices: Sequence[SliceHeader]) -> tuple[list[SliceHeader], list[SliceHeader]]:
    """Slices that can be part of a volume, and slices that cannot because of a problem."""
    sound, broken = [], []
    for header in _placed(slices):
        problem = header.problem or _fault(header)
        if problem:
            broken.append(replace(header, problem=problem))
        else:
            sound.append(_repaired(header))
    return sound, broken


def _repaired(header: SliceHeader) -> SliceHeader:
    """A valid slice, with two pixel spacings in millimetres."""
    repairs, spacing = set(header.repairs), known(header.pixel_spacing)
    if len(spacing) == 1:
        spacing *= 2
        repairs.add("pixel_spacing_single")
    truth = _in_millimetres(header, spacing)
    if truth != spacing:
        repairs.add("pixel_spacing_of_field")
    row, column = np.reshape(known(header.orientation), (2, 3))
    if abs(row @ column) > EXACT_COSINE:
        repairs.add("axes_made_perpendicular")
    return replace(header, pixel_spacing=truth, repairs=frozenset(repairs))


def _placed(slices: Sequence[SliceHeader]) -> list[SliceHeader]:
    """The slices; if no slice of a series has a position, the location along the table replaces it."""
    positioned = {h.series_uid for h in slices if h.position is not None}
    return [
        replace(h, position=(0.0, 0.0, h.location_mm), repairs=h.repairs | {"position_of_location"})
        if h.series_uid not in positioned and h.location_mm is not None and _is_level(h)
        else h
        for h in slices
    ]


def _is_level(header: SliceHeader) -> bool:
    """Whether the slice is across the table, so that its location is a position along the patient."""
    if header.orientation is None:
        return False
    row, column = np.reshape(header.orientation, (2, 3))
    return bool(abs(np.cross(row, column)[2]) > 1 - EXACT_COSINE)


def _fault(header: SliceHeader) -> str:
    """Why a slice cannot be part of a volume, with the name of the file; empty if it can."""
    name = header.path.name
    for keyword, value in (
        ("ImagePositionPatient", header.position),
        ("ImageOrientationPatient", header.orientation),
        ("PixelSpacing", header.pixel_spacing),
    ):
        if value is None or not np.isfinite(value).all():
            return f"{name} has no usable {keyword}; a CT slice with its place in the patient is needed"
    if min(known(header.pixel_spacing)) <= 0:
        return f"{name} has a PixelSpacing of {header.pixel_spacing} mm; positive numbers are needed"
    row, column = np.reshape(known(header.orientation), (2, 3))
    lengths = np.linalg.norm([row, column], axis=1)
    if np.abs(lengths - 1).max() > UNIT_LENGTH or abs(row @ column) > np.sin(np.radians(SHEAR_LIMIT_DEG)):
        return f"{name} has an ImageOrientationPatient that is no pair of perpendicular unit vectors"
    if header.samples != 1 or header.photometric != "MONOCHROME2":
        got = f"{header.photometric} with {header.samples} samples a pixel"
        return f"{name} is {got}; a CT slice is MONOCHROME2 with one"
    return ""


def _in_millimetres(header: SliceHeader, spacing: tuple[float, ...]) -> tuple[float, ...]:
    """The pixel spacing; computed from the reconstructed field if the header's value is impossible for a CT in mm."""
    if edges_plausible(spacing) or not header.diameter_mm:
        return spacing
    told = header.diameter_mm / max(header.rows, header.columns)
    return (told, told) if edges_plausible((told, told)) else spacing


def _index(volumes: Sequence[Volume], choice: Choice) -> int:
    """Index of the volume that the caller wants, otherwise of the best one."""
    if choice.number is not None:
        if not 1 <= choice.number <= len(volumes):
            raise InputError(f"there is no volume {choice.number}; there is {_numbered(volumes)}")
        return choice.number - 1
    if choice.file is not None:
        holding = [n for n, v in enumerate(volumes) if any(h.path == choice.file for h in v.slices)]
        if holding:
            return holding[0]
    if patients_of(volumes) > 1:
        raise InputError(
            f"the input holds CTs of {patients_of(volumes)} patients: {_numbered(volumes)}; --volume chooses one of "
            "them, --series one series"
        )
    return 0


def _refuse_broken(chosen: Volume, broken: Sequence[SliceHeader]) -> None:
    """Raise InputError if an unreadable slice belongs to the chosen volume."""
    first, series = chosen.first, {h.series_uid for h in chosen.slices}
    for other in broken:
        alike = all(getattr(other, name) == getattr(first, name) for name in ("kernels", "image_type", "patient"))
        if alike and (other.series_uid in series or len(series) > 1):
            raise InputError(other.problem)


def _in_series(volumes: Sequence[Volume], chosen: Volume) -> list[Volume]:
    return [v for v in volumes if v.first.series_uid == chosen.first.series_uid]


def _numbered(volumes: Sequence[Volume]) -> str:
    listed = "; ".join(f"volume {n} ({v.described()})" for n, v in enumerate(volumes[:MAX_LISTED], start=1))
    return listed + ("; ..." if len(volumes) > MAX_LISTED else "")


def _choice_notes(volumes: Sequence[Volume], index: int, reason: str, choice: Choice) -> tuple[QualityNote, ...]:
    """Which of several series, and of several volumes in one series, was chosen, and why."""
    if len(volumes) == 1 or choice.number is not None:
        return ()
    chosen, notes = volumes[index], []
    series = {v.first.series_uid for v in volumes}
    why = f", for {reason}" if reason else ""
    if len(series) > 1 and choice.series_uid is None and choice.file is None:
        # no free text of the header here: notes appear in reports
        message = (
            f"{len(series)} CT series; the best for the lungs was taken{why}: {chosen.first.series_uid} "
            f"({len(chosen.slices)} slices)"
        )
        notes.append(QualityNote("series_chosen", NoteSeverity.INFO, message))
    inside = _in_series(volumes, chosen)
    if len(inside) > 1:
        total = sum(len(v.slices) for v in inside)
        message = (
            f"The series holds {len(inside)} volumes, which differ in {differences(inside)}: "
            f"{_numbered(volumes)}. Volume {index + 1} was taken{why}; {total - len(chosen.slices)} of {total} slices "
            "of the series were left out; --volume chooses another."
        )
        notes.append(QualityNote("volume_chosen", NoteSeverity.WARNING, message))
    return tuple(notes)


def _merged_note(chosen: Volume) -> tuple[QualityNote, ...]:
    count = len({h.series_uid for h in chosen.slices})
    if count == 1:
        return ()
    message = (
        f"The slices have {count} SeriesInstanceUIDs (an anonymiser may have given each its own); they were put "
        "together, for everything else in their headers agrees."
    )
    return (QualityNote("series_merged", NoteSeverity.WARNING, message),)


def _left_out_notes(unreadable: Sequence[Unreadable], broken: Sequence[SliceHeader]) -> tuple[QualityNote, ...]:
    """Files that may belong to the CT, and files that do not."""
    notes = []
    if unreadable:
        message = (
            f"Left out, for their headers cannot be read: {_names(unreadable)}. If they are slices of this CT, its "
            "ends may be missing."
        )
        notes.append(QualityNote("files_left_out", NoteSeverity.WARNING, message))
    if broken:
        message = f"Left out, for they cannot be read, but of other images than the CT: {_names(broken)}."
        notes.append(QualityNote("other_files_left_out", NoteSeverity.INFO, message))
    return tuple(notes)


def _names(left_out: Sequence[Unreadable | SliceHeader]) -> str:
    listed = ", ".join(file.path.name for file in left_out[:MAX_LISTED])
    return listed + (f" and {len(left_out) - MAX_LISTED} more" if len(left_out) > MAX_LISTED else "")


def _repair_notes(chosen: Volume) -> tuple[QualityNote, ...]:
    """Warnings about headers that were repaired."""
    found = {code for header in chosen.slices for code in header.repairs}
    return tuple(QualityNote(code, NoteSeverity.WARNING, REPAIRS[code]) for code in REPAIRS if code in found)
