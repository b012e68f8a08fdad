"""The published severity scores: the figures of the authors' own table, and the reference profile on a real CT."""

import json

import pytest

AGREEMENT = {
    "pearson": 0.823,
    "spearman": 0.787,
    "icc_2_1": 0.760,
    "mae": 2.12,
    "rmse": 2.668,
    "bias": -1.04,
    "limit_low": -5.905,
    "limit_high": 3.825,
    "kappa_linear": 0.536,
    "kappa_quadratic": 0.584,
}
"""Of the authors' mean variant with the radiologists' scores, computed independently of this program."""

PUBLISHED_CTSS_OF_P001 = 5


@pytest.fixture(scope="module")
def tables(real_data):
    """The folder of the radiologists' scores and the authors'."""
    return real_data("data/reference")


@pytest.mark.slow
@pytest.mark.parametrize("with_truth", [True, False])
def test_published_scores_agree_with_radiologists_as_published(program, tables, tmp_path, with_truth):
    truth = ("--truth", tables / "CTSS_GT.csv") if with_truth else ()
    run = program("evaluate", "ctss", "--predictions", tables / "CTSS_results.csv", *truth, "-o", tmp_path / "out")
    assert run.status == 0, run.err
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    mean, largest = summary["variants"]["mean"], summary["variants"]["max"]
    assert summary["cases"] == 50
    for name, expected in AGREEMENT.items():
        assert mean[name]["value"] == pytest.approx(expected, abs=6e-4), name
        assert mean[name]["low"] < mean[name]["value"] < mean[name]["high"]
    assert mean["severity_table"] == [[20, 4, 0], [8, 16, 0], [0, 1, 1]]
    assert largest["mae"]["value"] == pytest.approx(12.72)
    table = (tmp_path / "out" / "table.md").read_text(encoding="utf-8")
    assert "| mean | 0.823 (" in table
    assert "computed from CTSS_results.csv of github.com/aanandt/" in table


@pytest.mark.slow
def test_reference_profile_scores_a_real_ct_as_the_authors_do(analysed):
    result = analysed("P001", "reference")
    assert abs(result.ctss - PUBLISHED_CTSS_OF_P001) <= 1
    assert result.ctss <= result.ctss_max_variant <= 25
