"""The documentation names files, links, modules, classes and options that exist."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import CovidSeverityLib
from CovidSeverityLib.__main__ import _parser

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "CHANGELOG.md", *sorted(p.relative_to(ROOT).as_posix() for p in ROOT.glob("docs/*.md")))
PAGES += tuple(sorted(p.relative_to(ROOT).as_posix() for p in ROOT.glob("models/*.md")))

WRITTEN_BY_A_RUN = (
    *(
        "report.json",
        "classification.json",
        "corrected_report.json",
        "summary.json",
        "truth.json",
        "entry.json",
        "manifest.json",
        "comparison.json",
        "table.md",
        "batch.py",
        "analysis.npz",
        "batch.json",
        "case.json",
        "cts",
        "cases/NAME",
    ),
)
"""Files that a command or a reader writes."""

NO_LONGER_THERE = ("CovidSeverityLib/results.py",)
"""The changelog says so."""

FOREIGN_OPTIONS = {
    *("--no-main-window", "--python-script", "--exit-after-startup", "--platform", "--dist", "--no-loadscope-reorder"),
    *("--dest", "--only-binary", "--python-version", "--no-index", "--find-links", "--help", "--write-baselines"),
    *("--nworkers", "--nthreads", "--memory-limit", "--repo", "--create-namespace", "--generate-name"),
}
"""Of Slicer, pip, pytest, Dask and Helm."""


@pytest.fixture(scope="module")
def paths():
    """Every file and folder of the repository, with a slash before it."""
    left = re.compile(r"/(\.git|\.venv[^/]*|__pycache__|build|dist|results|phantom)/")
    found = {f"/{path.relative_to(ROOT).as_posix()}" for path in ROOT.rglob("*")}
    return {path for path in found if not left.search(f"{path}/") or "/synthetic/" in path}


def code_of(page: str) -> Iterator[str]:
    """The words in code, of blocks as well as of lines."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```.*?^```", text, re.DOTALL | re.MULTILINE)
    lines = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    for code in (*blocks, *re.findall(r"`([^`]+)`", lines)):
        yield from (word.strip("'\"()[],;:") for word in code.split())


@pytest.mark.parametrize("page", PAGES)
def test_files_and_folders_that_a_page_names_exist(page, paths):
    words = {word for word in code_of(page) if re.fullmatch(r"[\w./-]+\.(py|md|json|npz|ui|txt|cff)", word)}
    words |= {word.rstrip("/") for word in code_of(page) if re.fullmatch(r"[a-zA-Z_]\w+(/[a-zA-Z_]\w+)*/", word)}
    words |= {word for word in code_of(page) if re.fullmatch(r"[a-z_]+(/[a-z_0-9]+)+", word)}
    rest = words - {*WRITTEN_BY_A_RUN, *NO_LONGER_THERE, "results", "wheels"}
    assert {word for word in rest if not any(path.endswith(f"/{word}") for path in paths)} == set()


@pytest.mark.parametrize("page", PAGES)
def test_links_of_a_page_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith(("http://", "https://")):
            file, _, anchor = target.partition("#")
            linked = (ROOT / page).parent / file if file else ROOT / page
            assert linked.exists(), target
            assert not anchor or anchor in anchors(linked.read_text(encoding="utf-8")), target


def anchors(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_options_that_a_page_names_exist(page):
    known = options_of(_parser()) | FOREIGN_OPTIONS
    named = {word for code in code_of(page) for word in re.findall(r"(?<![\w-])--[a-z][a-z-]+", code)}
    if page.startswith("models/") or page in (
        "docs/architecture.md",
        "docs/followup.md",
        "docs/speed.md",
    ):  # their commands are scripts
        named -= {"--data", "--only", "--growth", "--phantoms", "--slices"}
    assert named - known == set()


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    """Options of a parser and of its commands, which load their modules when they are chosen."""
    if getattr(parser, "_module", ""):
        importlib.import_module(f"CovidSeverityLib.commands.{parser._module}").add_options(parser)
    options = {option for action in parser._actions for option in action.option_strings}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            options = options.union(*map(options_of, action.choices.values()))
    return options


@pytest.mark.parametrize("page", PAGES)
def test_modules_and_public_names_that_a_page_names_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for module in re.findall(r"python -m ((?:models|CovidSeverityLib)[\w.]*)", text):
        assert importlib.util.find_spec(module), module
    for name in re.findall(r"`(evaluation(?:\.\w+)+)", text):
        pkgutil.resolve_name(f"CovidSeverityLib.{name}")
    for owner, attribute in re.findall(r"`(AnalysisConfig|Analysis|CtVolume)\.(\w+)", text):
        known = getattr(CovidSeverityLib, owner)
        assert hasattr(known, attribute) or attribute in known.__dataclass_fields__, f"{owner}.{attribute}"


@pytest.mark.parametrize("page", ["docs/architecture.md", "docs/method.md"])
def test_classes_and_constants_that_a_page_names_exist(page):
    source = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("CovidSeverityLib/**/*.py"))
    known = set(re.findall(r"^class (\w+)|^([A-Z][A-Z_]+)\b", source, re.MULTILINE))
    known = {name for pair in known for name in pair if name}
    named = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)+|[A-Z]+(?:_[A-Z]+)+)`", (ROOT / page).read_text("utf-8")))
    assert named
    assert named - known - {"TF_ENABLE_ONEDNN_OPTS"} == set()
