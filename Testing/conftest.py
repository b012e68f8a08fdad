"""Fixtures that the tests of every folder may use."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import pytest

from CovidSeverityLib import Analysis, AnalysisConfig, analyze, read_ct
from CovidSeverityLib.__main__ import main
from CovidSeverityLib.classification.keras.architecture import ONE_KERNEL
from CovidSeverityLib.classification.store.installed import FOLDER_VARIABLE
from CovidSeverityLib.evaluation.synthetic.phantom import Phantom, make_phantom, write_phantom
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.segmentation.lobes.values import LobeSegmentation
from CovidSeverityLib.segmentation.lungs.lung_segmentation import LungSegmentation, segment_lungs
from Testing import orthanc as real_orthanc
from Testing.once import Once

os.environ.setdefault(*ONE_KERNEL)  # as the library does: some tests start TensorFlow before it

REPOSITORY = Path(__file__).parents[1]
COARSE = {"shape": (72, 128, 128), "spacing_mm": (3.0, 3.0, 4.4)}

MARKED = {
    "tensorflow": {"keras", "h5py"},
    "data": {"real_data"},
    "slow": {"keras", "real_ct_root", "truth_and_analysis", "fine_phantom"},
}
"""A marker of every test that depends on one of these fixtures."""

FEW_LONG_TESTS = {"test_real_cts.py", "test_phantom_accuracy.py"}
"""Files of few tests that take longer than most files of many."""


def pytest_addoption(parser):
    parser.addoption("--write-baselines", action="store_true", help="write Testing/baselines anew")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Put markers on by rule, and the files with the most slow tests first: no process is left with one at the end."""
    for item in items:
        markers = [marker for marker, fixtures in MARKED.items() if fixtures & {*getattr(item, "fixturenames", ())}]
        if item.path.is_relative_to(REPOSITORY / "Testing" / "slicer"):
            markers.append("slicer")
        for marker in markers:
            item.add_marker(marker)
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: (item.path.name not in FEW_LONG_TESTS, -slow[item.path]))


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
def real_data() -> Callable[[str], Path]:
    """``real_data(name)``: a folder of ``../shared``; a test that needs one is marked ``data``, and skipped without."""

    def folder(name: str) -> Path:
        path = REPOSITORY.parent / "shared" / name
        if not path.is_dir():
            pytest.skip(f"../shared/{name} is not on this machine")
        return path

    return folder


@pytest.fixture(scope="session")
def real_ct_root(real_data) -> Path:
    """The folder of the three real CTs."""
    return real_data("data/covid-ct-md")


@pytest.fixture(scope="session")
def real_ct(real_ct_root) -> Callable[[str], CtVolume]:
    """``real_ct(patient)``: a real CT, read once a process."""
    return cache(lambda patient: read_ct(real_ct_root / patient))


@pytest.fixture(scope="session")
def once(tmp_path_factory) -> Once:
    """``once(name, make)``: a value that is made once a run of the tests, whose processes share it."""
    base = tmp_path_factory.getbasetemp()
    return Once((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "once")


@pytest.fixture(scope="session")
def phantom_of(once) -> Callable[..., Phantom]:
    """``phantom_of(seed, **options)``: what ``make_phantom`` makes."""
    return lambda seed, **options: once(_name("phantom", seed, options), lambda: make_phantom(seed, **options))


@pytest.fixture(scope="session")
def analysis_of(once, phantom_of) -> Callable[..., Analysis]:
    """``analysis_of(profile, seed, **options)``: the analysis of a synthetic chest."""
    return lambda profile, seed, **options: once(
        _name(f"analysis-{profile}", seed, options),
        lambda: analyze(phantom_of(seed, **options).volume, AnalysisConfig.for_profile(profile)),
    )


@pytest.fixture(scope="session")
def lungs_of(once, phantom_of) -> Callable[..., LungSegmentation]:
    """``lungs_of(seed, **options)``: the lungs that are found in a synthetic chest."""
    return lambda seed, **options: once(
        _name("lungs", seed, options), lambda: segment_lungs(phantom_of(seed, **options).volume)
    )


def _name(kind: str, seed: int, options: dict) -> str:
    return f"{kind}-{hashlib.sha256(repr((seed, sorted(options.items()))).encode()).hexdigest()[:16]}"


@pytest.fixture(scope="session")
def analysed(once, real_ct) -> Callable[..., Analysis]:
    """``analysed(patient, profile)``: the analysis of a real CT."""
    return lambda patient, profile="default": once(
        f"analysed-{patient}-{profile}",
        lambda: analyze(real_ct(patient), AnalysisConfig.for_profile(profile)),
    )


@pytest.fixture(scope="session")
def coarse_phantom(phantom_of) -> Phantom:
    """Seed 1 with its whole field of view in voxels of 3 x 3 x 4.4 mm: an analysis takes about a second."""
    return phantom_of(1, **COARSE)


@pytest.fixture(scope="session")
def coarse_analysis(analysis_of) -> Analysis:
    """The default analysis of ``coarse_phantom``."""
    return analysis_of("default", 1, **COARSE)


@pytest.fixture(scope="session")
def coarse_masks(coarse_analysis) -> dict[str, LungSegmentation | LobeSegmentation]:
    """Lungs and lobes of ``coarse_analysis`` as ``analyze`` takes them: for tests of what comes after them."""
    lobes = LobeSegmentation(coarse_analysis.lobes, coarse_analysis.provenance.lobes_from, approximate=True)
    return {"lungs": LungSegmentation(coarse_analysis.lungs, coarse_analysis.provenance.lungs_from), "lobes": lobes}


@pytest.fixture(scope="session")
def reference_analysis(analysis_of) -> Analysis:
    """The analysis of ``coarse_phantom`` in the published way."""
    return analysis_of("reference", 1, **COARSE)


class Run(NamedTuple):
    """What the program did: exit status, standard output and standard error."""

    status: int
    out: str
    err: str


@pytest.fixture(scope="session")
def program() -> Callable[..., Run]:
    """A function that runs the command line in this process."""

    return partial(called, main)


def called(entry: Callable[[list[str]], int], *arguments: object) -> Run:
    """What ``entry`` does with arguments of a command line."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = entry([str(argument) for argument in arguments])
        except SystemExit as left:
            status = left.code
    return Run(status, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def call() -> Callable[..., Run]:
    """``call(main, *arguments)``: a program of ``models/``, run in this process."""
    return called


@pytest.fixture(scope="session")
def chest_folder(once, coarse_phantom) -> Path:
    """A folder with the files of ``coarse_phantom``: ct, lungs, lobes and infection, each .nii.gz, and truth.json."""

    def written() -> Path:
        folder = once.folder / "chest"
        write_phantom(coarse_phantom, folder)
        return folder

    return once("chest-folder", written)


@pytest.fixture(scope="session")
def orthanc(tmp_path_factory) -> Iterator[real_orthanc.Orthanc]:
    """A real PACS that holds nothing yet and knows one user; a test that needs it is skipped where it is absent."""
    missing = real_orthanc.missing_orthanc()
    if missing:
        pytest.skip(missing)
    running, process = real_orthanc.start(tmp_path_factory.mktemp("orthanc"), "reader", "Schlüssel 1")
    yield running
    real_orthanc.stop(process)


@pytest.fixture(scope="session")
def training_factory():
    """The module ``unit/training_factory.py``: small CTs of made-up patients."""
    return _unit_module("training_factory")


@pytest.fixture(scope="session")
def tiny_chest(phantom_of) -> Phantom:
    """A normal chest in voxels of 8 x 8 x 13 mm: its lungs are found in a fraction of a second."""
    return phantom_of(1, shape=(24, 48, 48), spacing_mm=(8.0, 8.0, 13.0), healthy=True)
