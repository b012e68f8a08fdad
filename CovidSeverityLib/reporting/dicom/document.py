"""A report in PDF that becomes a DICOM object."""

from __future__ import annotations

from dataclasses import dataclass

PDF_MAGIC = b"%PDF-"
"""A PDF begins with it."""


@dataclass(frozen=True)
class PdfDocument:
    """A report in PDF.

    Parameters
    ----------
    content : bytes
        The file.
    title : str
        What its pages call the CT. They may name the patient then: the object says that the identity is burned in.
        Without it they do not tell whose CT it is, and the object says that it is not.

    Raises
    ------
    ValueError
        If ``content`` is no PDF.
    """

    content: bytes
    title: str = ""

    def __post_init__(self) -> None:
        if not self.content.startswith(PDF_MAGIC):
            raise ValueError(f"the document begins with {self.content[:5]!r}; a PDF begins with {PDF_MAGIC!r}")
