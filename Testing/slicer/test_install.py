"""Packages that are missing: asked for, installed by a real pip from a folder of wheels, declined, failing, offline."""

from __future__ import annotations

import importlib
import shlex
import subprocess
import sys
import types
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed (pip install '.[slicer-test]')")

import slicer.util
from CovidSeveritySlicer.analysis import Install, OfflineInstall
from CovidSeveritySlicer.analysis.Install import InstallDeclined, InstallFailed, ensurePackages, missingPackages
from packaging.requirements import Requirement

REPOSITORY = Path(__file__).parents[2]
SHIPPED_BY_SLICER = {"numpy", "scipy", "SimpleITK", "pydicom", "requests", "pillow"}  # of the library's requirements

WANTED = "covid-severity-probe"
CLASSIFIER = "covid-severity-network"
CLUSTER = "covid-severity-cluster"


def make_wheel(folder, name, version, requires=()):
    """Write a wheel with one empty module."""
    stem = f"{name.replace('-', '_')}-{version}"
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {r}" for r in requires),
    ]
    files = {
        f"{name.replace('-', '_')}.py": "",
        f"{stem}.dist-info/METADATA": "\n".join(lines) + "\n",
        f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in (*files, f"{stem}.dist-info/RECORD"))
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as wheel:
        for path, text in (*files.items(), (f"{stem}.dist-info/RECORD", record)):
            wheel.writestr(path, text)


def unpack_wheel(folder, site):
    """What pip makes of a wheel of :func:`make_wheel`."""
    (wheel,) = folder.iterdir()
    zipfile.ZipFile(wheel).extractall(site)


@pytest.fixture
def wheels(tmp_path):
    folder = tmp_path / "wheels"
    make_wheel(folder, WANTED, "1.5")
    make_wheel(folder, CLASSIFIER, "2.20")
    make_wheel(folder, CLUSTER, "2025.3")
    return folder


class Dialogs:
    """Answers what ``slicer.util`` asks, and remembers it."""

    def __init__(self):
        self.answer, self.asked = True, []

    def confirm(self, text, windowTitle=None, **_):  # noqa: N803 (Slicer's name)
        self.asked.append((windowTitle, text))
        return self.answer


@pytest.fixture
def dialogs(monkeypatch):
    dialogs = Dialogs()
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", dialogs.confirm)
    return dialogs


class Pip:
    """A real pip that finds packages in a folder only, and installs them where this process finds them."""

    def __init__(self, wheels, site):
        self.wheels, self.site, self.requests, self.constraints = wheels, site, [], None

    def __call__(self, requirements):
        """As ``slicer.util.pip_install`` of Slicer 5.10 runs it."""
        self.requests.append(list(requirements))
        if "-c" in requirements:
            path = Path(requirements[requirements.index("-c") + 1])
            self.constraints = path.read_text(encoding="utf-8").splitlines()
        offline = ["--no-index", "--find-links", self.wheels, "--target", self.site, "--disable-pip-version-check"]
        offline.append("--no-warn-conflicts")  # looking for them among all packages takes a second
        command = [sys.executable, "-m", "pip", "install", *requirements, *offline]
        ran = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        if ran.returncode:
            raise subprocess.CalledProcessError(ran.returncode, command, output=ran.stdout)


@pytest.fixture
def pip(monkeypatch, wheels, tmp_path):
    """With it, the packages that are wanted are those of ``wheels``."""
    resources, site = tmp_path / "Resources", tmp_path / "site"
    resources.mkdir()
    site.mkdir()
    (resources / Install.REQUIREMENTS).write_text(f"# comment\n\n{WANTED}>=1.4\nnumpy>=1.26\n", encoding="utf-8")
    (resources / Install.EXTRAS["classifier"]).write_text(f"{CLASSIFIER}>=2.16\n", encoding="utf-8")
    (resources / Install.EXTRAS["batch"]).write_text(f"{CLUSTER}>=2025.1\n", encoding="utf-8")
    monkeypatch.setattr(Install, "RESOURCES", resources)
    monkeypatch.syspath_prepend(str(site))
    return Pip(wheels, site)


@pytest.fixture(params=["5.10", "5.12"])
def version(request, monkeypatch, slicer, pip, dialogs):
    """A Slicer of this version, not in its testing mode."""
    monkeypatch.setattr(slicer.app, "testingEnabled", lambda: False, raising=False)
    monkeypatch.setattr(slicer.util, "pip_install", pip)
    if request.param == "5.10":
        monkeypatch.setitem(sys.modules, "slicer.packaging", None)
        importlib.invalidate_caches()
    else:
        monkeypatch.setitem(sys.modules, "slicer.packaging", packaging_of_5_12(slicer, pip))
    return request.param


def packaging_of_5_12(slicer, pip):
    """``slicer.packaging``, which the wheel of Slicer lacks: what it asks, raises, and does in testing mode."""
    module = types.ModuleType("slicer.packaging")

    def pip_ensure(
        requirements,
        constraints=None,
        skip_packages=None,
        prompt_install=True,
        prompt_restart=True,
        requester=None,
        skip_in_testing=True,
        show_progress=True,
    ):
        if skip_in_testing and slicer.app.testingEnabled():
            return
        title = f"{requester} - Install Python Packages"
        if prompt_install and not slicer.util.confirmOkCancelDisplay("\n".join(requirements), title, detailedText=""):
            raise RuntimeError("User declined package installation")
        pip([*requirements, "-c", constraints])

    module.pip_ensure = pip_ensure
    return module


# What is wanted


def library_requirements(extra=None):
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 reads no TOML")
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["optional-dependencies"][extra] if extra else project["dependencies"]


def requirement_lines(name):
    lines = (REPOSITORY / "CovidSeverity" / "Resources" / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


def test_requirements_are_those_of_the_library_less_what_slicer_ships():
    expected = [line for line in library_requirements() if Requirement(line).name not in SHIPPED_BY_SLICER]
    assert requirement_lines("requirements.txt") == expected
    assert requirement_lines("requirements-classify.txt") == library_requirements("classify")
    assert requirement_lines("requirements-batch.txt") == library_requirements("batch")
    assert requirement_lines("requirements-lungmask.txt") == library_requirements("lungmask")
    assert requirement_lines("requirements-download.txt") == library_requirements("download")
    assert len(expected) == len(library_requirements()) - len(SHIPPED_BY_SLICER)


def test_nothing_that_slicer_ships_is_wanted_and_all_of_it_is_pinned():
    wanted = {Requirement(str(line)).name for line in Install._requirements(**dict.fromkeys(Install.EXTRAS, True))}
    assert not wanted & set(Install.SHIPPED)
    assert set(Install.SHIPPED) >= SHIPPED_BY_SLICER


def test_what_is_installed_is_not_missing():
    assert missingPackages() == ()


def test_missing_are_the_absent_and_the_too_old(pip, tmp_path):
    assert missingPackages() == (f"{WANTED}>=1.4",)
    assert missingPackages(classifier=True) == (f"{WANTED}>=1.4", f"{CLASSIFIER}>=2.16")
    make_wheel(tmp_path / "old", WANTED, "1.3.9")
    unpack_wheel(tmp_path / "old", pip.site)
    assert missingPackages() == (f"{WANTED}>=1.4",)


def test_a_development_version_is_new_enough_and_another_systems_package_is_not_missing(pip, tmp_path):
    make_wheel(tmp_path / "new", WANTED, "1.6.dev3+local")
    unpack_wheel(tmp_path / "new", pip.site)
    lines = f"{WANTED}>=1.4\nwindows-only>=1; sys_platform == 'nowhere'\n"
    (Install.RESOURCES / Install.REQUIREMENTS).write_text(lines, encoding="utf-8")
    assert missingPackages() == ()


# Consent


def test_after_consent_the_packages_are_there_and_those_of_a_classifier_only_when_they_are_wanted(
    version, pip, dialogs
):
    ensurePackages()
    assert missingPackages() == ()
    assert missingPackages(classifier=True) == (f"{CLASSIFIER}>=2.16",)
    importlib.import_module(WANTED.replace("-", "_"))
    assert len(dialogs.asked) == 1
    title, text = dialogs.asked[0]
    assert title == "CovidSeverity - Install Python Packages"
    assert f"{WANTED}>=1.4" in text
    ensurePackages()
    assert (len(dialogs.asked), len(pip.requests)) == (1, 1)
    check_pins(pip)
    ensurePackages(classifier=True)
    wanted = [[part for part in request if part.startswith("covid")] for request in pip.requests]
    assert wanted == [[f"{WANTED}>=1.4"], [f"{CLASSIFIER}>=2.16"]]
    assert missingPackages(classifier=True) == ()


def check_pins(pip):
    """What Slicer ships was held at what is installed, by a file that has gone since."""
    versions = dict(line.split("==") for line in pip.constraints)
    assert {"numpy", "scipy", "SimpleITK", "pydicom", "requests", "vtk", "pillow"} <= set(versions)
    assert all(version == metadata.version(name) for name, version in versions.items())
    assert WANTED not in versions
    assert not Path(pip.requests[0][pip.requests[0].index("-c") + 1]).exists()


def test_a_batch_asks_for_all_that_it_lacks_at_once(version, pip, dialogs):
    ensurePackages(batch=True)
    wanted = [[part for part in request if part.startswith("covid")] for request in pip.requests]
    assert wanted == [[f"{WANTED}>=1.4", f"{CLUSTER}>=2025.1"]]
    assert len(dialogs.asked) == 1
    assert missingPackages(batch=True) == ()
    check_pins(pip)


def test_a_declined_installation_names_the_packages(version, pip, dialogs):
    dialogs.answer = False
    with pytest.raises(InstallDeclined, match=rf"cannot work without .*: {WANTED}>=1\.4\.$") as caught:
        ensurePackages()
    assert not isinstance(caught.value, InstallFailed)
    assert pip.requests == []
    assert missingPackages() == (f"{WANTED}>=1.4",)


def test_a_failed_installation_names_the_packages_and_the_way_without_network(version, pip, wheels, dialogs):
    for wheel in wheels.iterdir():
        wheel.unlink()  # as if there were no network
    with pytest.raises(InstallFailed) as caught:
        ensurePackages()
    message = str(caught.value)
    assert message.startswith(
        f"These Python packages could not be installed: {WANTED}>=1.4 (pip ended with exit status 1); "
    )
    assert OfflineInstall.downloadCommand([f"{WANTED}>=1.4"]) in message
    assert OfflineInstall.wheelFolderCommand([f"{WANTED}>=1.4"]) in message
    assert "Traceback" not in message


def test_a_package_that_needs_another_numpy_is_refused_and_numpy_stays(version, pip, wheels, dialogs):
    before = metadata.version("numpy")
    make_wheel(wheels, WANTED, "1.6", requires=["numpy>=999"])
    make_wheel(wheels, "numpy", "999.0")
    (wheels / f"{WANTED.replace('-', '_')}-1.5-py3-none-any.whl").unlink()
    with pytest.raises(InstallFailed, match="could not be installed"):
        ensurePackages()
    assert metadata.version("numpy") == before


def test_without_the_launcher_of_slicer_the_reason_is_told(version, pip, monkeypatch, dialogs):
    def fail(_):
        raise RuntimeError("PythonSlicer executable not found")

    monkeypatch.setattr(slicer.util, "pip_install", fail)
    if version == "5.12":
        sys.modules["slicer.packaging"].pip_ensure = lambda *_, **__: fail(None)
    with pytest.raises(InstallFailed, match=r"\(PythonSlicer executable not found\)"):
        ensurePackages()


def test_an_installation_that_brings_nothing_is_told(version, pip, monkeypatch, dialogs):
    monkeypatch.setattr(slicer.util, "pip_install", lambda _: None)
    if version == "5.12":
        sys.modules["slicer.packaging"].pip_ensure = lambda *_, **__: None
    with pytest.raises(InstallFailed, match=rf"still missing after their installation: {WANTED}>=1\.4; restart Slicer"):
        ensurePackages()


def test_in_testing_mode_nothing_is_installed_and_that_is_told(version, pip, monkeypatch, dialogs):
    monkeypatch.setattr(slicer.app, "testingEnabled", lambda: True)
    with pytest.raises(InstallFailed, match=rf"installs none in its testing mode: {WANTED}>=1\.4\."):
        ensurePackages()
    assert (dialogs.asked, pip.requests) == ([], [])


# Without network


def test_the_download_is_for_this_python_and_this_system(monkeypatch):
    words = shlex.split(OfflineInstall.downloadCommand(["slicerio>=1.4", "matplotlib>=3.9"]))
    assert words[:4] == ["python", "-m", "pip", "download"]
    assert words[words.index("--python-version") + 1] == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert words[-3:] == ["slicerio>=1.4", "matplotlib>=3.9", f"numpy=={metadata.version('numpy')}"]
    platforms = [words[n + 1] for n, word in enumerate(words) if word == "--platform"]
    assert platforms == list(OfflineInstall.wheelPlatforms())


@pytest.mark.parametrize(
    ("system", "facts", "expected"),
    [
        (
            "linux",
            {"platform.libc_ver": ("glibc", "2.31"), "platform.machine": "x86_64"},
            ["manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"],
        ),
        (
            "linux",
            {"platform.libc_ver": ("", ""), "platform.machine": "aarch64"},
            ["manylinux_2_17_aarch64", "manylinux2014_aarch64"],
        ),
        ("win32", {"sysconfig.get_platform": "win-amd64"}, ["win_amd64"]),
        (
            "darwin",
            {"platform.mac_ver": ("14.6.1", ("", "", ""), "arm64"), "platform.machine": "arm64"},
            ["macosx_14_0_arm64"],
        ),
    ],
)
def test_platforms_are_named_as_wheels_name_them(monkeypatch, system, facts, expected):
    monkeypatch.setattr(sys, "platform", system)
    for name, value in facts.items():
        module, _, function = name.rpartition(".")
        monkeypatch.setattr(getattr(OfflineInstall, module), function, lambda value=value: value)
    assert list(OfflineInstall.wheelPlatforms()) == expected


def test_pip_of_this_python_takes_every_wheel_of_the_named_platforms():
    tags = {str(tag) for tag in importlib.import_module("packaging.tags").sys_tags()}
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    assert all(f"{python}-{python}-{name}" in tags for name in OfflineInstall.wheelPlatforms())


def test_the_printed_command_installs_from_the_folder_and_keeps_numpy(monkeypatch, wheels, tmp_path):
    """In an environment of its own with a NumPy, and with a newer one in the folder."""
    python = tmp_path / "environment" / "bin" / "python"
    venv.create(tmp_path / "environment", with_pip=False)
    make_wheel(tmp_path / OfflineInstall.WHEEL_FOLDER, WANTED, "1.5", requires=["numpy"])
    for version in ("2.4.6", "999.0"):
        make_wheel(tmp_path / OfflineInstall.WHEEL_FOLDER, "numpy", version)
    monkeypatch.setattr(OfflineInstall.metadata, "version", lambda name: "2.4.6")
    words = shlex.split(OfflineInstall.wheelFolderCommand([f"{WANTED}>=1.4"]))
    assert words[:5] == [sys.executable, "-m", "pip", "install", "--no-index"]

    make_wheel(tmp_path / "numpy", "numpy", "2.4.6")
    (site,) = (tmp_path / "environment").rglob("site-packages")
    unpack_wheel(tmp_path / "numpy", site)
    command = [sys.executable, "-m", "pip", "--python", str(python), *words[3:]]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    found = sorted(path.name for path in site.glob("*.dist-info"))
    assert found == [f"{WANTED.replace('-', '_')}-1.5.dist-info", "numpy-2.4.6.dist-info"]


def test_a_path_with_spaces_is_quoted_for_every_shell(monkeypatch):
    monkeypatch.setattr(OfflineInstall, "pythonCommand", lambda: ["/Applications/Slicer 5.12/bin/PythonSlicer"])
    words = shlex.split(OfflineInstall.wheelFolderCommand(["slicerio>=1.4"]))
    assert words[0] == "/Applications/Slicer 5.12/bin/PythonSlicer"
    assert '"slicerio>=1.4"' in OfflineInstall.wheelFolderCommand(["slicerio>=1.4"])
