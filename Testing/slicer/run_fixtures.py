"""Fixtures of tests that run analyses: a small chest, its result at hand, and child processes of every kind."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

MODULE_FILE = Path(__file__).parents[2] / "CovidSeverity" / "CovidSeverity.py"


@pytest.fixture(scope="session")
def a_small_chest():
    """A synthetic chest of 5 x 5 x 8 mm: an analysis takes a few seconds."""
    from CovidSeverityLib.evaluation.synthetic.phantom import make_phantom

    return make_phantom(1, shape=(40, 72, 72), spacing_mm=(5.0, 5.0, 8.0))


@pytest.fixture(scope="session")
def a_written_result(a_small_chest, program, tmp_path_factory):
    """The folder that the program writes for the small chest."""
    from CovidSeverityLib.evaluation.synthetic.phantom import write_phantom

    folder = tmp_path_factory.mktemp("written")
    write_phantom(a_small_chest, folder)
    ran = program("analyze", folder / "ct.nii.gz", "-o", folder / "out", "--quiet", "--classifier", "none")
    assert ran.status == 0, ran.err
    return folder / "out"


@pytest.fixture
def a_volume_node(ct_node, a_small_chest):
    """The small chest in the scene, under the name of a patient."""
    return ct_node(a_small_chest.volume, "Jane Doe")


@pytest.fixture
def python_job():
    """``python_job(code)`` makes jobs that run ``code`` with the arguments of the library's command."""
    from CovidSeveritySlicer.analysis.Job import Job

    def make(code):
        return lambda arguments, **parts: Job([sys.executable, "-c", code, *arguments], **parts)

    return make


@pytest.fixture
def copying_job(python_job, a_written_result):
    """Makes jobs that have the result of the small chest at hand."""
    return python_job(
        "import json, shutil, sys; shutil.copytree("
        f"{str(a_written_result)!r}, sys.argv[sys.argv.index('-o') + 1]); "
        "print(json.dumps({'stage': 'write', 'done': 1, 'total': 1}))"
    )


@pytest.fixture
def module_file():
    """The file that Slicer loads."""
    return MODULE_FILE
