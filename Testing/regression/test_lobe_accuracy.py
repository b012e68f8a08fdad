"""The lobes against what is known of real ones: the fissure points of the atlas's cases, and radiologists' labels."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from CovidSeverityLib.segmentation.lobes import lobe_atlas
from CovidSeverityLib.segmentation.lobes.lobe_atlas import ATLAS_FILE, Fissure, load_atlas
from CovidSeverityLib.types import Lobe

SHIPPED = Path(lobe_atlas.__file__).parent

LEFT_OUT_MM = {
    "right oblique": (8.3, 6.6, 22.3),
    "right horizontal": (10.2, 8.5, 25.3),
    "left oblique": (10.0, 7.8, 26.3),
}
"""Mean, median and 95th percentile of docs/method.md."""


@pytest.fixture(scope="module")
def fitted(repository, real_data, tmp_path_factory):
    """The content of an atlas file that is fitted anew, and what is printed."""
    source = real_data("data/cip-lobe-atlas")
    out = tmp_path_factory.mktemp("atlas")
    command = [sys.executable, "-m", "models.lobe_atlas", str(source), "-o", str(out)]
    told = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True).stdout
    return out, told


def numbers(content):
    """Every number of nested dictionaries and lists, in order."""
    if isinstance(content, dict | list):
        parts = content.values() if isinstance(content, dict) else content
        return [number for part in parts for number in numbers(part)]
    return [] if isinstance(content, str) else [content]


@pytest.mark.slow
def test_atlas_that_ships_is_the_one_that_is_fitted(fitted):
    """To its last decimal and one, which linear algebra of another build may round otherwise."""
    ours, theirs = (json.loads((folder / ATLAS_FILE).read_text(encoding="utf-8")) for folder in (fitted[0], SHIPPED))
    assert list(ours) == list(theirs) == ["source", "cases", "lungs", "fissures"]
    assert ours["source"] == theirs["source"]
    np.testing.assert_allclose(numbers(ours), numbers(theirs), rtol=0, atol=0.011)


@pytest.mark.slow
def test_licence_that_ships_is_the_one_that_is_written(fitted):
    ours, theirs = ((folder / "lobe_atlas_LICENSE.txt").read_bytes() for folder in (fitted[0], SHIPPED))
    assert ours == theirs


@pytest.mark.slow
def test_left_out_fissures_are_as_near_as_is_said(fitted):
    told = [line.strip("| ").split(" | ") for line in fitted[1].splitlines() if line.startswith("|")][2:]
    assert "93 of 100 cases" in fitted[1]
    assert [row[0] for row in told] == list(LEFT_OUT_MM)
    for fissure, points, *figures in told:
        assert int(points) > 3000
        np.testing.assert_allclose([float(mm) for mm in figures], LEFT_OUT_MM[fissure], rtol=0, atol=0.11)
        assert load_atlas().fissures[Fissure(fissure)].distance_mm == pytest.approx(float(figures[0]), abs=0.06)


@pytest.mark.slow
def test_infected_lobes_of_slices_are_those_of_the_radiologists(analysed, real_ct_root):
    analysis = analysed("P001")
    with (real_ct_root / "P001_labels.csv").open(newline="") as file:
        labels = {round(float(row["z_mm"]), 1): row for row in csv.DictReader(file)}
    pairs = [
        (int(labels[round(row.z_mm, 1)][lobe.name]), row.lobe_infection_percent(lobe))
        for row in analysis.slices
        for lobe in Lobe
    ]
    assert roc_auc_score(*zip(*pairs, strict=True)) > 0.90


def test_left_fissure_of_a_real_ct_is_seen(analysed):
    fissures = {fissure.name: fissure for fissure in analysed("P001").provenance.fissures}
    assert fissures["left oblique"].seen_percent > 30
    assert fissures["left oblique"].expected_mm < 5
