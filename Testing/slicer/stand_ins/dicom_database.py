"""Stands in for ``ctkDICOMDatabase``, which the wheel of Slicer lacks: it indexes DICOM files, as CTK does."""

from __future__ import annotations

from pathlib import Path

import pydicom


class ctkDICOMDatabase:
    """The methods that are asked for; keys of patients are numbers as text, as in its SQLite tables."""

    def __init__(self, isOpen=True):
        self.isOpen = isOpen
        self._patients, self._studies, self._series, self._values = {}, {}, {}, {}
        self.asked = 0

    def addFolder(self, folder):
        """Index every DICOM file below a folder; returns the database."""
        for path in sorted(Path(folder).rglob("*.dcm")):
            header = pydicom.dcmread(path, stop_before_pixels=True)
            patient = self._patients.setdefault((str(header.PatientID), str(header.PatientName)), [])
            _append(patient, str(header.StudyInstanceUID))
            _append(self._studies.setdefault(str(header.StudyInstanceUID), []), str(header.SeriesInstanceUID))
            self._series.setdefault(str(header.SeriesInstanceUID), []).append(str(path))
        return self

    def patients(self):
        return [str(n + 1) for n in range(len(self._patients))]

    def studiesForPatient(self, patient):
        return list(list(self._patients.values())[int(patient) - 1])

    def seriesForStudy(self, study):
        return list(self._studies.get(study, []))

    def filesForSeries(self, series):
        self.asked += 1
        return list(self._series.get(series, []))

    def fileValue(self, file, tag):
        """Text of a tag; several values have a backslash between them, as in the file."""
        if file not in self._values:
            self._values[file] = pydicom.dcmread(file, stop_before_pixels=True)
        group, element = (int(part, 16) for part in tag.split(","))
        found = self._values[file].get((group, element))
        if found is None or found.value is None:
            return ""
        several = not isinstance(found.value, str) and hasattr(found.value, "append")
        return "\\".join(map(str, found.value)) if several else str(found.value)


def _append(values, value):
    if value not in values:
        values.append(value)
