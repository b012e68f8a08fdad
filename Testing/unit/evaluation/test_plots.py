"""Pictures of an evaluation: PNG files, the same every time, for whatever there is to draw."""

import numpy as np
import pytest
from matplotlib.image import imread

from CovidSeverityLib.evaluation import plots
from CovidSeverityLib.evaluation.estimates import Estimate

SURE, UNSURE, NONE = Estimate(0.6, 0.4, 0.8, 12), Estimate(0.6, None, None, 1), Estimate(None, None, None, 0)
NAMES = [f"case {n}" for n in range(50)]
SCORES = np.random.default_rng(0).integers(0, 26, (2, 50))
RATES = np.array([0.0, 0.1, 1.0])


def scatter(n):
    return plots.scatter(SCORES[0, :n], {"mean": SCORES[1, :n], "max": SCORES[0, :n]}, {"mean": "r", "max": "r = $1"})


def bland_altman(n):
    return plots.bland_altman(SCORES[0, :n], {"ctss": SCORES[1, :n]}, {"ctss": (SURE, UNSURE, NONE)})


PICTURES = {
    "scatter": lambda n: scatter(n),
    "bland_altman": lambda n: bland_altman(n),
    "dice": lambda n: plots.dice_by_case(NAMES[:n], SCORES[0, :n] / 25, SURE if n > 1 else UNSURE),
    "volumes": lambda n: plots.volumes(SCORES[0, :n].tolist(), SCORES[1, :n].tolist()),
    "confusion": lambda n: plots.confusion(np.diag([n, 0, n // 2]), ["a", "b", "c"]),
    "roc": lambda n: plots.roc_curves({"a": (RATES, RATES**0.5, SURE), "b": (RATES, RATES, NONE)} if n else {}),
    "bars": lambda n: plots.bars(
        "title", {"Dice": {f"variant {k}": (SURE, UNSURE, NONE)[k % 3] for k in range(n + 1)}}
    ),
}


@pytest.mark.parametrize(
    "cases", [pytest.param(0, marks=pytest.mark.slow), 1, pytest.param(50, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("name", PICTURES)
def test_picture_is_drawn_for_any_number_of_cases(tmp_path, name, cases):
    for file in ("a.png", "b.png"):
        PICTURES[name](cases)(tmp_path / file)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    pixels = imread(tmp_path / "a.png")
    assert min(pixels.shape[:2]) > 300
    assert pixels[..., :3].std() > 0.01


def test_case_without_a_dice_is_left_out(tmp_path):
    plots.dice_by_case(["a", "b"], [0.5, float("nan")], UNSURE)(tmp_path / "a.png")
    plots.dice_by_case(["a"], [0.5], UNSURE)(tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_points_that_coincide_are_moved_apart_by_less_than_half_a_score():
    x, y = plots.apart([5.0] * 4 + [9.0], [6.0] * 4 + [9.0])
    assert len({(a, b) for a, b in zip(x, y, strict=True)}) == 5
    assert np.abs(x[:4] - 5).max() < 0.5
    assert (x[4], y[4]) == (9, 9)
