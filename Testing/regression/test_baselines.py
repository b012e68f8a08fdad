"""Numbers that must not drift, against ``Testing/baselines/*.csv``: a file a case, a row for every number of a report.

With ``--write-baselines`` pytest writes the files anew; their difference says what moved.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from CovidSeverityLib import Analysis
from CovidSeverityLib.evaluation.synthetic.phantom import LesionSpec, Phantom
from CovidSeverityLib.metrics import MaskAgreement
from CovidSeverityLib.reporting import build_report
from CovidSeverityLib.types import Lobe, Opacity, Side

BASELINES = Path(__file__).parents[1] / "baselines"
LARGEST_CHANGE = 2e-4
"""Of a number, relative to it: a few voxels at an edge, which libraries of another version may round otherwise."""

NOT_OF_THE_CT = ("schema_version", "research_use", "input", "provenance", "classification", "classification_reason")
"""Parts of a report that are no result of the method."""

COARSE = {"shape": (72, 128, 128), "spacing_mm": (3.0, 3.0, 4.4)}
CONSOLIDATED = (
    LesionSpec("consolidation", Lobe.RLL, 50.0, "pleural"),
    LesionSpec("ground_glass", Lobe.LUL, 20.0, "central"),
)
COARSE_CHESTS = {
    "seed-1-default": ("default", 1, {}),
    "seed-1-reference": ("reference", 1, {}),
    "healthy-4-default": ("default", 4, {"healthy": True}),
    "consolidation-2-default": ("default", 2, {"lesions": CONSOLIDATED}),
}
FINE_CHESTS = {"seed-0-fine-default": ("default", 0, {}), "seed-3-fine-default": ("default", 3, {})}
REAL_CTS = {f"{patient}-default": patient for patient in ("P001", "cap001", "normal001")}
OF_THE_REFERENCE = "P001-reference"


def numbers_of(report: dict[str, Any]) -> dict[str, str]:
    """Every number and category of a report by its place in it, and the codes of its notes."""
    results = {key: value for key, value in report.items() if key not in (*NOT_OF_THE_CT, "quality")}
    return {
        **dict(_leaves(results, "")),
        "notes": " ".join(sorted(note["code"] for note in report["quality"])),
    }


def _leaves(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(part, f"{place}.{key}" if place else str(key))
    elif not isinstance(value, str):
        yield place, "" if value is None else str(value)


def agreement_with(phantom: Phantom, analysis: Analysis) -> dict[str, str]:
    """Dice of every mask with what is true of a synthetic chest."""
    masks = {side.name.lower(): (analysis.lungs == side, phantom.lungs == side) for side in Side}
    masks |= {lobe.name: (analysis.lobes == lobe, phantom.lobes == lobe) for lobe in Lobe}
    masks |= {kind.name.lower(): (analysis.infection == kind, phantom.infection == kind) for kind in Opacity}
    masks["opacity"] = analysis.infection > 0, phantom.infection > 0
    found = {name: MaskAgreement.of(ours, truth).dice for name, (ours, truth) in masks.items()}
    return {f"dice.{name}": "" if dice is None else f"{dice:.6f}" for name, dice in found.items()}


def differences(wanted: dict[str, str], found: dict[str, str]) -> list[str]:
    """A line for every number that moved, has no baseline, or is not there any more."""
    missing = [f"{name} has no baseline" for name in found.keys() - wanted.keys()]
    gone = [f"{name} is in the baseline and not in the report" for name in wanted.keys() - found.keys()]
    both = [name for name in wanted if name in found]
    moved = [f"{name}: {found[name]}, was {wanted[name]}" for name in both if not _same(wanted[name], found[name])]
    return sorted(missing) + sorted(gone) + moved


def _same(wanted: str, found: str) -> bool:
    try:
        return math.isclose(float(wanted), float(found), rel_tol=LARGEST_CHANGE, abs_tol=1e-9)
    except ValueError:
        return wanted == found


@pytest.fixture
def hold(request):
    """``hold(case, numbers)`` fails where they are not those of the case's file; the option writes the file."""

    def against_file(case: str, found: dict[str, str]) -> None:
        path = BASELINES / f"{case}.csv"
        if request.config.getoption("--write-baselines"):
            with path.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows([("number", "value"), *found.items()])
        assert not differences(read(path), found)

    return against_file


def read(path: Path) -> dict[str, str]:
    with path.open(encoding="utf-8", newline="") as file:
        return {row["number"]: row["value"] for row in csv.DictReader(file)}


def hold_synthetic(hold, phantom_of, analysis_of, case, profile, seed, options):
    analysis = analysis_of(profile, seed, **options)
    agreement = agreement_with(phantom_of(seed, **options), analysis)
    hold(case, numbers_of(build_report(analysis)) | agreement)


@pytest.mark.parametrize("case", COARSE_CHESTS)
def test_coarse_synthetic_chests(hold, phantom_of, analysis_of, case):
    profile, seed, options = COARSE_CHESTS[case]
    hold_synthetic(hold, phantom_of, analysis_of, case, profile, seed, options | COARSE)


@pytest.mark.slow
@pytest.mark.parametrize("case", FINE_CHESTS)
def test_synthetic_chests(hold, phantom_of, analysis_of, case):
    hold_synthetic(hold, phantom_of, analysis_of, case, *FINE_CHESTS[case])


@pytest.mark.slow
@pytest.mark.parametrize("case", REAL_CTS)
def test_real_cts(hold, analysed, case):
    hold(case, numbers_of(build_report(analysed(REAL_CTS[case]))))


@pytest.mark.slow
def test_real_ct_in_the_published_way(hold, analysed):
    hold(OF_THE_REFERENCE, numbers_of(build_report(analysed("P001", "reference"))))


def test_every_file_belongs_to_a_case():
    cases = {*COARSE_CHESTS, *FINE_CHESTS, *REAL_CTS, OF_THE_REFERENCE}
    assert {path.stem for path in BASELINES.iterdir()} == cases


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ctss": "12"}, ["ctss: 12, was 11"]),
        ({"lung_ml": "4001.0"}, ["lung_ml: 4001.0, was 4000.0"]),
        ({"lung_ml": ""}, ["lung_ml: , was 4000.0"]),
        ({"approximate": "True"}, ["approximate: True, was False"]),
        ({"emphysema": "1.0"}, ["emphysema has no baseline"]),
        ({"lung_ml": "4000.2"}, []),
    ],
)
def test_number_that_moves_or_has_no_baseline_is_told(change, said):
    known = {"ctss": "11", "lung_ml": "4000.0", "approximate": "False"}
    assert differences(known, known | change) == said
    assert differences(known, {"ctss": "11", "lung_ml": "4000.0"}) == [
        "approximate is in the baseline and not in the report"
    ]


def test_every_number_of_a_report_is_held(factory):
    """Whatever a report gives of a CT has its row: numbers, categories that are true or false, and codes of notes."""
    report = build_report(factory.make_analysis())
    held = numbers_of(report)
    assert held["ctss.total"] == str(report["ctss"]["total"])
    assert held["lobes.approximate"] == "True"
    assert held["notes"] == "lobes_approximate thick_slices"
    parts = {name.split(".")[0] for name in held}
    assert parts >= {"ctss", "total_severity_score", "lungs", "infection", "low_attenuation", "mixture"}
    report["new_feature"] = {"percent": np.float64(2.5)}
    assert numbers_of(report).keys() - held.keys() == {"new_feature.percent"}
