"""The summary of a comparison at the end of a run, a few lines of text."""

from __future__ import annotations

from collections.abc import Iterator

from CovidSeverityLib.reporting.summary import note_lines
from CovidSeverityLib.reporting.tables import with_range

from .compared import Compared
from .lobe_changes import Change, LobeChange


def comparison_text(comparison: Compared) -> str:
    """Scores, lobes, segments, registration and notes as plain text, without a final line end."""
    return "\n".join(_lines(comparison))


def changed_word(change: Change) -> str:
    """Whether a change is more than the method's own repeatability, in words."""
    if change.more_than_repeatability is None:
        return "not known"
    return "more than repeatability" if change.more_than_repeatability else "within repeatability"


def _lines(comparison: Compared) -> Iterator[str]:
    lungs = comparison.lungs
    days = "" if comparison.days is None else f", {comparison.days} days between them"
    before, after = (
        with_range(None if score is None else int(score), ends)
        for score, ends in zip((lungs.ctss.before, lungs.ctss.after), lungs.ctss_ranges, strict=True)
    )
    yield f"CTSS {before} before, {after} after: {_signed(lungs.ctss.change, 0)}, {changed_word(lungs.ctss)}{days}"
    yield f"     {'':<18} opacity, % of lung          change (may be)        ml after   new  resolved"
    yield from map(_part_line, comparison.changes)
    quality = comparison.registration_quality
    fit = "" if quality.correlation is None else f", correlation of the vessels {quality.correlation:.2f}"
    yield (
        f"Registration: Dice coefficient of the lungs {quality.dice:.3f}, surfaces {quality.surface_mm:.1f} mm "
        f"apart{fit}; lungs {lungs.volume_ml.before:.0f} ml before, {lungs.volume_ml.after:.0f} ml after"
    )
    yield from note_lines(comparison.quality)


def _part_line(part: LobeChange) -> str:
    percent = part.opacity_percent
    mark = "*" if percent.more_than_repeatability else " "
    ends = f"({_signed(percent.low, 1)} to {_signed(percent.high, 1)})"
    return (
        f"  {part.code if part.lobe else '':<4} {part.name:<17} {percent.before:6.1f} to {percent.after:5.1f}   "
        f"{_signed(percent.change, 1):>6} {ends:<16}{mark} {part.opacity_ml.after:8.1f} {part.new_ml:7.1f} "
        f"{part.resolved_ml:8.1f}"
    )


def _signed(value: float | None, decimals: int) -> str:
    return "-" if value is None else f"{round(value, decimals) + 0.0:+.{decimals}f}"
