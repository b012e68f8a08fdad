"""The lobes against what is known of real ones: the fissure points of the atlas's cases, and radiologists' labels."""

from __future__ import annotations

import csv
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from CovidSeverityLib.features.lobe_atlas import Fissure, load_atlas
from CovidSeverityLib.types import Lobe, Side

ROOT = Path(__file__).parents[2]
LARGEST_MEAN_MM = {Fissure.RIGHT_OBLIQUE: 9.0, Fissure.RIGHT_HORIZONTAL: 11.0, Fissure.LEFT_OBLIQUE: 10.5}
"""Leave-one-out figures of docs/method.md, and a little more."""

EVERY_NTH = 12
"""Cases that are left out here, one at a time (the script leaves each out once); eight cases scatter."""


@pytest.fixture(scope="module")
def fit():
    """The module ``tools/fit_lobe_atlas.py``."""
    spec = importlib.util.spec_from_file_location("fit_lobe_atlas", ROOT / "tools" / "fit_lobe_atlas.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def atlas_cases(fit):
    """Lungs, origin and spacing of the atlas and its trusted cases."""
    folder = ROOT.parent / "shared" / "data" / "cip-lobe-atlas" / "LungLobeAtlasData"
    if not folder.is_dir():
        pytest.skip("the lobe atlas (../shared/data/cip-lobe-atlas) is not on this machine")
    lungs, origin, spacing = fit.read_lungs(folder)
    cases = [fit.read_case(path) for path in sorted(folder.glob("*_regionAndTypePoints.csv"))]
    return lungs, fit.trusted(cases, lungs, origin, spacing)


def test_most_cases_lie_in_the_lungs_of_the_atlas(atlas_cases):
    assert len(atlas_cases[1]) >= 90


@pytest.mark.parametrize("side", Side)
def test_left_out_fissures_are_as_near_as_is_said(fit, atlas_cases, side):
    _, cases = atlas_cases
    planes = {fissure: model.plane for fissure, model in load_atlas().fissures.items() if fissure.side is side}
    lung = fit.LungFit.of(planes, cases)
    for fissure in planes:
        off = np.concatenate([lung.left_out_mm(n)[fissure] for n in range(0, len(cases), EVERY_NTH)])
        assert off.mean() < 1.6 * LARGEST_MEAN_MM[fissure]
        assert load_atlas().fissures[fissure].distance_mm < LARGEST_MEAN_MM[fissure]


def test_fitted_mean_is_the_one_that_is_shipped(fit, atlas_cases):
    _, cases = atlas_cases
    model = load_atlas().fissures[Fissure.LEFT_OBLIQUE]
    fitted = fit.LungFit.of({Fissure.LEFT_OBLIQUE: model.plane}, cases).models(Side.LEFT)[Fissure.LEFT_OBLIQUE]
    assert np.abs(fitted["mean"] - model.mean).max() < 0.05


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
    assert fissures["left oblique"].seen_percent > 40
    assert fissures["left oblique"].expected_mm < 5


def test_atlas_file_is_plain_json():
    content = json.loads((ROOT / "CovidSeverityLib" / "features" / "lobe_atlas.json").read_text(encoding="utf-8"))
    assert set(content) == {"source", "cases", "lungs", "fissures"}
