"""Coded concepts of the DICOM objects: public ones, and a private scheme for what has none.

The public codes are those of DICOM PS3.16 (context groups 218, 244, 7150, 7151, 7464, 7469) and of SNOMED CT. No
context group of PS3.16 contains a CT severity score or a share of opacity. ``docs/dicom.md`` lists the private codes.
"""

from __future__ import annotations

from pydicom.sr.coding import Code

from CovidSeverityLib.reporting import segmentation

PRIVATE_SCHEME = "99COVSEV"
"""Designator of the private scheme; private ones begin with 99 (DICOM PS3.16, 8.2)."""

PRIVATE_SCHEME_NAME = "CovidSeverity measurements"
PRIVATE_SCHEME_VERSION = "1"
"""It changes if a code gets another meaning."""


def code_of(entry: segmentation.Code) -> Code:
    """The code of an entry (scheme, value, meaning) of :mod:`~CovidSeverityLib.reporting.segmentation`."""
    scheme, value, meaning = entry
    return Code(value, scheme, meaning)


def _private(value: str, meaning: str) -> Code:
    return Code(value, PRIVATE_SCHEME, meaning)


ANATOMICAL_STRUCTURE = Code("91723000", "SCT", "Anatomical Structure")
ABNORMAL_STRUCTURE = Code("49755003", "SCT", "Morphologically Abnormal Structure")
"""Categories as PS3.16, CID 7150, has them today. (Slicer's own list still has 123037004 for the first.)"""

LUNG = code_of(segmentation.LUNG)
BILATERAL = Code("51440002", "SCT", "Bilateral")
CHEST_CT = Code("24627-2", "LN", "CT Chest")

VOLUME = Code("118565006", "SCT", "Volume")
ATTENUATION = Code("112031", "DCM", "Attenuation Coefficient")
THRESHOLD = Code("112032", "DCM", "Threshold Attenuation Coefficient")
MEAN = Code("373098007", "SCT", "Mean")
STANDARD_DEVIATION = Code("386136009", "SCT", "Standard Deviation")

SEVERITY = Code("246112005", "SCT", "Severity")
SEVERITY_WORDS = {
    "none": Code("260413007", "SCT", "None"),
    "mild": Code("255604002", "SCT", "Mild"),
    "moderate": Code("6736007", "SCT", "Moderate"),
    "severe": Code("24484000", "SCT", "Severe"),
}
"""Codes of the words of :mod:`~CovidSeverityLib.ctss`."""

ML = Code("ml", "UCUM", "milliliter")
HU = Code("[hnsf'U]", "UCUM", "Hounsfield unit")
PERCENT = Code("%", "UCUM", "percent")
NO_UNITS = Code("1", "UCUM", "no units")
SCORE = Code("{score}", "UCUM", "score")

CTSS = _private("CTSS", "CT severity score, 0-25")
CTSS_LOBE = _private("CTSS-LOBE", "CT severity score of the lobe, 0-5")
TSS = _private("TSS", "Total severity score, 0-20")
TSS_LOBE = _private("TSS-LOBE", "Total severity score of the lobe, 0-4")
OPACITY_VOLUME = _private("OPACITY-VOL", "Volume of opacities")
OPACITY_PERCENT = _private("OPACITY-PCT", "Opacities, share of the volume")
GGO_VOLUME = _private("GGO-VOL", "Volume of ground-glass opacity")
CONSOLIDATION_VOLUME = _private("CONSOL-VOL", "Volume of consolidation")
CONSOLIDATION_PERCENT = _private("CONSOL-PCT", "Consolidation, share of the volume")
SHARE_OF_LUNGS = _private("LUNGS-PCT", "Share of the volume of both lungs")
AERATED_PERCENT = _private("AERATED-PCT", "Well-aerated lung, share of the volume")
LOW_ATTENUATION_PERCENT = _private("LAA-PCT", "Low attenuation without noise, share of the volume")
PERCENTILE_RANK = _private("PCTL-RANK", "Rank of the reported attenuation percentile")
PERCENTILE = _private("ATT-PCTL", "Percentile of attenuation without noise")
LOBE_CONFIDENCE = _private("LOBE-DICE", "Expected Dice coefficient of the lobe")

PRIVATE_CODES = (
    *(CTSS, CTSS_LOBE, TSS, TSS_LOBE),
    *(OPACITY_VOLUME, OPACITY_PERCENT, GGO_VOLUME, CONSOLIDATION_VOLUME, CONSOLIDATION_PERCENT, SHARE_OF_LUNGS),
    *(AERATED_PERCENT, LOW_ATTENUATION_PERCENT, PERCENTILE_RANK, PERCENTILE, LOBE_CONFIDENCE),
)
"""Every code of the private scheme."""
