"""Constants of the library: one name has one value."""

import ast
from collections import defaultdict
from pathlib import Path

LIBRARY = Path(__file__).parents[2] / "CovidSeverityLib"

LEFT = {
    *("AIR_HU", "CANDIDATES", "DIAMETER_RANGE_MM", "FAT_HU", "FEWEST_PIXELS", "MUSCLE_HU", "OUTLINE_NOISE", "RIM_PART"),
    *("COLUMNS", "DETAILS_LENGTH", "DPI", "HEADINGS_Y", "LEGEND_Y", "TILES_BOTTOM"),
    *("MAX_THREADS", "UNITS_MM"),
}
"""Names that still have two values: of phantom and simulated lesions, of reports, of readers. It must shrink."""


def constants(root):
    """Values of the constants that hold numbers, as they are written: ``{name: {value: modules}}``."""
    found = defaultdict(lambda: defaultdict(list))
    for path in sorted(root.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            for name, value in pairs(node):
                if name.lstrip("_").isupper() and has_number(value):
                    found[name.lstrip("_")][ast.unparse(value)].append(path.relative_to(root).as_posix())
    return found


def pairs(node):
    """Names and values of an assignment; a tuple of names takes its values one by one."""
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        return [(ast.unparse(node.target), node.value)]
    if not isinstance(node, ast.Assign):
        return []
    target, value = node.targets[0], node.value
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return [(ast.unparse(t), v) for t, v in zip(target.elts, value.elts, strict=True)]
    return [(ast.unparse(target), value)]


def has_number(value):
    return any(isinstance(n, ast.Constant) and type(n.value) in (int, float) for n in ast.walk(value))


def ambiguous(root):
    """Names that have two values."""
    return {name: dict(values) for name, values in constants(root).items() if len(values) > 1}


def test_no_name_has_two_values():
    assert ambiguous(LIBRARY).keys() == LEFT


def test_second_value_is_found(tmp_path):
    (tmp_path / "a.py").write_text("EDGE_MM, WIDTH_MM = 1.0, 2.0\nBINS: int = 3\nNAME = 'x'\n")
    (tmp_path / "b.py").write_text("_EDGE_MM = 1.5\nBINS = 3\nNAME = 'y'\n")
    assert ambiguous(tmp_path) == {"EDGE_MM": {"1.0": ["a.py"], "1.5": ["b.py"]}}
