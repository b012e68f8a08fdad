"""The extension as the Extensions Index builds it: all files listed, a valid description, a working installed tree."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from CovidSeverityLib.evaluation.synthetic.phantom import write_phantom

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "CovidSeverityLib"
MODULE = ROOT / "CovidSeverity"
STAND_IN = Path(__file__).parent / "cmake"
MODULES_FOLDER = Path("lib/Slicer-5.12/qt-scripted-modules")

CATALOG_ENTRY_SCHEMA = (
    "https://raw.githubusercontent.com/Slicer/Slicer/main/Schemas/slicer-extension-catalog-entry-schema-v1.0.1.json#"
)
CATALOG_ENTRY_TYPES = {
    "$schema": str,
    "category": str,
    "scm_url": str,
    "scm_revision": str,
    "scm_type": str,
    "build_dependencies": list,
    "build_subdirectory": str,
    "enabled": bool,
    "tier": int,
}
"""Properties that the schema knows; it forbids all others, and needs the first three."""

TIERS = (1, 3, 5)

LICENCE_NAMES = ("LICENSE", "LICENCE", "License.txt", "license.txt", "LICENSE.txt", "COPYING", "COPYING.txt")
"""Names that the index's own check looks for in the root of the repository."""

CLONE_MB = 100
"""Largest clone that the index's maintainers accept, MB."""

PARTS = ("CovidSeverity", "CovidSeveritySlicer", "CovidSeverityLib")

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def listed(cmake_file, variable):
    """Entries of ``set(variable ...)`` in a CMake file."""
    text = cmake_file.read_text(encoding="utf-8")
    (entries,) = re.findall(rf"^set\({variable}\n(.*?)^\s*\)", text, re.DOTALL | re.MULTILINE)
    return [entry.replace("${MODULE_NAME}", "CovidSeverity") for entry in entries.split()]


def files_of(folder, *, python):
    """Files below ``folder`` that belong to the product, as CMake names them."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    kept = (path for path in found if "__pycache__" not in path.parts and path.name != "CMakeLists.txt")
    return sorted(path.as_posix() for path in kept if (path.suffix == ".py") is python)


def catalog_entry_path():
    """The only JSON file in the root of the repository, which is what the index gets."""
    (path,) = ROOT.glob("*.json")
    return path


def catalog_entry():
    return json.loads(catalog_entry_path().read_bytes())


@pytest.mark.parametrize(
    ("folder", "variable", "python"),
    [
        (LIBRARY, "LIBRARY_PYTHON_SCRIPTS", True),
        (LIBRARY, "LIBRARY_RESOURCES", False),
        (MODULE, "MODULE_PYTHON_SCRIPTS", True),
        (MODULE, "MODULE_PYTHON_RESOURCES", False),
    ],
)
def test_cmake_lists_every_file(folder, variable, python):
    assert sorted(listed(folder / "CMakeLists.txt", variable)) == files_of(folder, python=python)


def test_cmake_lists_every_file_of_models_that_is_shipped():
    shipped = sorted(path.name for path in (ROOT / "models").iterdir() if path.is_file())
    assert sorted(listed(LIBRARY / "CMakeLists.txt", "LIBRARY_MODEL_FILES")) == shipped


def test_the_catalog_entry_has_the_properties_of_its_schema():
    entry = catalog_entry()
    assert {name: type(value) for name, value in entry.items()} == {name: CATALOG_ENTRY_TYPES[name] for name in entry}
    assert {"$schema", "category", "scm_url"} <= set(entry)
    assert entry["$schema"] == CATALOG_ENTRY_SCHEMA
    assert entry["tier"] in TIERS
    assert all(isinstance(name, str) for name in entry["build_dependencies"])


def test_the_catalog_entry_is_in_the_category_of_the_module():
    source = (MODULE / "CovidSeverity.py").read_text(encoding="utf-8")
    assert re.findall(r'parent\.categories = \[_\("([^"]+)"\)\]', source) == [catalog_entry()["category"]]


def test_the_catalog_entry_leads_to_a_branch_by_https():
    entry = catalog_entry()
    assert re.fullmatch(r"https://[^/]+/(?:[\w.-]+/)*[\w.-]+\.git", entry["scm_url"])
    assert entry["scm_revision"] == "main"  # a hash would need a pull request for every change
    assert (ROOT / entry["build_subdirectory"] / "CMakeLists.txt").is_file()


def test_the_repository_is_one_that_the_index_packages_itself():
    """Without C++ and without other extensions its own CI builds the package; it looks at names of files only."""
    assert catalog_entry()["build_dependencies"] == []
    folders = [path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")]
    assert [path for folder in folders for ending in ("cxx", "h") for path in folder.rglob(f"*.{ending}")] == []
    assert [name for name in LICENCE_NAMES if (ROOT / name).is_file()] == ["LICENSE.txt"]


def test_a_clone_of_the_repository_is_small():
    if not (ROOT / ".git").is_dir():
        pytest.skip("this is no clone")
    sizes = [path.stat().st_size for path in (ROOT / ".git").rglob("*") if path.is_file()]
    assert sum(sizes) < CLONE_MB * 1e6


def test_the_catalog_entry_is_called_like_the_extension():
    assert not catalog_entry_path().stem.lower().startswith("slicer")
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    assert re.findall(r"^project\((\w+)\)$", text, re.MULTILINE) == [catalog_entry_path().stem]
    assert b"\r" not in catalog_entry_path().read_bytes()


@pytest.fixture(scope="module")
def addresses():
    """``docs/set_address.py``."""
    spec = importlib.util.spec_from_file_location("set_address", ROOT / "docs" / "set_address.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def extension_urls():
    """The addresses in CMakeLists.txt, by variable, as the index's own check finds them."""
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    found = re.findall(r'set\s*\((EXTENSION_(?:HOMEPAGE|ICONURL|SCREENSHOTURLS))\s*"([^"]+)"[ ]*\)', text)
    return {variable: urls.split() for variable, urls in found}


def test_all_addresses_are_of_one_repository(addresses):
    address, urls = addresses.address(), extension_urls()
    assert urls["EXTENSION_HOMEPAGE"] == [address]
    pictures = [*urls["EXTENSION_ICONURL"], *urls["EXTENSION_SCREENSHOTURLS"]]
    assert len(pictures) == 3
    for picture in pictures:
        inside = picture.removeprefix(f"{address}/raw/main/")
        assert (ROOT / inside).read_bytes().startswith(PNG_SIGNATURE)


def test_repository_is_called_as_the_index_wants_it(addresses):
    assert addresses.ADDRESS.fullmatch(addresses.address())


def test_a_release_has_an_address(addresses):
    released = "(unreleased)" not in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## ")[1]
    assert not released or addresses.UNSET_HOST not in addresses.address(), "run docs/set_address.py"


def test_address_is_set_in_both_files(addresses, tmp_path, monkeypatch):
    for name in ("ENTRY", "BUILD"):
        path = tmp_path / getattr(addresses, name).name
        path.write_bytes(getattr(addresses, name).read_bytes())
        monkeypatch.setattr(addresses, name, path)
    old, new = addresses.address(), "https://github.com/some-one/SlicerCovidSeverity"
    assert addresses.main([new]) == 0
    assert addresses.address() == new
    assert old not in addresses.BUILD.read_text(encoding="utf-8")
    assert addresses.BUILD.read_text(encoding="utf-8").count(new) == 4
    assert b"\r" not in addresses.ENTRY.read_bytes()
    for wrong in ([], ["github.com/x/SlicerCovidSeverity"], ["https://github.com/x/CovidSeverity"]):
        assert addresses.main(wrong) == 2
    assert addresses.address() == new


@pytest.mark.parametrize("path", ["CovidSeverity.png", "CovidSeverity/Resources/Icons/CovidSeverity.png"])
def test_icons_have_the_size_that_slicer_asks_for(path):
    header = (ROOT / path).read_bytes()[:24]
    assert header.startswith(PNG_SIGNATURE)
    assert struct.unpack(">II", header[16:24]) == (128, 128)


def _tool(*names):
    beside = [Path(sys.executable).parent / name for name in names]
    return next((str(path) for path in beside if path.is_file()), None) or next(
        filter(None, map(shutil.which, names)), None
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder of scripted modules of an extension that CMake has configured, built and installed."""
    cmake = _tool("cmake")
    if cmake is None or _tool("ninja", "make") is None or _tool("c++", "g++", "clang++") is None:
        pytest.skip("CMake, make or a C++ compiler is not on this machine (pip install '.[slicer-test]' brings CMake)")
    generator = ["-G", "Unix Makefiles"] if _tool("ninja") is None else ["-G", "Ninja"]
    build, target = tmp_path_factory.mktemp("build"), tmp_path_factory.mktemp("installed")
    configured = subprocess.run(
        [cmake, *generator, f"-DSlicer_DIR={STAND_IN}", f"-DCMAKE_INSTALL_PREFIX={target}", "-S", ROOT, "-B", build],
        capture_output=True,
        text=True,
    )
    assert configured.returncode == 0, configured.stderr
    (build / "configured.txt").write_text(configured.stdout, encoding="utf-8")
    subprocess.run([cmake, "--build", build, "-j2"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([cmake, "--install", build], check=True, stdout=subprocess.DEVNULL)
    return build, target / MODULES_FOLDER


@pytest.mark.slow
def test_cmake_configures_as_the_index_packages_it(installed, tmp_path):
    """The index's own CI packages without tests."""
    options = [f"-DSlicer_DIR={STAND_IN}", "-DBUILD_TESTING=OFF", "-S", ROOT, "-B", tmp_path]
    configured = subprocess.run([_tool("cmake"), *options], capture_output=True, text=True)
    assert configured.returncode == 0, configured.stderr
    assert not list(tmp_path.rglob("*GenericTest.py"))


def _python(folder, work, *arguments):
    environment = os.environ | {"PYTHONPATH": str(folder), "MPLBACKEND": "Agg"}
    run = subprocess.run([sys.executable, *arguments], cwd=work, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.slow
def test_the_installed_tree_holds_the_module_the_library_and_nothing_else(installed):
    _, folder = installed
    assert sorted(path.name for path in folder.iterdir()) == [
        "CovidSeverity.py",
        "CovidSeverityLib",
        "CovidSeveritySlicer",
        "Resources",
    ]
    for path in ("segmentation/lobes/lobe_atlas_LICENSE.txt", "reporting/report.schema.json", "models/manifest.json"):
        assert (folder / "CovidSeverityLib" / path).is_file()


@pytest.mark.slow
def test_the_installed_library_analyses_a_ct(installed, tiny_chest, tmp_path):
    _, folder = installed
    write_phantom(tiny_chest, tmp_path)
    assert _python(folder, tmp_path, "-c", "import CovidSeverityLib as lib; print(lib.__file__)").startswith(
        str(folder)
    )
    _python(folder, tmp_path, "-m", "CovidSeverityLib", "analyze", "ct.nii.gz", "-o", "results", "--quiet")
    report = json.loads((tmp_path / "results" / "report.json").read_bytes())
    assert 1 <= report["ctss"]["total"] <= 25


@pytest.mark.slow
def test_the_installed_library_finds_its_own_list_of_models(installed, tmp_path):
    _, folder = installed
    stranger = folder / "models"
    stranger.mkdir()
    try:
        (stranger / "manifest.json").write_text("not ours", encoding="utf-8")
        module = "CovidSeverityLib.classification.store.catalogue"
        code = f"from {module} import known_models as k; print(*(m.name for m in k()))"
        assert "published-b5" in _python(folder, tmp_path, "-c", code).split()
    finally:
        shutil.rmtree(stranger)


@pytest.fixture
def without_source_tree(monkeypatch):
    """Python without the module's parts in memory, and without the source tree on its path."""
    kept = {name: part for name, part in sys.modules.items() if name.split(".")[0] in PARTS}
    for name in kept:
        del sys.modules[name]
    monkeypatch.setattr(
        sys, "path", [folder for folder in sys.path if Path(folder or ".").resolve() not in (ROOT, MODULE)]
    )
    yield
    for name in [name for name in sys.modules if name.split(".")[0] in PARTS]:
        del sys.modules[name]
    sys.modules.update(kept)


def test_the_installed_module_shows_its_panel(installed, slicer_with_qt, without_source_tree):
    _, folder = installed
    module = slicer_with_qt.app.moduleManager().load(folder / "CovidSeverity.py")
    assert not module.icon.isNull()
    widget = slicer_with_qt.util.getModuleWidget("CovidSeverity")
    assert widget.ui.analyzeButton.text == "Analyze"
    assert sys.modules["CovidSeveritySlicer"].__file__ == str(folder / "CovidSeveritySlicer" / "__init__.py")


@pytest.mark.slow
def test_ctest_runs_the_generic_tests_and_the_self_tests(installed):
    build, _ = installed
    names = subprocess.run([_tool("ctest"), "-N"], cwd=build, check=True, capture_output=True, text=True).stdout
    assert re.findall(r"Test +#\d+: (\w+)", names) == [
        "py_nomainwindow_qSlicerCovidSeverityModuleGenericTest",
        "py_CovidSeverity",
        "py_CovidSeverityPackageTest",
    ]


@pytest.mark.slow
def test_the_licence_is_the_extensions_own(installed):
    build, _ = installed
    stated = (build / "configured.txt").read_text(encoding="utf-8")
    assert f"EXTENSION_LICENSE_FILE={ROOT / 'LICENSE.txt'}" in stated
    assert "EXTENSION_DEPENDS=NA" in stated
