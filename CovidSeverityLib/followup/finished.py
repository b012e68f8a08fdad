"""A finished result, read back: a folder of ``covid-severity analyze``, of ``Analysis.save`` or of Slicer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.features.quantification import LobeScore, count_voxels
from CovidSeverityLib.findings import Findings
from CovidSeverityLib.io.orientation import canonical_geometry
from CovidSeverityLib.reporting.files import ANALYSIS_NAME, REPORT_NAME, SEGMENTATION_NAME
from CovidSeverityLib.reporting.saving import load_analysis
from CovidSeverityLib.reporting.segmentation import describe_segments
from CovidSeverityLib.types import Geometry, Lobe, NoteSeverity, QualityNote, StorageOrder, triple

from .examination import Examination, PersonMark, counted

CORRECTED_NAME = "corrected_report.json"
"""Written by Slicer beside the report where masks were corrected by hand."""

DICOM_SEGMENTATION = Path("dicom", "segmentation.dcm")
"""The only file of a result that says whose it is."""

ROUNDING_ML = 0.011
"""A report has its volumes with two decimals, ml."""


def is_finished_result(path: Path) -> bool:
    """Whether ``path`` is a folder with the files of a result."""
    both = (path / REPORT_NAME).is_file() and (path / SEGMENTATION_NAME).is_file()
    return both or (path / ANALYSIS_NAME).is_file()


def read_finished_result(folder: Path) -> Examination:
    """The examination in a folder of results.

    ``analysis.npz`` is read where it is there; it has the CT in it. Otherwise masks come from
    ``segmentation.seg.nrrd`` and everything else from ``report.json``; the CT is not at hand then.

    Parameters
    ----------
    folder : Path
        As :func:`is_finished_result` says.

    Raises
    ------
    InputError
        A file is damaged, of another version, or belongs to another result.
    """
    person = _person(folder)
    if (folder / ANALYSIS_NAME).is_file():
        return Examination.of(load_analysis(Findings, folder), person)
    try:
        report = json.loads((folder / REPORT_NAME).read_text(encoding="utf-8"))
        return _examination(folder, report, person)
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, OSError, EOFError) as error:
        raise InputError(f"the result in {folder.name} is damaged or incomplete ({error})") from error


def _examination(folder: Path, report: Mapping[str, Any], person: PersonMark) -> Examination:
    storage = StorageOrder(triple(report["input"]["storage"]["axes"]), triple(report["input"]["storage"]["flipped"]))
    layers, stored = _segmentation(folder / SEGMENTATION_NAME)
    lungs, lobes, infection = (np.ascontiguousarray(storage.to_canonical(layer)) for layer in layers)
    geometry = canonical_geometry(stored, storage)
    corrected = folder / CORRECTED_NAME
    numbers = json.loads(corrected.read_text(encoding="utf-8")) if corrected.is_file() else report
    scores = _lobe_scores(lungs, lobes, infection, geometry, numbers)
    _check_together(scores, numbers, folder)
    ends = numbers["ctss"].get("range")
    provenance = report["provenance"]
    return Examination(
        name=report["input"]["name"],
        geometry=geometry,
        stored_geometry=stored,
        storage=storage,
        lungs=lungs,
        lobes=lobes,
        infection=infection,
        lobe_scores=scores,
        ctss_range=None if ends is None else (int(ends[0]), int(ends[1])),
        severity=numbers["severity"]["label"],
        version=provenance["version"],
        profile=provenance["profile"],
        configuration=provenance["configuration"],
        quality=tuple(_note(note) for note in report["quality"]),
        person=person,
        **counted(lungs, infection),
    )


def _segmentation(path: Path) -> tuple[tuple[NDArray[np.uint8], ...], Geometry]:
    """Labels of lungs, lobes and opacities in stored (K, J, I) order, and the stored geometry."""
    import slicerio

    content = slicerio.read_segmentation(str(path))
    voxels = np.asarray(content["voxels"])
    stacked = voxels[None] if voxels.ndim == 3 else voxels
    matrix = np.asarray(content["ijkToLPS"], dtype=float)
    spacing = np.sqrt(np.square(matrix[:3, :3]).sum(axis=0))
    size = triple(int(n) for n in stacked.shape[1:])
    geometry = Geometry(
        size,
        triple(spacing.tolist()),
        triple(matrix[:3, 3].tolist()),
        tuple((matrix[:3, :3] / spacing).ravel().tolist()),
    )
    found = {segment["name"]: segment for segment in content["segments"]}
    layers = [np.zeros(geometry.shape, dtype=np.uint8) for _ in range(3)]
    for expected in describe_segments(geometry.size):
        if expected["name"] not in found:
            raise InputError(f"{path.name} has no segment {expected['name']!r}")
        segment = found[expected["name"]]
        inside = np.transpose(stacked[int(segment.get("layer", 0))] == int(segment["labelValue"]))
        layers[expected["layer"]][inside] = expected["labelValue"]
    return tuple(layers), geometry


def _lobe_scores(
    lungs: NDArray[np.uint8],
    lobes: NDArray[np.uint8],
    infection: NDArray[np.uint8],
    geometry: Geometry,
    numbers: Mapping[str, Any],
) -> tuple[LobeScore, ...]:
    counts = count_voxels(lungs, lobes, infection > 0)
    found = []
    for lobe in Lobe:
        row = numbers["ctss"]["lobes"][lobe.name]
        points, percents = row.get("score_range"), row.get("involvement_range_percent")
        found.append(
            LobeScore(
                lobe=lobe,
                voxels=int(counts.lung[:, lobe].sum()),
                infected_voxels=int(counts.infected[:, lobe].sum()),
                voxel_ml=geometry.voxel_ml,
                score=int(row["score"] or 0),
                total_severity_score=int(numbers["total_severity_score"]["lobes"][lobe.name] or 0),
                confidence=row.get("confidence"),
                score_range=None if points is None else (int(points[0]), int(points[1])),
                involvement_range_percent=None if percents is None else (float(percents[0]), float(percents[1])),
            )
        )
    return tuple(found)


def _check_together(scores: tuple[LobeScore, ...], numbers: Mapping[str, Any], folder: Path) -> None:
    """Raise InputError if the masks are not those that the numbers were counted from."""
    for score in scores:
        row = numbers["ctss"]["lobes"][score.lobe.name]
        for name, ml in (("volume_ml", score.volume_ml), ("infection_ml", score.infection_ml)):
            if abs(ml - row[name]) > ROUNDING_ML:
                raise InputError(
                    f"the files in {folder.name} are of two results: {name} of the {score.lobe.name} is {ml:.2f} in "
                    f"{SEGMENTATION_NAME} and {row[name]:.2f} in the report"
                )


def _note(fields: Mapping[str, str]) -> QualityNote:
    return QualityNote(fields["code"], NoteSeverity(fields["severity"]), fields["message"])


def _person(folder: Path) -> PersonMark:
    """Of the DICOM Segmentation beside the result, if there is one."""
    path = folder / DICOM_SEGMENTATION
    if not path.is_file():
        return PersonMark()
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    from CovidSeverityLib.io.dicom.values import text_of

    try:
        header = dcmread(path, specific_tags=["PatientID", "StudyDate"], stop_before_pixels=True)
    except (InvalidDicomError, OSError):
        return PersonMark()
    return PersonMark(text_of(header, "PatientID").strip(), text_of(header, "StudyDate").strip())
