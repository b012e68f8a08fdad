"""The plots of ``evaluate accuracy``: a panel, or a colour, for each profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from CovidSeverityLib.checked import known
from CovidSeverityLib.ctss import CTSS_MAX
from CovidSeverityLib.evaluation.journal import Record
from CovidSeverityLib.evaluation.plots import (
    BLUE,
    GREEN,
    MUTED,
    ORANGE,
    apart,
    label_axes,
    panels,
    picture_writer,
    severity_bands,
)
from CovidSeverityLib.evaluation.synthetic.phantom.model import LesionKind
from CovidSeverityLib.reporting.output_folder import FileWriter

from .figures import CTSS_ERROR
from .targets import CTSS_CHANGE, MEAN_DICE, VOLUME_CHANGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KIND_COLOURS = {LesionKind.GROUND_GLASS: BLUE, LesionKind.MIXED: GREEN, LesionKind.CONSOLIDATION: ORANGE}
CHEST_COLOURS = (BLUE, ORANGE, GREEN, "#B8860B", "#7B4FA3", MUTED)
CHANGE_PANEL_INCHES = (4.2, 3.4)
CHESTS_APART = 0.4
"""Height over which the points of all CTs are spread, as a fraction of a row."""

BURDENS_SHOWN_PERCENT = (0.8, 75.0)
LEAST_SHOWN_PERCENT = 30.0
"""Smallest range of the axis of volume changes, so that small changes look small."""


def dice_by_burden(laid_in: Sequence[Record], profiles: Sequence[str]) -> FileWriter:
    """Dice by the share of the lungs with lesions; one panel per profile, one colour per kind of lesion."""

    def draw(figure: Figure) -> None:
        for axes, profile in zip(panels(figure, len(profiles)), profiles, strict=True):
            axes.axhline(MEAN_DICE.bound, color=MUTED, linewidth=1, linestyle="--")
            for kind, colour in KIND_COLOURS.items():
                own = [r for r in laid_in if (r["profile"], r["spec"]["kind"]) == (profile, kind.value)]
                _points(axes, [r["true_percent"] for r in own], [r["dice"] for r in own], colour, _words(kind))
            axes.set(xscale="log", xlim=BURDENS_SHOWN_PERCENT, ylim=(-0.02, 1.02))
            axes.set_xticks((1, 3, 10, 30, 60), ("1", "3", "10", "30", "60"))
            axes.xaxis.minorticks_off()
            if axes.collections:
                axes.legend(loc="lower right", frameon=False, fontsize=8)
            label_axes(axes, f"{profile}: several lesions", "true extent, % of the lungs", "Dice")

    return picture_writer(draw, len(profiles))


def simulated_scores(laid_in: Sequence[Record], profiles: Sequence[str]) -> FileWriter:
    """Predicted and true CTSS of several lesions, one panel per profile; scores in the band count as right."""

    def draw(figure: Figure) -> None:
        for axes, profile in zip(panels(figure, len(profiles)), profiles, strict=True):
            own = [record for record in laid_in if record["profile"] == profile]
            severity_bands(axes)
            ends = np.array([0, CTSS_MAX])
            axes.plot(ends, ends, color=MUTED, linewidth=1, linestyle="--")
            axes.fill_between(ends, ends - CTSS_ERROR, ends + CTSS_ERROR, color=GREEN, alpha=0.12, linewidth=0)
            if own:
                x, y = apart([r["true_ctss"] for r in own], [r["ctss"] for r in own])
                axes.scatter(x, y, s=22, color=BLUE, alpha=0.75, linewidths=0)
            axes.set(xlim=(-0.7, CTSS_MAX + 0.7), ylim=(-0.7, CTSS_MAX + 0.7), aspect="equal")
            label_axes(axes, f"{profile}: {len(own)} cases", "true CTSS", "CTSS")

    return picture_writer(draw, len(profiles))


def robustness(rows: Sequence[Mapping[str, Any]], profiles: Sequence[str]) -> FileWriter:
    """Changes of CTSS and, except in normal CTs, of volume by variation; panels by profile, one colour per CT.

    Parameters
    ----------
    rows : sequence of mapping of str to any
        Rows with ``chest``, ``what``, ``profile``, ``ctss_change``, ``volume_change_percent`` and ``normal``.
    profiles : sequence of str
        Profiles in the order of the panels.
    """
    columns = (("ctss_change", "CTSS", CTSS_CHANGE), ("volume_change_percent", "volume, %", VOLUME_CHANGE))

    def draw(figure: Figure) -> None:
        chests = list(dict.fromkeys(row["chest"] for row in rows))
        shown = [(profile, *column) for profile in profiles for column in columns]
        for axes, (profile, key, title, target) in zip(panels(figure, len(shown)), shown, strict=True):
            own = [r for r in rows if r["profile"] == profile and not (r["normal"] and target is VOLUME_CHANGE)]
            axes.axvspan(-target.bound, target.bound, color=GREEN, alpha=0.12, linewidth=0)
            _changes(axes, own, key, chests, names=known(axes.get_subplotspec()).is_first_col())
            least = LEAST_SHOWN_PERCENT if target is VOLUME_CHANGE else 2.0 * target.bound
            far = 1.1 * max([least, *(abs(row[key]) for row in own if np.isfinite(row[key]))])
            axes.set_xlim(-far, far)
            label_axes(axes, f"{profile}: change of {title}", "", "")

    return picture_writer(draw, len(profiles) * len(columns), CHANGE_PANEL_INCHES)


def _changes(axes: Axes, rows: Sequence[Mapping[str, Any]], key: str, chests: Sequence[str], *, names: bool) -> None:
    """One row of points for every variation, the first at the top; CTs are slightly separated."""
    variations = list(dict.fromkeys(row["what"] for row in rows))
    axes.axvline(0, color=MUTED, linewidth=0.8)
    for n, chest in enumerate(chests):
        own = [row for row in rows if row["chest"] == chest]
        up = CHESTS_APART * ((len(chests) - 1) / 2 - n) / max(len(chests) - 1, 1)
        heights = [len(variations) - 1 - variations.index(row["what"]) + up for row in own]
        _points(axes, [row[key] for row in own], heights, CHEST_COLOURS[n % len(CHEST_COLOURS)], chest)
    axes.set_yticks(range(len(variations)), variations[::-1] if names else [""] * len(variations))
    axes.set_ylim(-0.6, max(len(variations), 1) - 0.4)
    axes.grid(axis="y", color="#E3E8ED")
    axes.set_axisbelow(True)
    if names and rows:
        axes.legend(loc="best", frameon=False, fontsize=7)


def _points(axes: Axes, x: Sequence[float], y: Sequence[float], colour: str, label: str) -> None:
    if len(x):
        axes.scatter(x, y, s=24, color=colour, alpha=0.8, linewidths=0, label=label, zorder=3)


def _words(kind: LesionKind) -> str:
    return kind.value.replace("_", " ")
