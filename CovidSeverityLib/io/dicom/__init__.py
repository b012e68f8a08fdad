"""DICOM files, series and volumes."""
