"""Export as DICOM: the objects that the library has written, or Slicer's own export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from CovidSeveritySlicer.scene.Hierarchy import studyForExport
from CovidSeveritySlicer.scene.Result import AnalysisResult

OBJECTS_FOLDER, OBJECTS = "dicom", "*.dcm"
"""Where ``covid-severity`` writes DICOM objects in the folder of a result, and their names."""


class ExportProblem(RuntimeError):  # noqa: N818 (it says what the problem is)
    """What stands in the way of an export. The message is for the user."""


def objectsOf(result: AnalysisResult) -> Path | None:
    """Folder with the DICOM objects of a result; None if the library has written none.

    It writes them where the input was DICOM. They show the automatic result.

    Parameters
    ----------
    result : AnalysisResult
        Result of an analysis.
    """
    folder = None if result.folder is None else result.folder / OBJECTS_FOLDER
    return folder if folder is not None and any(folder.glob(OBJECTS)) else None


def importObjects(folder: Path) -> None:
    """Copy DICOM objects into Slicer's DICOM database.

    Parameters
    ----------
    folder : Path
        Folder with the objects.

    Raises
    ------
    ExportProblem
        There is no database, or it does not take them.
    """
    database = getattr(slicer, "dicomDatabase", None)
    if database is None or not database.isOpen:
        raise ExportProblem(
            _("Slicer's DICOM database is not open. The DICOM objects of this result are in {folder}.").format(
                folder=folder
            )
        )
    from DICOMLib import DICOMUtils

    if not DICOMUtils.importDicom(str(folder), database, copyFiles=True):
        raise ExportProblem(_("Slicer's DICOM database does not take the objects in {folder}.").format(folder=folder))


def openExport(result: AnalysisResult) -> None:
    """Open Slicer's export for the study of the CT.

    Parameters
    ----------
    result : AnalysisResult
        Its CT and segmentation are in the scene.

    Raises
    ------
    ExportProblem
        This Slicer has no DICOM module, or the CT has left the scene.
    """
    makeDialog: Any = getattr(slicer, "qSlicerDICOMExportDialog", None)  # of the module DICOMLib
    if makeDialog is None:
        raise ExportProblem(
            _("This Slicer has no DICOM module, which the export needs. Save report writes the segmentation to a file.")
        )
    try:
        study = studyForExport(result)
    except ValueError as error:
        raise ExportProblem(str(error)) from error
    dialog = makeDialog(None)
    dialog.setMRMLScene(slicer.mrmlScene)
    dialog.execDialog(study)
