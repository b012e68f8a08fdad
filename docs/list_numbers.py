"""Write ``numbers.md``: every number that decides where lungs and opacities are, as the code has it.

Run from the root of the repository::

    python docs/list_numbers.py

The page is made of the code alone: names and values of constants and configuration fields, and the text under them,
which says the unit and where a number comes from. A test holds the page against the code.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LIBRARY = Path(__file__).parents[1] / "CovidSeverityLib"
PAGE = Path(__file__).with_name("numbers.md")

CHAPTERS = {
    "Reading of the image": ("preprocessing/grid.py", "preprocessing/window.py"),
    "Body, airways, aerated lung": (
        "preprocessing/thorax.py",
        "preprocessing/airways.py",
        "preprocessing/sides.py",
        "preprocessing/lungs.py",
        "preprocessing/slice_lungs.py",
    ),
    "Whole lungs": (
        "preprocessing/completion.py",
        "preprocessing/islands.py",
        "preprocessing/rib_cage.py",
        "preprocessing/hidden_lung.py",
        "preprocessing/expected_shape.py",
        "preprocessing/airless_pieces.py",
        "preprocessing/boundary.py",
    ),
    "Opacity": (
        "segmentation/lesion_config.py",
        "segmentation/parenchyma.py",
        "segmentation/lung_features.py",
        "segmentation/opacity_classifier.py",
        "segmentation/consolidation.py",
    ),
}

HEAD = """# Numbers that decide

Every number by which the default profile tells what is lung and what is opacity, with its unit (`_MM`, `_HU`, `_ML`;
a `_SHARE` is a part of 1) and where it comes from. Not here: the weights of the opacity classifier, which are fitted
(`segmentation/opacity_classifier.json`, with its data sheet), and numbers that only say when a reader is warned. This
page is written by `docs/list_numbers.py` from the code.
"""


NUMERICAL = frozenset(
    {
        "lungs.NOTED_AIRLESS_SHARE",
        "slice_lungs.COPIES",
        "slice_lungs.COPY_MM",
        "rib_cage.ANGLES",
        "expected_shape.MODEL_STEP_MM",
        "expected_shape.MODEL_SIZE",
        "expected_shape.MODEL_ORIGIN_MM",
        "expected_shape.SAMPLES",
        "expected_shape.AFFINE_ROUNDS",
        "hidden_lung.MARGIN_MM",
        "hidden_lung.NEAR_SURFACE_MM",
        "parenchyma.BIN_HU",
        "lung_features.MARGIN_BLOCKS",
        "lung_features.LEAST_WEIGHT",
        "lung_features.TRUNCATE",
        "opacity_classifier.CHUNK",
    }
)
"""Steps, margins and limits of the computation, and what only makes a note: no result hangs on their exact value."""


@dataclass(frozen=True)
class Number:
    """A constant or a field of a configuration: its name, its value as the code has it, and the text under it."""

    name: str
    value: str
    reason: str


def numbers_of(path: Path) -> list[Number]:
    """The numbers of a module, in its order; constants that share a text follow each other."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return _with_reasons(list(_statements(tree)))


def _statements(tree: ast.Module) -> Iterator[tuple[str, str] | str]:
    """Names with their values, and texts, in a module's order; fields of configurations have their class's text."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name.endswith("Config"):
            reasons = _field_reasons(ast.get_docstring(node) or "")
            for field in node.body:
                if isinstance(field, ast.AnnAssign) and field.value is not None and _has_number(field.value):
                    yield ast.unparse(field.target), ast.unparse(field.value)
                    yield reasons[ast.unparse(field.target)]
        elif isinstance(node, ast.Assign) and _is_number(node):
            yield from _pairs(node)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield " ".join(node.value.value.split())


def _is_number(node: ast.Assign) -> bool:
    return ast.unparse(node.targets[0]).replace("(", "").isupper() and _has_number(node.value)


def _has_number(value: ast.expr) -> bool:
    numbers = (int, float)
    return any(isinstance(n, ast.Constant) and type(n.value) in numbers for n in ast.walk(value))


def _pairs(node: ast.Assign) -> Iterator[tuple[str, str]]:
    target, value = node.targets[0], node.value
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        yield from ((ast.unparse(t), ast.unparse(v)) for t, v in zip(target.elts, value.elts, strict=True))
    else:
        yield ast.unparse(target), ast.unparse(value)


def _field_reasons(docstring: str) -> dict[str, str]:
    """The text of every parameter of a numpydoc text that is written ``name : text``."""
    reasons: dict[str, str] = {}
    names: list[str] = []
    for line in docstring.splitlines():
        if " : " in line and not line.startswith(" "):
            listed, _, text = line.partition(" : ")
            names = listed.split(", ")
            reasons |= dict.fromkeys(names, text)
        elif line.startswith(" "):
            reasons |= {name: f"{reasons[name]} {line.strip()}" for name in names}
    return reasons


def _with_reasons(statements: list[tuple[str, str] | str]) -> list[Number]:
    found: list[Number] = []
    waiting: list[tuple[str, str]] = []
    for statement in statements:
        if isinstance(statement, tuple):
            waiting.append(statement)
        else:
            found += [Number(name, value, statement) for name, value in waiting]
            waiting = []
    return found + [Number(name, value, "") for name, value in waiting]


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
