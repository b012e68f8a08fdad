"""The lungs' outline on small masks, against a plain pixel-by-pixel reading of MATLAB's documented rule."""

import numpy as np
import pytest

from CovidSeverityLib.features.lung_outline import lung_outline, prewitt_edges, roberts_edges

ROW, COLUMN = np.mgrid[:40, :48]


def at(image, row, column):
    """The nearest pixel of the image."""
    rows, columns = image.shape
    return float(image[min(max(row, 0), rows - 1), min(max(column, 0), columns - 1)])


def plain_edges(mask, gradients, cutoff):
    """Edges of a mask, one pixel after the other; ``gradients`` are (kernel {(row, column): weight}, step) twice."""
    rows, columns = mask.shape
    first, second = (
        np.array([[sum(w * at(mask, r + dr, c + dc) for (dr, dc), w in kernel.items()) for c in range(columns)]
                  for r in range(rows)])
        for kernel, _ in gradients
    )  # fmt: skip
    strength = first**2 + second**2
    limit = cutoff * strength.mean()

    def beyond(r, c):
        return strength[r, c] if 0 <= r < rows and 0 <= c < columns else 0.0

    edges = np.zeros(mask.shape, dtype=bool)
    for r, c in zip(*np.nonzero(strength > limit + 1e-9), strict=True):
        for along, across, (_, (dr, dc)) in ((first, second, gradients[0]), (second, first, gradients[1])):
            dominant = abs(along[r, c]) >= abs(across[r, c]) - 1e-9
            before, after = beyond(r - dr, c - dc), beyond(r + dr, c + dc)
            if dominant and before <= strength[r, c] + 1e-9 and strength[r, c] > after + 1e-9:
                edges[r, c] = True
    return edges


PREWITT = (
    ({(r, c): c / 6 for r in (-1, 0, 1) for c in (-1, 1)}, (0, 1)),
    ({(r, c): r / 6 for r in (-1, 1) for c in (-1, 0, 1)}, (1, 0)),
)
ROBERTS = (({(0, 0): 0.5, (1, 1): -0.5}, (1, 1)), ({(0, 1): 0.5, (1, 0): -0.5}, (1, -1)))


def masks():
    """By name: a disc, two of them, one at the image's border, noise, single pixels."""
    disc = np.hypot(ROW - 19, COLUMN - 23) < 12
    speckle = np.random.default_rng(0).random(ROW.shape) < 0.03
    return {
        "disc": disc,
        "two": (np.hypot(ROW - 19, COLUMN - 12) < 9) | (np.hypot(ROW - 20, (COLUMN - 34) / 0.7) < 13),
        "border": np.hypot(ROW - 2, COLUMN - 46) < 11,
        "ragged": disc ^ (speckle & (np.hypot(ROW - 19, COLUMN - 23) < 15)),
        "speckle": speckle,
    }


@pytest.mark.parametrize("name", masks())
def test_edges_are_those_of_the_plain_rule(name):
    mask = masks()[name]
    np.testing.assert_array_equal(prewitt_edges(mask), plain_edges(mask, PREWITT, 4))
    np.testing.assert_array_equal(roberts_edges(mask), plain_edges(mask, ROBERTS, 6))
    assert prewitt_edges(mask).any()


def test_outline_is_the_union_of_both():
    mask = masks()["two"]
    np.testing.assert_array_equal(lung_outline(mask), prewitt_edges(mask) | roberts_edges(mask))
    assert (prewitt_edges(mask) & ~roberts_edges(mask)).any()
    assert (roberts_edges(mask) & ~prewitt_edges(mask)).any()


def test_straight_border_is_one_line_beside_it_for_each_operator():
    half = COLUMN >= 24
    columns = {name: set(COLUMN[edges(half)]) for name, edges in (("p", prewitt_edges), ("r", roberts_edges))}
    assert columns["p"] == {24}
    assert columns["r"] <= {23, 24}


def test_outline_runs_round_the_lung_and_nowhere_else():
    mask = masks()["disc"]
    outline = lung_outline(mask)
    distance = np.abs(np.hypot(ROW - 19, COLUMN - 23) - 12)
    assert (distance[outline] < 2.5).all()
    sectors = np.floor(np.arctan2(ROW - 19, COLUMN - 23)[outline] * 8 / np.pi)
    assert set(range(-8, 8)) <= set(sectors)


@pytest.mark.parametrize("value", [False, True])
def test_slice_of_no_lung_or_of_lung_alone_has_no_outline(value):
    outline = lung_outline(np.full((12, 15), value))
    assert outline.shape == (12, 15)
    assert outline.dtype == bool
    assert not outline.any()
