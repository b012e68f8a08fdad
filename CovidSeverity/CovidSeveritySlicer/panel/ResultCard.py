"""The result card: rich text for two Qt labels, what matters first and the details."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from slicer.i18n import tr as _

from CovidSeverityLib.commands.classifiers import LEFT_OUT, NONE_INSTALLED
from CovidSeverityLib.ctss import CTSS_MAX
from CovidSeverityLib.reporting.palette import LOBE_COLOURS
from CovidSeverityLib.reporting.tables import with_range
from CovidSeverityLib.types import LOBE_NAMES, Lobe

BAR_FULL = 5
"""Score of a full bar: the highest of a lobe."""

CHEST: tuple[tuple[Lobe, Lobe | None], ...] = (
    (Lobe.RUL, Lobe.LUL),
    (Lobe.RML, None),
    (Lobe.RLL, Lobe.LLL),
)
"""Lobes as in a picture of the chest: the right lung is on the left."""

EDITED_COLOUR, WARNING_COLOUR, EMPTY_BAR_COLOUR = "#B87000", "#DD4B1A", "#B4B4B4"
"""Contrast of the texts to the grounds of the light (#EFEFEF) and dark (#323232) style of Slicer: at least 3 to 1."""

Report = Mapping[str, Any]


def cardHtml(report: Report, corrected: Report | None = None, warnings: Sequence[str] = ()) -> str:
    """Score with its range and severity, warnings, the lobes of both lungs, diagnosis, and what to do next.

    Warnings belong to the numbers that they were made from. Those of an automatic result say so after corrections.

    Parameters
    ----------
    report : Report
        Content of ``report.json``, without corrections.
    corrected : Report or None
        Fields that manual corrections change. The automatic values are shown beside them.
    warnings : sequence of str
        Warnings about the corrections.
    """
    shown, automatic = (report, None) if corrected is None else (corrected, report)
    return "".join(
        (
            *_headline(shown, automatic),
            *_warnings(warnings),
            *_warnings(_messages(report, warning=True), automatic is not None),
            *_chest(shown, automatic),
            *_diagnosis(report),
            *_next(corrected is not None),
            f"<p><small>{escape(_('Research use only; not for diagnosis or treatment decisions.'))}</small></p>",
        )
    )


def detailsHtml(report: Report, corrected: Report | None = None) -> str:
    """Volumes of lungs, lobes and opacities, and notes.

    Parameters
    ----------
    report, corrected : Report
        As for :func:`cardHtml`.
    """
    return "".join(
        (*_volumes(report if corrected is None else corrected), *_notes(_messages(report), corrected is not None))
    )


def _headline(shown: Report, automatic: Report | None) -> Iterator[str]:
    if shown["ctss"]["total"] is None:
        yield f'<p><span style="font-size: x-large; font-weight: bold">{escape(_("No CTSS"))}</span> '
        yield f'<span style="font-size: large">{escape(_("the lobes are not known"))}</span>'
    else:
        total = with_range(shown["ctss"]["total"], shown["ctss"]["range"])
        severity = _severityName(shown["severity"]["label"])
        yield (
            f'<p><span style="font-size: x-large; font-weight: bold">CTSS {total}</span> '
            f'<span style="font-size: large">{escape(_("of {maximum}").format(maximum=CTSS_MAX))}, '
            f"<b>{escape(severity)}</b></span>"
        )
    opacity = _("Opacity: {percent} % of the lungs").format(percent=_percent(shown["infection"]["percent_of_lung"]))
    yield f"<br>{escape(opacity)}"
    if automatic is not None:
        before = _("edited; automatic: {score}, {severity}, {percent} %").format(
            score=with_range(automatic["ctss"]["total"], automatic["ctss"]["range"]),
            severity=_severityName(automatic["severity"]["label"]),
            percent=_percent(automatic["infection"]["percent_of_lung"]),
        )
        yield f'<br><span style="color: {EDITED_COLOUR}"><b>{escape(before)}</b></span>'
    yield "</p>"


def _messages(report: Report, warning: bool = False) -> list[str]:
    """What a report's notes say: its warnings, or the others."""
    return [note["message"] for note in report["quality"] if (note["severity"] == "warning") is warning]


def _warnings(messages: Sequence[str], superseded: bool = False) -> Iterator[str]:
    """A paragraph for each. ``superseded``: they are about the automatic result, and corrected numbers are shown."""
    title = _("Warning of the automatic result:") if superseded else _("Warning:")
    colour = EDITED_COLOUR if superseded else WARNING_COLOUR
    for message in messages:
        yield f'<p><span style="color: {colour}"><b>{escape(title)}</b></span> {escape(message)}</p>'


def _chest(shown: Report, automatic: Report | None) -> Iterator[str]:
    def cell(lobe: Lobe | None) -> str:
        """A lobe; nothing where the left lung has none."""
        if lobe is None:
            return ""
        before = None if automatic is None else automatic["ctss"]["lobes"][lobe.name]
        return _lobe(lobe, shown["ctss"]["lobes"][lobe.name], before)

    yield '<table width="100%" cellspacing="0" cellpadding="2">'
    yield _row(f"<small>{escape(_('Right lung'))}</small>", f"<small>{escape(_('Left lung'))}</small>")
    for right, left in CHEST:
        yield _row(cell(right), cell(left))
    yield "</table>"


def _row(right: str, left: str) -> str:
    return f'<tr><td width="48%">{right}</td><td width="4%"></td><td width="48%">{left}</td></tr>'


def _lobe(lobe: Lobe, now: Report, before: Report | None) -> str:
    """Name, score and share of a lobe over its bar, and under it what was before corrections."""
    if not now["volume_ml"]:
        return f"<b>{lobe.name}</b> {escape(_('absent'))}"
    percent = _("{percent} %").format(percent=_percent(now["involvement_percent"])).replace(" ", "\u00a0")
    score = with_range(now["score"], now.get("score_range"))
    lines = f"<b>{lobe.name}&nbsp;&nbsp;{escape(score)}</b>&nbsp; {escape(percent)}"
    lines += _bar(now["score"], LOBE_COLOURS[lobe])
    if before is None or before["involvement_percent"] == now["involvement_percent"]:
        return lines
    automatic = _("automatic {score}, {percent} %").format(
        score=before["score"], percent=_percent(before["involvement_percent"])
    )
    return f'{lines}<small style="color: {EDITED_COLOUR}">{escape(automatic)}</small>'


def _bar(score: int, colour: tuple[float, float, float]) -> str:
    """A bar of table cells, because Qt's rich text has no blocks with a width."""
    filled = "#" + "".join(f"{round(255 * part):02x}" for part in colour)
    cells = "".join(
        f'<td width="20%" bgcolor="{filled if n < score else EMPTY_BAR_COLOUR}">'
        '<span style="font-size: 5pt">&nbsp;</span></td>'
        for n in range(BAR_FULL)
    )
    return f'<table width="100%" cellspacing="1" cellpadding="0"><tr>{cells}</tr></table>'


def _diagnosis(report: Report) -> Iterator[str]:
    found = report["classification"]
    if found is None:
        yield f"<p><b>{escape(_('No diagnosis.'))}</b> {escape(_openReason(report['classification_reason']))}</p>"
        return
    means = ", ".join(f"{name} {share:.2f}" for name, share in found["probabilities"].items())
    votes = _("mean probabilities, not calibrated: {means}").format(means=means)
    by = "" if found["classifier"] is None else _(" by {name}").format(name=found["classifier"]["name"])
    yield (
        f"<p><b>{escape(_('Diagnosis: {name}').format(name=found['name']))}</b>{escape(by)}"
        f"<br><small>{escape(votes)}</small></p>"
    )


def _next(edited: bool) -> Iterator[str]:
    step = (
        _("Save report: it keeps the corrected and the automatic numbers.")
        if edited
        else _("check the outlines with Correct, then Save report.")
    )
    yield f"<p><b>{escape(_('Next:'))}</b> {escape(step)}</p>"


def _openReason(reason: str) -> str:
    """Why there is no diagnosis, and how to get one."""
    if reason == NONE_INSTALLED:
        return _("No classifier is installed. Choose a file of weights under Advanced to get a diagnosis.")
    if reason == LEFT_OUT:
        return _("No classifier was chosen under Advanced.")
    return reason


def _volumes(shown: Report) -> Iterator[str]:
    infection, lobes = shown["infection"], shown["ctss"]["lobes"]
    text = _("Lungs {lungs} ml, ground glass {glass} ml, consolidation {solid} ml").format(
        lungs=f"{shown['lungs']['total_ml']:.0f}",
        glass=f"{infection['ggo_ml']:.1f}",
        solid=f"{infection['consolidation_ml']:.1f}",
    )
    yield f"<p>{escape(text)}</p><table>"
    for lobe in Lobe:
        found = lobes[lobe.name]
        volume = _("{opacity} of {volume} ml").format(
            opacity=f"{found['infection_ml'] or 0.0:.1f}", volume=f"{found['volume_ml']:.0f}"
        )
        yield f"<tr><td>{escape(LOBE_NAMES[lobe])}&nbsp;&nbsp;</td><td>{escape(volume)}</td></tr>"
    yield "</table>"


def _notes(messages: Sequence[str], superseded: bool) -> Iterator[str]:
    """A paragraph for each, under a title if they are about the automatic result and corrected numbers are shown."""
    if messages and superseded:
        yield f'<p style="color: {EDITED_COLOUR}"><b>{escape(_("Notes of the automatic result:"))}</b></p>'
    for message in messages:
        yield f"<p><small>{escape(message)}</small></p>"


def _percent(share: float) -> str:
    return f"{share:.1f}"


def _severityName(label: str) -> str:
    names = {"none": _("none"), "mild": _("mild"), "moderate": _("moderate"), "severe": _("severe")}
    return names.get(label, label)
