"""Results to files and text: ``.seg.nrrd`` for Slicer, JSON and CSV for programs, a page and a few lines for people."""

from .files import OUTPUT_NAMES, write_results
from .output_folder import OutputFolder, check_output_folder, write_together
from .report import build_report, report_schema
from .summary import summary_text

__all__ = [
    "OUTPUT_NAMES",
    "OutputFolder",
    "build_report",
    "check_output_folder",
    "report_schema",
    "summary_text",
    "write_results",
    "write_together",
]
