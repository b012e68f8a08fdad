"""The result card: rich text for a Qt label."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from slicer.i18n import tr as _

from CovidSeverityLib.commands.classifiers import LEFT_OUT, NONE_INSTALLED
from CovidSeverityLib.ctss import CTSS_MAX
from CovidSeverityLib.reporting.palette import LOBE_COLOURS
from CovidSeverityLib.reporting.tables import with_range
from CovidSeverityLib.types import Lobe

BAR_FULL = 5
"""Score of a full bar: the highest of a lobe."""

EDITED_COLOUR, WARNING_COLOUR, EMPTY_BAR_COLOUR = "#B36B00", "#C4320A", "#B4B4B4"
"""Readable in Slicer's light and dark styles."""

Report = Mapping[str, Any]


def cardHtml(report: Report, corrected: Report | None = None, warnings: Sequence[str] = ()) -> str:
    """Score with its range, severity, a bar for each lobe, diagnosis and notes.

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
            *_bars(shown, automatic),
            *_volumes(shown, automatic),
            *_diagnosis(report),
            *_notes(report, warnings),
            f"<p><small>{escape(_('Research use only; not for diagnosis or treatment decisions.'))}</small></p>",
        )
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
    if automatic is not None:
        before = _("edited; automatic: {score}, {severity}").format(
            score=with_range(automatic["ctss"]["total"], automatic["ctss"]["range"]),
            severity=_severityName(automatic["severity"]["label"]),
        )
        yield f'<br><span style="color: {EDITED_COLOUR}"><b>{escape(before)}</b></span>'
    yield "</p>"


def _bars(shown: Report, automatic: Report | None) -> Iterator[str]:
    yield '<table width="100%" cellspacing="0" cellpadding="1">'
    for lobe in Lobe:
        now = shown["ctss"]["lobes"][lobe.name]
        before = None if automatic is None else automatic["ctss"]["lobes"][lobe.name]
        yield (
            f'<tr><td width="10%"><b>{lobe.name}</b></td>'
            f'<td width="32%">{_bar(now["score"], LOBE_COLOURS[lobe])}</td>'
            f'<td width="58%">&nbsp;{escape(_lobeText(now, before))}</td></tr>'
        )
    yield "</table>"


def _lobeText(now: Report, before: Report | None) -> str:
    if not now["volume_ml"]:
        return _("absent")
    text = _("{score}: {percent} % of {volume} ml").format(
        score=with_range(now["score"], now.get("score_range")),
        percent=f"{now['involvement_percent']:.1f}",
        volume=f"{now['volume_ml']:.0f}",
    )
    if before is None or before["involvement_percent"] == now["involvement_percent"]:
        return text
    automatic = _("automatic {score}, {percent} %").format(
        score=before["score"], percent=f"{before['involvement_percent']:.1f}"
    )
    return f"{text} ({automatic})"


def _bar(score: int, colour: tuple[float, float, float]) -> str:
    """A bar of table cells, because Qt's rich text has no blocks with a width."""
    filled = "#" + "".join(f"{round(255 * part):02x}" for part in colour)
    cells = "".join(
        f'<td width="20%" bgcolor="{filled if n < score else EMPTY_BAR_COLOUR}">&nbsp;</td>' for n in range(BAR_FULL)
    )
    return f'<table width="100%" cellspacing="1" cellpadding="0"><tr>{cells}</tr></table>'


def _volumes(shown: Report, automatic: Report | None) -> Iterator[str]:
    infection, lungs = shown["infection"], shown["lungs"]
    text = _("{percent} % of the lungs ({lungs} ml): ground glass {glass} ml, consolidation {solid} ml").format(
        percent=f"{infection['percent_of_lung']:.1f}",
        lungs=f"{lungs['total_ml']:.0f}",
        glass=f"{infection['ggo_ml']:.1f}",
        solid=f"{infection['consolidation_ml']:.1f}",
    )
    yield f"<p>{escape(text)}"
    if automatic is not None:
        before = _("automatic: {percent} %").format(percent=f"{automatic['infection']['percent_of_lung']:.1f}")
        yield f' <span style="color: {EDITED_COLOUR}">({escape(before)})</span>'
    yield "</p>"


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


def _openReason(reason: str) -> str:
    """Why there is no diagnosis, and how to get one."""
    if reason == NONE_INSTALLED:
        return _("No classifier is installed. Choose a file of weights under Advanced to get a diagnosis.")
    if reason == LEFT_OUT:
        return _("No classifier was chosen under Advanced.")
    return reason


def _notes(report: Report, added: Sequence[str]) -> Iterator[str]:
    warnings = [note["message"] for note in report["quality"] if note["severity"] == "warning"]
    notes = [note["message"] for note in report["quality"] if note["severity"] != "warning"]
    for message in (*added, *warnings):
        yield f'<p><span style="color: {WARNING_COLOUR}"><b>{escape(_("Warning:"))}</b></span> {escape(message)}</p>'
    for message in notes:
        yield f"<p><small>{escape(message)}</small></p>"


def _severityName(label: str) -> str:
    names = {"none": _("none"), "mild": _("mild"), "moderate": _("moderate"), "severe": _("severe")}
    return names.get(label, label)
