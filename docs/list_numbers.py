"""Write ``numbers.md``: every number that decides a result, as the configurations have it.

Run from the root of the repository, whose library has to be installed::

    python docs/list_numbers.py

The page is made of the code alone. It walks the fields of :class:`~CovidSeverityLib.config.AnalysisConfig`, and of the
configurations that act before an analysis. Names and values are those of the fields. Units and reasons stand in the
docstrings of the classes, as ``name : type, unit`` with the reason below. A test compares the page with the code.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

from CovidSeverityLib.classification.training.augmentation import AugmentationConfig
from CovidSeverityLib.classification.voting import VOTE_DEFINITION
from CovidSeverityLib.config import AnalysisConfig
from CovidSeverityLib.ctss import CTSS_DEFINITION, TSS_DEFINITION, TSS_SOURCE, severity_for
from CovidSeverityLib.features.classification_image import SLICES_DEFINITION
from CovidSeverityLib.followup.config import FollowUpConfig
from CovidSeverityLib.io.archives import ArchiveConfig
from CovidSeverityLib.io.hounsfield.config import HounsfieldConfig

PAGE = Path(__file__).with_name("numbers.md")

HEAD = """# Numbers that decide

This page lists every number that decides a result, with its unit and its source or the measurement behind it. Each
number is a field of a configuration. The name says where it stands: `lobes.fissures.cell_mm` is
`AnalysisConfig().lobes.fissures.cell_mm`. Every `report.json` has the values of its own analysis, under `provenance`,
`configuration`, by the same names. Only the numbers of `archive` and `hounsfield` act earlier, when the CT is read, and
those of `followup` are fields of `FollowUpConfig`, which `comparison.json` has. Those of `augmentation` act when a
classifier is trained, and the `summary.json` of `train` has them.

The page does not list the weights of the opacity classifier, which are fitted (`opacity_classifier.json`, with its data
sheet). It does not list steps of the computation on which no result depends either. The numbers that define a
published score are no fields: another number would be another score. They stand in words under "Definitions", as in
every report.

`docs/list_numbers.py` writes this page from the code.
"""

CHAPTERS = {
    "archive": "Is an archive safe to unpack?",
    "hounsfield": "Are the values Hounsfield units?",
    "body_width": "Is the voxel spacing in millimetres?",
    "orientation": "Is the header right?",
    "lungs": "Lungs",
    "lobes": "Lobes",
    "lesions": "Opacities",
    "measures": "Scores and well-aerated lung",
    "mixture": "Density of the lungs",
    "low_attenuation": "Low attenuation",
    "infection": "Opacities, published method",
    "slice_scores": "Scores, published method",
    "classification": "Diagnosis",
    "notes": "Notes to the reader",
    "followup": "Comparison of two CTs",
    "augmentation": "Changed images, when a classifier is trained",
}
"""Titles by the field of the configuration."""


@dataclass(frozen=True)
class Number:
    """A field of a configuration that holds a number, with the text of its class's docstring."""

    name: str
    value: str
    unit: str
    reason: str


def configurations() -> dict[str, Any]:
    """The configurations by name: the default profile's and, where that has none, the published method's."""
    default, published = AnalysisConfig(), AnalysisConfig.for_profile("reference")
    found: dict[str, Any] = {"archive": ArchiveConfig(), "hounsfield": HounsfieldConfig()}
    for field in fields(AnalysisConfig):
        value = getattr(default, field.name)
        found[field.name] = getattr(published, field.name) if value is None else value
    found |= {"followup": FollowUpConfig(), "augmentation": AugmentationConfig()}
    return {name: value for name, value in found.items() if is_dataclass(value)}


def numbers_of(config: Any, name: str) -> Iterator[Number]:
    """The numbers of a configuration and of those in it."""
    for field in fields(config):
        value, path = getattr(config, field.name), f"{name}.{field.name}"
        if is_dataclass(value):
            yield from numbers_of(value, path)
        elif isinstance(value, tuple) and value and is_dataclass(value[0]):
            for part in value:
                yield from numbers_of(part, f"{path}.{part.name}")
        elif has_number(value):
            yield Number(path, shown(value), *texts_of(type(config)).get(field.name, ("", "")))


def has_number(value: Any) -> bool:
    """Whether a value is a number or holds one; truth values and members of enumerations are none."""
    if isinstance(value, tuple):
        return any(map(has_number, value))
    return isinstance(value, int | float) and not isinstance(value, bool | Enum)


def shown(value: Any) -> str:
    """A value as the page has it."""
    text = repr(value)
    return text if len(text) <= 90 else text[:87] + "..."


@cache
def texts_of(kind: type) -> dict[str, tuple[str, str]]:
    """Unit and reason of every parameter in the numpydoc text of a class."""
    texts: dict[str, tuple[str, str]] = {}
    names: list[str] = []
    for line in inspect.getdoc(kind).partition("Parameters\n----------\n")[2].splitlines():
        if " : " in line and not line.startswith(" "):
            listed, _, described = line.partition(" : ")
            names = listed.split(", ")
            texts |= dict.fromkeys(names, (unit_of(described), ""))
        elif line.startswith(" "):
            texts |= {name: (texts[name][0], f"{texts[name][1]} {line.strip()}".strip()) for name in names}
        else:
            names = []
    return texts


def unit_of(described: str) -> str:
    """The unit in ``type, unit``; empty where there is none, as in ``(float, float)``."""
    _, _, unit = described.rpartition(", ")
    return unit if unit != described and ")" not in unit and unit != "optional" else ""


def definitions() -> dict[str, str]:
    """The published scores and the published vote in words, with the numbers that define them."""
    return {
        "CTSS": CTSS_DEFINITION,
        "Severity": severity_for(None).cutoffs,
        "Total severity score": f"{TSS_DEFINITION} ({TSS_SOURCE})",
        "Slices that vote": SLICES_DEFINITION,
        "Vote of the slices": VOTE_DEFINITION,
    }


def page() -> str:
    """The whole page."""
    found = {name: list(numbers_of(config, name)) for name, config in configurations().items()}
    lines = [HEAD.rstrip(), "", f"There are {sum(map(len, found.values()))}.", "", "## Definitions", ""]
    lines += [f"* *{name}*: {text}" for name, text in definitions().items()]
    for name in sorted(found, key=list(CHAPTERS).index):
        lines += [
            "",
            f"## {CHAPTERS[name]}",
            "",
            "| number | value | unit | what it is, and why |",
            "|---|---|---|---|",
        ]
        last = ""
        for number in found[name]:
            reason = "likewise" if number.reason == last else number.reason
            last = number.reason
            lines.append(f"| `{number.name}` | {number.value} | {number.unit} | {_cell(reason)} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return re.sub(r":\w+:`~?\.?([^`]+)`", r"`\1`", text).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
