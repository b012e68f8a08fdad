"""The files of ``evaluate segmentation``."""

from __future__ import annotations

from collections.abc import Sequence

from CovidSeverityLib.metrics import MaskAgreement

from .estimates import Estimate
from .outputs import Outputs, Row, Table
from .plots import dice_by_case, volumes
from .reports import RunFacts, counted, estimate_table, estimates_dict, summary_head
from .segmentation import MEASURES, CaseAgreement, Protocol, SegmentationSummary, measure, summarise_segmentation

COUNTS = ("true_positive", "false_positive", "false_negative", "true_negative")


def segmentation_outputs(cases: Sequence[CaseAgreement], protocol: Protocol, facts: RunFacts) -> Outputs:
    """Everything that ``evaluate segmentation`` writes."""
    summary = summarise_segmentation(cases, protocol)
    pooled = [MaskAgreement.pooled(case.counted(protocol)) for case in cases]
    dice = summary.per_case["dice"]
    return Outputs(
        results=_results(cases, pooled, protocol),
        summary=summary_head("segmentation", facts) | _summary(summary, _resampled(cases)),
        table=_table(summary, facts, _resampled(cases)),
        headline=f"{facts.text}, protocol {protocol.value}\nDice per case {dice.text()}, "
        f"per slice {summary.per_slice['dice'].text()} ({counted(summary.slices, 'slice')})",
        plots={
            "dice.png": dice_by_case([case.case for case in cases], [a.dice for a in pooled], dice),
            "volumes.png": volumes(
                [a.infected * case.voxel_ml for case, a in zip(cases, pooled, strict=True)],
                [a.marked * case.voxel_ml for case, a in zip(cases, pooled, strict=True)],
            ),
        },
        tables={"slices.csv": _slices(cases, protocol)},
    )


def _results(cases: Sequence[CaseAgreement], pooled: Sequence[MaskAgreement], protocol: Protocol) -> Table:
    rows = []
    for case, agreement in zip(cases, pooled, strict=True):
        slices = case.counted(protocol)
        volumes_ml = (agreement.infected * case.voxel_ml, agreement.marked * case.voxel_ml)
        values = [measure(name, agreement, protocol) if slices else float("nan") for name in MEASURES]
        infected = sum(1 for s in slices if s.infected)
        rows.append((case.case, len(slices), infected, *values, *volumes_ml, *agreement.counts, case.seconds))
    columns = ("case", "slices", "infected_slices", *MEASURES, "true_ml", "found_ml", *COUNTS, "seconds")
    return Table(columns, tuple(rows))


def _slices(cases: Sequence[CaseAgreement], protocol: Protocol) -> Table:
    rows: list[Row] = []
    for case in cases:
        for s in case.slices:
            left_out = protocol is Protocol.PAPER and not s.agreement.marked
            values = [measure(name, s.agreement, protocol) for name in MEASURES]
            rows.append((case.case, s.number, s.z_mm, int(not left_out), *values, *s.agreement.counts))
    return Table(("case", "slice", "z_mm", "counted", *MEASURES, *COUNTS), tuple(rows))


def _resampled(cases: Sequence[CaseAgreement]) -> str:
    """What the intervals over slices come from."""
    return "cases" if len(cases) > 1 else "slices"


def _summary(summary: SegmentationSummary, resampled: str) -> dict[str, object]:
    return {
        "protocol": {"name": summary.protocol.value, "meaning": summary.protocol.meaning},
        "slices": summary.slices,
        "slices_left_out": summary.left_out,
        "per_slice_resampled": resampled,
        "per_slice": estimates_dict(summary.per_slice),
        "per_case": estimates_dict(summary.per_case),
    }


RESAMPLED = {
    "cases": "its interval from resampling cases",
    "slices": "its interval from resampling the slices of the only case, which is right for a set of single slices and "
    "too narrow for slices of one patient",
}
"""What the table says of the intervals over slices."""


def _table(summary: SegmentationSummary, facts: RunFacts, resampled: str) -> str:
    rows: dict[str, dict[str, Estimate]] = {
        f"per slice ({summary.slices})": dict(summary.per_slice),
        f"per case ({facts.done})": dict(summary.per_case),
    }
    left_out = f" {counted(summary.left_out, 'slice')} left out." if summary.left_out else ""
    return (
        f"# Segmentation of the infection\n\n{facts.text}.\n\n"
        f"{estimate_table(rows, MEASURES, 'mean over')}\n"
        f"Protocol *{summary.protocol.value}*: {summary.protocol.meaning}.{left_out}\n\n"
        f"Per slice: the mean over all slices that count, {RESAMPLED[resampled]}. Per case: the mean over cases, each "
        "case's slices taken together. In brackets: 95 % bootstrap interval. Measures are over whole slices, not over "
        "the lungs alone. A measure that is not defined for a slice or case (sensitivity without "
        "infection, precision without a find) is left out of its mean; `summary.json` has the number that each mean is "
        "over.\n"
    )
