"""Results as files and text: ``.seg.nrrd`` for Slicer, JSON and CSV for programs, a page and a summary for people."""

from .classification_report import build_classification
from .files import (
    CLASSIFICATION_OUTPUT_NAMES,
    OUTPUT_NAMES,
    PDF_NAME,
    ReportPages,
    check_holds_no_analysis,
    report_pdf,
    write_classified,
    write_results,
)
from .output_folder import FileWriter, OutputFolder, check_output_folder, write_together
from .report import build_report, report_schema
from .summary import classification_text, summary_text

__all__ = [
    "CLASSIFICATION_OUTPUT_NAMES",
    "OUTPUT_NAMES",
    "PDF_NAME",
    "FileWriter",
    "OutputFolder",
    "ReportPages",
    "build_classification",
    "build_report",
    "check_holds_no_analysis",
    "check_output_folder",
    "classification_text",
    "report_pdf",
    "report_schema",
    "summary_text",
    "write_classified",
    "write_results",
    "write_together",
]
