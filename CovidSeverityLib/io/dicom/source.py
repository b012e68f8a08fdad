"""The images that a CT was read from, for DICOM objects that refer to them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread

from .grid import GridPlan, Stack
from .headers import SliceHeader
from .series import REPAIRS
from .values import text_of

CT_IMAGE_CLASS = "1.2.840.10008.5.1.4.1.1.2"
"""SOP class of a CT image that is one slice (DICOM PS3.4, B.5)."""

DATES = ("AcquisitionDate", "SeriesDate", "StudyDate")
"""When the CT was acquired; the first that is known counts."""


@dataclass(frozen=True, eq=False, repr=False)
class DicomSource:
    """The images of a CT, without their pixels.

    Parameters
    ----------
    images : tuple of N Dataset
        The header of every slice, in the order of the stored slices. Empty where ``problem`` is not.
    problem : str
        Why no DICOM object can refer to the images voxel by voxel: what was found, to follow "because". Empty if one
        can.
    patient_id, day : str
        PatientID, and the date of the acquisition (YYYYMMDD), of the first image, whether or not there is a problem;
        empty where they are missing. They never enter a report.
    """

    images: tuple[Dataset, ...] = ()
    problem: str = ""
    patient_id: str = ""
    day: str = ""

    def __repr__(self) -> str:
        return f"DicomSource({self.problem or f'{len(self.images)} images'!r})"


NOT_KEPT = DicomSource(problem="their headers were not kept")
"""Of a CT whose reader was not asked to keep them."""


def dicom_source(stack: Stack, plan: GridPlan, shifts: NDArray[np.intp]) -> DicomSource:
    """The images of a stack that is read as ``plan`` and ``shifts`` say; reads the headers of its files again.

    Parameters
    ----------
    stack : Stack
        The slices that are read.
    plan : GridPlan
        Their grid.
    shifts : (N, 2) ndarray of int
        By how many pixels each slice is moved within its plane.

    Raises
    ------
    OSError
        A file can no longer be read.
    """
    problem = _problem_of_grid(plan, shifts) or _problem_of_headers(stack.slices)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about harmless deviations from the standard
        read = stack.slices[:1] if problem else stack.slices
        images = tuple(dcmread(header.path, stop_before_pixels=True, force=True) for header in read)
    patient_id = text_of(images[0], "PatientID")
    day = next((day for day in (text_of(images[0], keyword)[:8] for keyword in DATES) if day), "")
    return DicomSource(() if problem else images, problem, patient_id, day)


def _problem_of_grid(plan: GridPlan, shifts: NDArray[np.intp]) -> str:
    missing = plan.acquired.count(False)
    if missing:
        return f"{missing} of {len(plan.acquired)} slices were missing and have been interpolated"
    if not plan.is_identity:
        return "the slices are unevenly spaced and were resampled, so that masks do not lie on the images"
    if shifts.any():
        return "the gantry was tilted and slices were moved within their planes, so that masks do not lie on the images"
    return ""


def _problem_of_headers(slices: Sequence[SliceHeader]) -> str:
    count = len(slices)
    if len({header.path for header in slices}) < count or any(header.frame for header in slices):
        return "the images are frames of an enhanced multi-frame CT; single CT images are needed"
    if any(header.sop_class != CT_IMAGE_CLASS for header in slices):
        return "the images are not of the class CT Image Storage"
    repaired = sorted({code for header in slices for code in header.repairs}, key=list(REPAIRS).index)
    if repaired:
        return f"the geometry in their headers had to be repaired ({REPAIRS[repaired[0]].rstrip('.')})"
    uids = {header.sop_uid for header in slices}
    if "" in uids or len(uids) < count:
        named = f"share {len(uids)} SOPInstanceUID{'s' if len(uids) > 1 else ''}"
        return f"the {count} slices {'lack SOPInstanceUIDs' if '' in uids else named}; each needs its own"
    if len({header.orientation for header in slices}) > 1:
        return "the orientations in the headers of the slices differ"
    return _problem_of_identifiers(slices)


def _problem_of_identifiers(slices: Sequence[SliceHeader]) -> str:
    for name, values in (
        ("StudyInstanceUID", {header.study_uid for header in slices}),
        ("SeriesInstanceUID", {header.series_uid for header in slices}),
        ("FrameOfReferenceUID", {header.frame_of_reference for header in slices}),
    ):
        if "" in values:
            return f"the slices lack a {name}"
        if len(values) > 1:
            return f"the {len(slices)} slices have {len(values)} {name}s; one is needed"
    return ""
