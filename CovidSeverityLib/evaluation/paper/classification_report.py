"""The files of ``evaluate classification``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from CovidSeverityLib.evaluation.outputs import Outputs, Table, markdown_table, table_of
from CovidSeverityLib.evaluation.plots import confusion, roc_curves
from CovidSeverityLib.evaluation.reports import MEASURE_TITLES, RunFacts, estimates_dict, summary_head
from CovidSeverityLib.formats.evaluation_tables import CLASSIFICATION_RESULTS
from CovidSeverityLib.types import DIAGNOSIS_NAMES, Diagnosis

from .classification import MEASURES, ClassificationSummary, ClassifiedCases, summarise_classification
from .published import CLASSIFICATION_FIGURES, published_notes

SHORT_NAMES = {Diagnosis.NORMAL: "normal", Diagnosis.CAP: "CAP", Diagnosis.COVID19: "COVID-19"}
"""Short headings."""


def classification_outputs(
    cases: ClassifiedCases, facts: RunFacts, extra: Mapping[str, Sequence[float]], layout: str
) -> Outputs:
    """Everything that ``evaluate classification`` writes.

    Parameters
    ----------
    cases : ClassifiedCases
        Truth and predictions.
    facts : RunFacts
        Facts of the run.
    extra : mapping of str to sequence of float
        Further columns of ``results.csv``, a value for each case.
    layout : str
        Recognised layout of the label file.
    """
    summary = summarise_classification(cases)
    plots = {"confusion.png": confusion(summary.confusion, list(SHORT_NAMES.values()))}
    curves = {
        SHORT_NAMES[which]: (*part.roc, part.measures["auc"]) for which, part in summary.classes.items() if part.roc
    }
    if curves:
        plots["roc.png"] = roc_curves(curves)
    return Outputs(
        results=_results(cases, extra),
        summary=summary_head("classification", facts) | {"labels": layout} | _summary(summary),
        table=_table(summary, facts),
        headline=_headline(summary, facts),
        plots=plots,
    )


def _headline(summary: ClassificationSummary, facts: RunFacts) -> str:
    lines = [facts.text, f"Accuracy {summary.accuracy.text()}"]
    for which, part in summary.classes.items():
        if part.cases:
            sensitivity, area = part.measures["sensitivity"].text(), part.measures["auc"].text()
            lines.append(f"{SHORT_NAMES[which]}: sensitivity {sensitivity}, AUC {area}")
    return "\n".join(lines)


def _results(cases: ClassifiedCases, extra: Mapping[str, Sequence[float]]) -> Table:
    values: dict[str, Sequence] = {
        "case": cases.cases,
        "truth": [SHORT_NAMES[d] for d in cases.truth],
        "predicted": [SHORT_NAMES[d] for d in cases.predicted],
        "right": [int(t == p) for t, p in zip(cases.truth, cases.predicted, strict=True)],
        **extra,
    }
    groups = {"images"} if extra else set()
    if cases.scores is not None:
        groups.add("probabilities")
        values |= {f"score_{d.name.lower()}": cases.scores[:, d].tolist() for d in Diagnosis}
    return table_of(CLASSIFICATION_RESULTS.header(groups), values)


def _summary(summary: ClassificationSummary) -> dict[str, object]:
    return {
        "classes": [DIAGNOSIS_NAMES[d] for d in Diagnosis],
        "confusion": summary.confusion.tolist(),
        "accuracy": summary.accuracy.as_dict(),
        "per_class": {
            DIAGNOSIS_NAMES[which]: {"cases": part.cases}
            | estimates_dict(part.measures)
            | {
                "roc": None
                if part.roc is None
                else {"false_positive_rate": part.roc[0].tolist(), "true_positive_rate": part.roc[1].tolist()}
            }
            for which, part in summary.classes.items()
        },
    }


def _table(summary: ClassificationSummary, facts: RunFacts) -> str:
    header = ["class", *(MEASURE_TITLES[m] for m in MEASURES), "cases"]
    rows = [
        [SHORT_NAMES[which], *(part.measures[m].text() for m in MEASURES), str(part.cases)]
        for which, part in summary.classes.items()
    ]
    counts = [[f"**{SHORT_NAMES[d]}**", *map(str, row)] for d, row in zip(Diagnosis, summary.confusion, strict=True)]
    published = "".join(
        f"Published [{n}]: {figure.what}, accuracy {figure.values['accuracy']:.3f}.\n\n"
        for n, figure in enumerate(CLASSIFICATION_FIGURES, start=1)
    )
    return (
        f"# Classification\n\n{facts.text}. Accuracy {summary.accuracy.text()}.\n\n"
        f"{markdown_table(header, rows)}\n"
        "Each class against the rest, over patients. In brackets: 95 % bootstrap interval over patients.\n\n"
        f"{markdown_table(['', *SHORT_NAMES.values()], counts)}\n"
        "Rows the truth, columns the prediction.\n\n"
        f"{published}{published_notes(CLASSIFICATION_FIGURES)}"
    ).rstrip() + "\n"
