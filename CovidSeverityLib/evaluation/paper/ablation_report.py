"""The files of ``evaluate ablation``."""

from __future__ import annotations

from collections.abc import Mapping

from CovidSeverityLib.evaluation.estimates import Estimate
from CovidSeverityLib.evaluation.journal import Record
from CovidSeverityLib.evaluation.outputs import Outputs, Table
from CovidSeverityLib.evaluation.plots import bars
from CovidSeverityLib.evaluation.reports import MEASURE_TITLES, RunFacts, estimate_table, estimates_dict, summary_head
from CovidSeverityLib.formats.evaluation_tables import ABLATION_RESULTS
from CovidSeverityLib.reporting.output_folder import FileWriter

from .ablation import COMPLETE, SHOWN_MEASURES, ablation_rows, summarise_ablation
from .segmentation import MEASURES, Protocol, measure


def ablation_outputs(records: Mapping[str, Record], protocol: Protocol, facts: RunFacts) -> Outputs:
    """Everything that ``evaluate ablation`` writes."""
    summary = summarise_ablation(records, protocol)
    rows = tuple(
        (case, what, name, *(measure(m, agreement, protocol) for m in MEASURES))
        for case, what, name, agreement in ablation_rows(records, protocol)
    )
    return Outputs(
        results=Table(ABLATION_RESULTS.header(), rows),
        summary=summary_head("ablation", facts)
        | {
            "protocol": {"name": protocol.value, "meaning": protocol.meaning},
            "segmentation": {name: estimates_dict(e) for name, e in summary.segmentation.items()},
            "classification_image": {name: estimates_dict(e) for name, e in summary.images.items()},
        },
        table=_table(summary.segmentation, summary.images, protocol, facts),
        headline=f"{facts.text}\n" + "\n".join(_line(name, e) for name, e in summary.segmentation.items()),
        plots={
            "segmentation.png": _bars("Infection mask", summary.segmentation),
            "classification_image.png": _bars(
                "Classification image: what is lit, against the infection", summary.images
            ),
        },
    )


def _line(name: str, estimates: Mapping[str, Estimate]) -> str:
    return f"{name}: Dice {estimates['dice'].text()}, precision {estimates['precision'].text()}"


def _bars(title: str, summary: Mapping[str, Mapping[str, Estimate]]) -> FileWriter:
    return bars(title, {MEASURE_TITLES[m]: {name: e[m] for name, e in summary.items()} for m in SHOWN_MEASURES})


def _table(
    segmentation: Mapping[str, Mapping[str, Estimate]],
    images: Mapping[str, Mapping[str, Estimate]],
    protocol: Protocol,
    facts: RunFacts,
) -> str:
    return (
        f"# What each step of the preprocessing is worth\n\n{facts.text}.\n\n"
        f"## Infection mask\n\n{estimate_table(segmentation, MEASURES, 'steps')}\n"
        f"Means over cases, each case's slices taken together. Protocol *{protocol.value}*: {protocol.meaning}. "
        f"*{COMPLETE}* is the profile as it is; in each other row one step is left out.\n\n"
        f"## Classification image\n\n{estimate_table(images, SHOWN_MEASURES, 'steps')}\n"
        "What is lit in the image (anything above its darkest value) against the true infection: sensitivity is the "
        "share of the infection that the classifier gets to see, precision the infected share of what it sees. "
        "The outline of the lungs counts as lit. All slices count.\n\n"
        "In brackets: 95 % bootstrap interval over cases.\n"
    )
