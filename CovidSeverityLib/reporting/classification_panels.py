"""The panels of the classification page. Each draws on given axes; sizes are in points, positions in mm.

The caller loads matplotlib. This module uses neither pyplot nor matplotlib's settings.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.classification.description import CLASS_NAMES
from CovidSeverityLib.classification.diagnosis import PatientDiagnosis
from CovidSeverityLib.classification.voting import MIDDLE_TENTHS, OUTER_TENTHS
from CovidSeverityLib.types import Diagnosis

from .classification_report import rounded_shares
from .overview_panels import HEADING, INK, MUTED, NORMAL, PALE, RULE, SMALL, plain_frame
from .overview_text import signed
from .palette import ATTENTION_COLOURS, DIAGNOSIS_COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_OPAQUE = 0.6
"""Opacity of the strongest attention: the CT below it remains visible."""

LEGEND_STEPS = 256


def attention_colours(strength: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., 4) red, green, blue and opacity of attention from 0 (invisible) to 1 (:data:`MOST_OPAQUE`)."""
    from matplotlib import colormaps

    colours = np.array(colormaps[ATTENTION_COLOURS](np.clip(strength, 0.0, 1.0)))
    colours[..., 3] = MOST_OPAQUE * np.clip(strength, 0.0, 1.0)
    return colours


def draw_attention_scale(axes: Axes) -> None:
    """The colours from no attention to full attention, over the grey of lung and of tissue."""
    grey = np.repeat(np.array([0.28, 0.72])[:, None, None], LEGEND_STEPS, axis=1).repeat(3, axis=2)
    colours = attention_colours(np.tile(np.linspace(0, 1, LEGEND_STEPS), (2, 1)))
    opacity = colours[..., 3:]
    axes.imshow((1 - opacity) * grey + opacity * colours[..., :3], aspect="auto", interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color=RULE, linewidth=0.5)


def draw_slices(axes: Axes, diagnosis: PatientDiagnosis, z_mm: NDArray[np.float64], slice_mm: float) -> None:
    """Probabilities of every slice that voted, one bar per slice, from superior (left) to inferior.

    The parts of a bar add up to 1. Behind the bars is the weight of a slice in each third of the vote; above them are
    the numbers of the slices that decided.
    """
    heights = z_mm[list(diagnosis.slices)]
    bottom = np.zeros(len(heights))
    for which in reversed(Diagnosis):
        part = diagnosis.probabilities[:, which].astype(np.float64)
        part = part / diagnosis.probabilities.sum(axis=1)
        axes.bar(heights, part, slice_mm, bottom, color=DIAGNOSIS_COLOURS[which], linewidth=0, zorder=2)
        bottom += part
    margin = 1.5 * slice_mm
    axes.set(xlim=(heights.max() + margin, heights.min() - margin), ylim=(-0.17, 1.16), yticks=[0, 0.5, 1])
    _draw_labels(axes, diagnosis, heights, slice_mm)
    _draw_thirds(axes, heights, slice_mm)
    for number, seen in enumerate(diagnosis.evidence, start=1):
        text = {"ha": "center", "va": "bottom", "fontsize": HEADING, "fontweight": "bold", "color": INK}
        axes.text(z_mm[seen.index], 1.02, str(number), **text)
    axes.set_xticks(axes.get_xticks(), [signed(tick, 0) for tick in axes.get_xticks()])
    axes.set_xlim(heights.max() + margin, heights.min() - margin)
    axes.set_xlabel("z, mm; superior is left", fontsize=NORMAL, color=INK)
    axes.tick_params(labelsize=NORMAL, colors=INK, width=0.6, length=3)
    plain_frame(axes, ("bottom", "left"))


def _draw_labels(axes: Axes, diagnosis: PatientDiagnosis, heights: NDArray[np.float64], slice_mm: float) -> None:
    """A strip under the bars: the vote of every slice."""
    colours = [DIAGNOSIS_COLOURS[label] for label in diagnosis.slice_labels]
    axes.bar(heights, -0.07, slice_mm, -0.05, color=colours, linewidth=0, zorder=2)
    axes.text(-0.008, -0.085, "vote", ha="right", va="center", fontsize=SMALL, color=INK, transform=_left_of(axes))


def _left_of(axes: Axes) -> object:
    """Transform with x as a fraction of the axes and y in data coordinates."""
    return axes.get_yaxis_transform()


def _draw_thirds(axes: Axes, heights: NDArray[np.float64], slice_mm: float) -> None:
    third = len(heights) // 3
    edges = [0, third, 2 * third, len(heights)]
    for n, (first, last) in enumerate(itertools.pairwise(edges)):
        if first == last:
            continue
        top, bottom = heights[first] + slice_mm / 2, heights[last - 1] - slice_mm / 2
        axes.axvspan(bottom, top, color="white" if n == 1 else PALE, zorder=0, linewidth=0)
        tenths = MIDDLE_TENTHS if n == 1 else OUTER_TENTHS
        text = {"ha": "center", "va": "bottom", "fontsize": SMALL, "color": MUTED}
        axes.text((top + bottom) / 2, 1.17, _counts(tenths), **text)
        if n:
            axes.axvline(top, color=INK, linewidth=0.8, linestyle=(0, (3, 2)), zorder=3)


def _counts(tenths: dict[Diagnosis, int]) -> str:
    infected, normal = tenths[Diagnosis.COVID19] / 10, tenths[Diagnosis.NORMAL] / 10
    return f"counts {infected:g}" + ("" if infected == normal else f", normal {normal:g}")


def draw_vote(axes: Axes, diagnosis: PatientDiagnosis) -> None:
    """A bar for every diagnosis: its weight in the vote, with its mean probability behind it."""
    vote, shares = diagnosis.vote, rounded_shares(diagnosis.mean_probabilities, 2)
    axes.set(xlim=(0, vote.total), ylim=(len(Diagnosis) - 0.4, -0.6), yticks=[])
    for row, which in enumerate(reversed(Diagnosis)):
        weight, won = vote.weights[which], which == diagnosis.label
        axes.barh(row, vote.total, 0.5, color=PALE, linewidth=0, zorder=1)
        axes.barh(row, weight, 0.5, color=DIAGNOSIS_COLOURS[which], linewidth=0, zorder=2)
        text = {"va": "center", "fontsize": HEADING, "color": INK, "fontweight": "bold" if won else "normal"}
        across = axes.get_yaxis_transform()
        axes.text(-0.02, row, CLASS_NAMES[which], ha="right", transform=across, **text)
        axes.text(1.02, row, f"{weight:.1f}", ha="left", transform=across, **text)
        axes.text(1.34, row, f"{shares[which]:.2f}", ha="right", transform=across, **text)
    for x, heading, side in ((1.02, "votes", "left"), (1.34, "mean p", "right")):
        axes.text(x, 1.02, heading, ha=side, va="bottom", fontsize=SMALL, color=MUTED, transform=axes.transAxes)
    axes.set_xlabel(f"weight of the votes, of {vote.total:.1f}", fontsize=NORMAL, color=INK)
    axes.tick_params(labelsize=NORMAL, colors=INK, width=0.6, length=3)
    plain_frame(axes, ("bottom",))
