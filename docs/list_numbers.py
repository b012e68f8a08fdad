"""Write ``numbers.md``: every number that decides where lungs, lobes and opacities are, as the code has it.

Run from the root of the repository, whose library has to be installed::

    python docs/list_numbers.py

The page is made of the code alone (:mod:`CovidSeverityLib.deciding_numbers`): names and values of constants and
configuration fields, and the text under them, which says the unit and where a number comes from. A test holds the page
against the code.
"""

from __future__ import annotations

import re
from pathlib import Path

from CovidSeverityLib.deciding_numbers import CHAPTERS, LIBRARY, numbers_of

PAGE = Path(__file__).with_name("numbers.md")

HEAD = """# Numbers that decide

Every number by which the default profile tells what is lung, lobe and opacity and scores them, with its unit (`_MM`,
`_HU`, `_ML`; a `_SHARE` is a part of 1) and where it comes from. Every `report.json` has their values, under
`provenance`, `configuration`, `numbers`. Not here: the weights of the opacity classifier, which are fitted
(`opacity_classifier.json`, with its data sheet), and numbers that only say when a reader is warned. This
page is written by `docs/list_numbers.py` from the code.
"""


NUMERICAL = frozenset(
    {
        "lung_segmentation.NOTED_AIRLESS_SHARE",
        "single_slices.COPIES",
        "single_slices.COPY_MM",
        "rib_cage.ANGLES",
        "expected_shape.SAMPLES",
        "expected_shape.AFFINE_ROUNDS",
        "hidden_lung.MARGIN_MM",
        "hidden_lung.NEAR_SURFACE_MM",
        "config.WIDEST_SMOOTHING_MM",
        "parenchyma.BIN_HU",
        "lung_features.MARGIN_BLOCKS",
        "lung_features.LEAST_WEIGHT",
        "lung_features.TRUNCATE",
        "opacity_classifier.CHUNK",
        "lobe_segmentation.MARGIN",
    }
)
"""Steps, margins and limits of the computation, and what only makes a note: no result hangs on their exact value."""


def page() -> str:
    """The whole page."""
    chapters: dict[str, list[str]] = {chapter: [] for chapter in (*CHAPTERS, "Of the computation")}
    for chapter, modules in CHAPTERS.items():
        for module in modules:
            last = ""
            for number in numbers_of(LIBRARY / module):
                name = f"{Path(module).stem}.{number.name}"
                reason = "likewise" if number.reason == last else number.reason
                last = number.reason
                row = f"| `{name}` | {_short(number.value)} | {_cell(reason)} |"
                chapters["Of the computation" if name in NUMERICAL else chapter].append(row)
    deciding = sum(len(rows) for rows in chapters.values()) - len(NUMERICAL)
    lines = [HEAD.rstrip(), "", f"There are {deciding}, and {len(NUMERICAL)} of the computation, at the end."]
    for chapter, rows in chapters.items():
        lines += ["", f"## {chapter}", "", "| number | value | what it is, and why |", "|---|---|---|", *rows]
    return "\n".join(lines) + "\n"


def _short(value: str) -> str:
    return _cell(value if len(value) <= 60 else value[:57] + "...")


def _cell(text: str) -> str:
    return re.sub(r":\w+:`~?\.?([^`]+)`", r"`\1`", text).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
