"""Write ``bad-inputs.md``: every kind of bad or strange input of the catalogue, and what becomes of it.

Run from the root of the repository, whose library has to be installed with its tests' packages::

    python docs/list_bad_inputs.py

The page is made of ``Testing/bad_inputs`` alone. A test compares the page with it.
"""

from __future__ import annotations

import sys
from pathlib import Path

PAGE = Path(__file__).with_name("bad-inputs.md")

HEAD = """# Bad inputs

This page lists the catalogue of `Testing/bad_inputs`. *Refused* means: one sentence, no result, and in a batch a row of
`failures.csv` of the kind `input`. *Over a limit* is the same with the kind `limit`. *Analysed* means that the CT is
read as it is meant, with a warning where something was repaired. [inputs.md](inputs.md) explains the rules.

`Testing/unit/io/test_bad_inputs.py` gives each of them to the readers, and compares the sentence.
`Testing/faults/test_bad_inputs.py` runs `covid-severity batch` on all of them at once.

`docs/list_bad_inputs.py` writes this page from the catalogue.
"""

CHAPTERS = {
    "broken_files": "Files that are damaged, of another kind, or no files",
    "archives": "Archives and compressed files",
    "headers": "Headers of NIfTI, NRRD and MetaImage",
    "values": "Values and shapes",
    "dicom": "DICOM",
    "masks": "Masks of lungs and lobes",
    "names": "Names",
}


def page() -> str:
    """The text of the page."""
    sys.path.append(str(PAGE.parents[1]))
    from Testing import bad_inputs

    parts = [HEAD]
    for module, title in CHAPTERS.items():
        rows = [
            f"| `{kind.name}` | {kind.what.replace('|', chr(92) + '|')} | {_fate(kind)} |"
            for kind in getattr(bad_inputs, module).ENTRIES
        ]
        parts.append(
            "\n".join([f"## {title}", "", "| kind | what is strange | what becomes of it |", "|---|---|---|", *rows])
        )
    return "\n".join([*parts[:1], *(f"{part}\n" for part in parts[1:])])


def _fate(kind) -> str:  # noqa: ANN001 (BadInput, which is known only below)
    if not kind.expected:
        return "analysed"
    return "over a limit" if kind.failure == "limit" else "refused"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
