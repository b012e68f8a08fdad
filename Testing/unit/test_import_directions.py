"""The library's files import each other in one direction only, and ``analyze`` loads no more than it uses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import SimpleITK as sitk

from CovidSeverityLib.evaluation.synthetic.phantom import write_phantom
from Testing.import_graph import against_order, circles, graph_of_packages, import_graph

ROOT = Path(__file__).parents[2]
LIBRARY = "CovidSeverityLib"

ORDER = (
    ("__main__",),
    ("commands",),
    ("batch",),
    ("evaluation", "api", "analysis_request"),
    ("pipeline",),
    ("analysis", "followup"),
    ("reporting",),
    ("findings",),
    ("classification", "correction", "config"),
    ("features",),
    ("segmentation",),
    ("preprocessing",),
    ("io",),
    ("morphology", "formats", "parallel", "stage_clock", "checked", "checksums"),
    ("types", "errors", "ctss", "metrics", "plain", "version"),
    ("immutable",),
)
"""The rooms from the roof to the ground. A room imports rooms below it, never one beside or above it."""

ROOMS_THAT_MAY_EVALUATE = ("evaluation", "commands")

NOT_LOADED_BY_ANALYZE = (
    f"{LIBRARY}.evaluation.",
    f"{LIBRARY}.classification.training.",
    f"{LIBRARY}.followup.",
    f"{LIBRARY}.commands.",
    "matplotlib.",
    "jinja2.",
    "reportlab.",
    "scipy.interpolate.",
    "scipy.signal.",
    "scipy.stats.",
    "tensorflow.",
    "keras.",
    "torch.",
    "pandas.",
    "sklearn.",
    "statsmodels.",
    "pingouin.",
    "dicomweb_client.",
)
"""Beginnings of module names. The phantom and the simulated lesions are part of ``evaluation``; the parts of SciPy take
half a second to load."""

ANALYZE_A_CHEST = """
import sys

from CovidSeverityLib import analyze, read_ct

assert analyze(read_ct(sys.argv[1])).lungs.any()
print(*sorted(sys.modules), sep="\\n")
"""


READ_AN_IMAGE = """
import sys

import CovidSeverityLib.commands.analyze
from CovidSeverityLib import read_ct

assert read_ct(sys.argv[1]).hu.any()
print(*sorted(sys.modules), sep="\\n")
"""

NOT_LOADED_FOR_IMAGES = ("pydicom.", "requests.", *NOT_LOADED_BY_ANALYZE[4:])
"""The command line is loaded, of which the first four are part. (nibabel, for NIfTI, loads pydicom.)"""


@pytest.fixture(scope="module")
def graph():
    """All imports, those inside functions and those for type checkers too."""
    graph = import_graph(ROOT, LIBRARY)
    assert f"{LIBRARY}.analysis" in graph[f"{LIBRARY}.pipeline"]
    return graph


def test_no_files_import_each_other_in_a_circle(graph):
    assert circles(graph) == []


def test_no_packages_of_any_level_import_each_other_in_a_circle(graph):
    levels = range(2, 1 + max(name.count(".") + 1 for name in graph))
    assert len(levels) >= 3
    assert {level: circles(graph_of_packages(graph, level)) for level in levels} == {level: [] for level in levels}


def test_rooms_import_downwards_only(graph):
    rooms = graph_of_packages(graph)
    rooms.pop(LIBRARY)  # the public names, which nothing below may import: see the next test
    assert against_order(rooms, [[f"{LIBRARY}.{name}" for name in names] for names in ORDER]) == []


def test_nothing_inside_imports_the_list_of_public_names(graph):
    assert [name for name, imported in graph.items() if LIBRARY in imported] == []


def test_only_evaluation_and_commands_import_evaluation(graph):
    rooms = graph_of_packages(graph)
    importers = {name for name, imported in rooms.items() if f"{LIBRARY}.evaluation" in imported}
    assert importers <= {f"{LIBRARY}.{name}" for name in ROOMS_THAT_MAY_EVALUATE}


@pytest.mark.slow
def test_analyze_loads_nothing_of_evaluation_training_plots_or_networks(tiny_chest, tmp_path):
    write_phantom(tiny_chest, tmp_path)
    loaded = loaded_by(ANALYZE_A_CHEST, tmp_path / "ct.nii.gz")
    assert f"{LIBRARY}.segmentation.lungs.lung_segmentation" in loaded
    assert [name for name in loaded if f"{name}.".startswith(NOT_LOADED_BY_ANALYZE)] == []


def test_images_are_read_without_what_is_for_dicom(tiny_chest, tmp_path):
    sitk.WriteImage(tiny_chest.volume.to_image(), str(tmp_path / "ct.mha"))
    loaded = loaded_by(READ_AN_IMAGE, tmp_path / "ct.mha")
    assert f"{LIBRARY}.io.metaimage" in loaded
    assert [name for name in loaded if f"{name}.".startswith(NOT_LOADED_FOR_IMAGES)] == []


def loaded_by(code, path):
    command = [sys.executable, "-W", "error", "-c", code, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()
