"""Fixtures that the tests of every folder may use."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from CovidSeverityLib import Analysis, analyze, read_ct
from CovidSeverityLib.__main__ import main
from CovidSeverityLib.classification.keras.architecture import ONE_KERNEL
from CovidSeverityLib.classification.store.installed import FOLDER_VARIABLE
from CovidSeverityLib.evaluation.synthetic.phantom import Phantom, make_phantom, write_phantom

os.environ.setdefault(*ONE_KERNEL)  # as the library does: some tests start TensorFlow before it

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session", autouse=True)
def no_models(tmp_path_factory):
    """A model store without models: no test may depend on what its user has installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER_VARIABLE, str(tmp_path_factory.mktemp("models")))
        yield


def _unit_module(name: str):
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, REPOSITORY / "Testing" / "unit" / f"{name}.py")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder that holds README.md."""
    return REPOSITORY


@pytest.fixture(scope="session")
def factory():
    """The module ``unit/analysis_factory.py``: small analyses of made-up chests."""
    return _unit_module("analysis_factory")


@pytest.fixture(scope="session")
def real_ct_root() -> Path:
    """The folder of the three real CTs; a test that asks for it is skipped where it is absent."""
    root = REPOSITORY.parent / "shared" / "data" / "covid-ct-md"
    if not root.is_dir():
        pytest.skip("real CTs (../shared/data/covid-ct-md) are not on this machine")
    return root


@pytest.fixture(scope="session")
def analysed(real_ct_root) -> Callable[[str], Analysis]:
    """``analysed(patient)``: the default analysis of a real CT, made once."""
    return cache(lambda patient: analyze(read_ct(real_ct_root / patient)))


@pytest.fixture(scope="session")
def coarse_phantom() -> Phantom:
    """Seed 1 with its whole field of view in voxels of 3 x 3 x 4.4 mm: an analysis takes about a second."""
    return make_phantom(1, shape=(72, 128, 128), spacing_mm=(3.0, 3.0, 4.4))


@pytest.fixture(scope="session")
def coarse_analysis(coarse_phantom) -> Analysis:
    """The default analysis of ``coarse_phantom``."""
    return analyze(coarse_phantom.volume)


class Run(NamedTuple):
    """What the program did: exit status, standard output and standard error."""

    status: int
    out: str
    err: str


@pytest.fixture(scope="session")
def program() -> Callable[..., Run]:
    """A function that runs the command line in this process."""

    def run(*arguments: object) -> Run:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = main([str(argument) for argument in arguments])
            except SystemExit as left:
                status = left.code
        return Run(status, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="session")
def chest_folder(coarse_phantom, tmp_path_factory) -> Path:
    """A folder with the files of ``coarse_phantom``: ct, lungs, lobes and infection, each .nii.gz, and truth.json."""
    folder = tmp_path_factory.mktemp("chest")
    write_phantom(coarse_phantom, folder)
    return folder


@pytest.fixture(scope="session")
def training_factory():
    """The module ``unit/training_factory.py``: small CTs of made-up patients."""
    return _unit_module("training_factory")


@pytest.fixture(scope="session")
def tiny_chest() -> Phantom:
    """A normal chest in voxels of 8 x 8 x 13 mm: its lungs are found in a fraction of a second."""
    return make_phantom(1, shape=(24, 48, 48), spacing_mm=(8.0, 8.0, 13.0), healthy=True)
