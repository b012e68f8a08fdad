"""``report.pdf``: the content of ``report.html`` on paper, without the viewer of all slices."""

from .document import write_pdf

__all__ = ["write_pdf"]
