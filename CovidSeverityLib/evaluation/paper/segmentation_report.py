"""The files of ``evaluate segmentation``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan

import numpy as np

from CovidSeverityLib.evaluation.estimates import Estimate
from CovidSeverityLib.evaluation.journal import Record
from CovidSeverityLib.evaluation.outputs import Outputs, Row, Table, markdown_table
from CovidSeverityLib.evaluation.plots import dice_by_case, volumes
from CovidSeverityLib.evaluation.reports import RunFacts, counted, estimate_table, estimates_dict, summary_head
from CovidSeverityLib.formats.evaluation_tables import SEGMENTATION_RESULTS, SEGMENTATION_SLICES
from CovidSeverityLib.metrics import MaskAgreement

from .opacity_agreement import CaseDetails, case_details, consolidation_dice, label_name, recalls
from .segmentation import (
    MEASURES,
    CaseAgreement,
    Protocol,
    SegmentationSummary,
    case_agreement,
    lungs_used,
    measure,
    summarise_segmentation,
)


@dataclass(frozen=True)
class _Run:
    """The opacities of all cases, marked in the lungs ``lungs``."""

    lungs: str
    cases: tuple[CaseAgreement, ...]
    details: tuple[CaseDetails, ...]
    summary: SegmentationSummary
    recalls: Mapping[int, Estimate]
    consolidation: Estimate | None

    @property
    def resampled(self) -> str:
        """The values from which the intervals over slices are computed."""
        return "cases" if len(self.cases) > 1 else "slices"

    def pooled(self) -> list[MaskAgreement]:
        """The slices of every case that count, pooled."""
        return [MaskAgreement.pooled(case.counted(self.summary.protocol)) for case in self.cases]

    def label_name(self, label: int) -> str:
        return label_name(label, tuple(self.recalls))


def segmentation_outputs(records: Mapping[str, Record], protocol: Protocol, facts: RunFacts) -> Outputs:
    """Everything that ``evaluate segmentation`` writes.

    Parameters
    ----------
    records : mapping of str to Record
        Records of :func:`~.segmentation.evaluate_segmentation`, by case; all with the same options.
    protocol : Protocol
        Which slices count.
    facts : RunFacts
        Facts of the run.
    """
    known = next(iter(records.values()))
    runs = [_run(records, lungs, protocol) for lungs in lungs_used(known)]
    first, *others = runs
    pooled = first.pooled()
    return Outputs(
        results=_results(runs),
        summary=summary_head("segmentation", facts)
        | _summary(first)
        | {f"in_{run.lungs}_lungs": _summary(run) for run in others},
        table=_table(runs, facts),
        headline="\n".join([f"{facts.text}, protocol {protocol.value}", *map(_headline, runs), _plain_cases(runs)]),
        plots={
            "dice.png": dice_by_case(
                [case.case for case in first.cases], [a.dice for a in pooled], first.summary.per_case["dice"]
            ),
            "volumes.png": volumes(
                [a.infected * case.voxel_ml for case, a in zip(first.cases, pooled, strict=True)],
                [a.marked * case.voxel_ml for case, a in zip(first.cases, pooled, strict=True)],
            ),
        },
        tables={"slices.csv": _slices(runs)},
    )


def _run(records: Mapping[str, Record], lungs: str, protocol: Protocol) -> _Run:
    cases = tuple(case_agreement(name, record, lungs) for name, record in records.items())
    values = tuple(records.values())
    return _Run(
        lungs=lungs,
        cases=cases,
        details=tuple(case_details(record, lungs) for record in values),
        summary=summarise_segmentation(cases, protocol),
        recalls=recalls(values, lungs),
        consolidation=consolidation_dice(values, lungs),
    )


def _results(runs: Sequence[_Run]) -> Table:
    labels = sorted({label for run in runs for label in run.recalls})
    rows: list[Row] = []
    for run in runs:
        for case, agreement, details in zip(run.cases, run.pooled(), run.details, strict=True):
            rows.append((case.case, run.lungs, *_case_row(case, agreement, details, run.summary.protocol, labels)))
    return Table(SEGMENTATION_RESULTS.header(label=labels), tuple(rows))


def _case_row(
    case: CaseAgreement, agreement: MaskAgreement, details: CaseDetails, protocol: Protocol, labels: Sequence[int]
) -> Row:
    slices = case.counted(protocol)
    values = [measure(name, agreement, protocol) if slices else nan for name in MEASURES]
    infected = sum(1 for s in slices if s.infected)
    volumes_ml = (agreement.infected * case.voxel_ml, agreement.marked * case.voxel_ml)
    return (
        *(len(slices), infected, *values, _infected_slice_dice(case, protocol), *volumes_ml),
        *(details.true_percent, details.marked_percent, details.lungs_dice, details.inside_percent),
        *(details.consolidation_dice, *(details.recall.get(label, nan) for label in labels)),
        *(*agreement.counts, case.seconds),
    )


def _infected_slice_dice(case: CaseAgreement, protocol: Protocol) -> float:
    """Mean Dice of a case's slices with true opacity; NaN without such slices."""
    values = [a.dice for a in case.counted(protocol) if a.infected]
    return float(np.mean(values)) if values else nan


def _slices(runs: Sequence[_Run]) -> Table:
    rows: list[Row] = []
    for run in runs:
        protocol = run.summary.protocol
        for case in run.cases:
            for s in case.slices:
                left_out = protocol is Protocol.PAPER and not s.agreement.marked
                values = [measure(name, s.agreement, protocol) for name in MEASURES]
                rows.append((case.case, run.lungs, s.number, s.z_mm, int(not left_out), *values, *s.agreement.counts))
    return Table(SEGMENTATION_SLICES.header(), tuple(rows))


def _headline(run: _Run) -> str:
    """The means of one run, for a terminal."""
    summary = run.summary
    text = (
        f"{run.lungs} lungs: Dice per case {summary.per_case['dice'].text()}, "
        f"per slice {summary.per_slice['dice'].text()} ({counted(summary.slices, 'slice')}), "
        f"per slice with lesions {summary.per_infected_slice['dice'].text()} "
        f"({counted(summary.infected_slices, 'slice')})"
    )
    text += "".join(f"\n  {title} {estimate.text()}" for title, estimate in _kinds(run).items())
    return text


def _kinds(run: _Run) -> dict[str, Estimate]:
    """Figures of the labels of the masks, over all cases together, by title."""
    found = {f"{run.label_name(label)}: recall by volume": estimate for label, estimate in run.recalls.items()}
    return found | ({"consolidation: Dice": run.consolidation} if run.consolidation is not None else {})


CASE_HEAD = ("case", "lungs", "Dice", "with lesions", "true %", "marked %", "own lungs' Dice", "lesions inside %")


def _case_lines(runs: Sequence[_Run]) -> list[list[str]]:
    """One line for every case and every kind of lungs, after a header."""
    labels = sorted({label for run in runs for label in run.recalls})
    shown = any(run.consolidation is not None for run in runs)
    kinds = [f"{runs[0].label_name(label)}, recall" for label in labels]
    lines = [[*CASE_HEAD, *kinds, *(["consolidation, Dice"] if shown else [])]]
    for run in runs:
        for case, agreement, d in zip(run.cases, run.pooled(), run.details, strict=True):
            whole = agreement.dice if case.counted(run.summary.protocol) else nan
            dice = (whole, _infected_slice_dice(case, run.summary.protocol))
            cells = [case.case, run.lungs, *(_number(v, 3) for v in dice)]
            cells += [_number(v, 2) for v in (d.true_percent, d.marked_percent)]
            cells += [_number(d.lungs_dice, 4), _number(d.inside_percent, 2)]
            cells += [_number(d.recall.get(label, nan), 3) for label in labels]
            lines.append([*cells, *([_number(d.consolidation_dice, 3)] if shown else [])])
    return lines


def _number(value: float, decimals: int) -> str:
    return "-" if isnan(value) else f"{value:.{decimals}f}"


def _plain_cases(runs: Sequence[_Run]) -> str:
    """The table of cases in columns of equal width, for a terminal; only the first :data:`CASES_SHOWN`."""
    head, *lines = _case_lines(runs)
    more = len(lines) - CASES_SHOWN
    lines = [head, *lines[:CASES_SHOWN]]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
    texts = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([*texts, *([f"and {more} more lines: results.csv"] if more > 0 else [])])


CASES_SHOWN = 24
"""Number of printed lines of cases: one screen."""


def _summary(run: _Run) -> dict[str, object]:
    summary = run.summary
    return {
        "lungs": run.lungs,
        "protocol": {"name": summary.protocol.value, "meaning": summary.protocol.meaning},
        "slices": summary.slices,
        "infected_slices": summary.infected_slices,
        "slices_left_out": summary.left_out,
        "per_slice_resampled": run.resampled,
        "per_slice": estimates_dict(summary.per_slice),
        "per_infected_slice": estimates_dict(summary.per_infected_slice),
        "per_case": estimates_dict(summary.per_case),
        "recall_by_label": {str(label): estimate.as_dict() for label, estimate in run.recalls.items()},
        "consolidation_dice": None if run.consolidation is None else run.consolidation.as_dict(),
    }


RESAMPLED = {
    "cases": "its interval from resampling cases",
    "slices": "its interval from resampling the slices of the only case, which is right for a set of single slices and "
    "too narrow for slices of one patient",
}
"""Text about the intervals over slices."""

LUNGS_TITLES = {"own": "our own lungs", "given": "the given lungs"}


def _table(runs: Sequence[_Run], facts: RunFacts) -> str:
    summary = runs[0].summary
    left_out = f" {counted(summary.left_out, 'slice')} left out." if summary.left_out else ""
    head, *lines = _case_lines(runs)
    return (
        f"# Segmentation of the infection\n\n{facts.text}.\n\n"
        f"{''.join(_run_table(run, facts) for run in runs)}"
        f"Protocol *{summary.protocol.value}*: {summary.protocol.meaning}.{left_out}\n\n"
        f"Per slice: the mean over all slices that count, {RESAMPLED[runs[0].resampled]}. Per slice with lesions: over "
        "those of them with something to find. Per case: the mean over cases, each "
        "case's slices taken together. In brackets: 95 % bootstrap interval. Measures are over whole slices, not over "
        "the lungs alone. A measure that is not defined for a slice or case (sensitivity without "
        "infection, precision without a find) is left out of its mean; `summary.json` has the number that each mean is "
        "over.\n\n"
        f"## Cases\n\n{markdown_table(head, lines)}\n"
        "With lesions: mean Dice of the slices with something to find. True and marked: per cent of the lungs that the "
        "infection was marked in. Own lungs' Dice is against the given lungs; lesions inside: part of the true "
        "infection in our own lungs. Recall: marked part of the true volume, as any opacity.\n"
    )


def _run_table(run: _Run, facts: RunFacts) -> str:
    """The means of one run, and the kinds of opacity."""
    summary = run.summary
    rows: dict[str, dict[str, Estimate]] = {
        f"per slice ({summary.slices})": dict(summary.per_slice),
        f"per slice with lesions ({summary.infected_slices})": dict(summary.per_infected_slice),
        f"per case ({facts.done})": dict(summary.per_case),
    }
    kinds = [[title, estimate.text()] for title, estimate in _kinds(run).items()]
    return (
        f"## In {LUNGS_TITLES[run.lungs]}\n\n{estimate_table(rows, MEASURES, 'mean over')}\n"
        f"{markdown_table(['over all cases together', ''], kinds)}\n"
    )
