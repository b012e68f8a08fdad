"""The files of ``evaluate ctss``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from CovidSeverityLib.evaluation.estimates import Estimate
from CovidSeverityLib.evaluation.outputs import Outputs, Table, markdown_table, table_of
from CovidSeverityLib.evaluation.plots import bland_altman, scatter
from CovidSeverityLib.evaluation.reports import RunFacts, estimate_table, estimates_dict, summary_head
from CovidSeverityLib.formats.evaluation_tables import CTSS_RESULTS

from .agreement import MEASURES, SEVERITY_CLASSES, severity_class, severity_table
from .ctss_tables import CtssPairs
from .published import CTSS_FIGURES, published_notes, published_rows
from .severity import summarise_severity

HEADLINE = ("pearson", "icc_2_1", "mae", "bias")
"""The printed measures."""


def severity_outputs(scores: CtssPairs, facts: RunFacts, extra: Mapping[str, Sequence[float]]) -> Outputs:
    """Everything that ``evaluate ctss`` writes.

    Parameters
    ----------
    scores : CtssPairs
        Truth and variants.
    facts : RunFacts
        Facts of the run.
    extra : mapping of str to sequence of float
        Further columns of ``results.csv``, a value for each case.
    """
    summary = summarise_severity(scores)
    limits = {name: (e["limit_low"], e["bias"], e["limit_high"]) for name, e in summary.items()}
    notes = {name: f"r = {e['pearson'].text(2)}, ICC = {e['icc_2_1'].text(2)}" for name, e in summary.items()}
    return Outputs(
        results=_results(scores, extra),
        summary=summary_head("ctss", facts)
        | {
            "matched_by": scores.matched_by,
            "severity_classes": list(SEVERITY_CLASSES),
            "variants": {
                name: estimates_dict(estimates)
                | {"severity_table": severity_table(scores.truth, scores.variants[name]).tolist()}
                for name, estimates in summary.items()
            },
        },
        table=_table(scores, summary, facts),
        headline="\n".join([facts.text, *(_line(name, estimates) for name, estimates in summary.items())]),
        plots={
            "scatter.png": scatter(scores.truth, scores.variants, notes),
            "bland_altman.png": bland_altman(scores.truth, scores.variants, limits),
        },
    )


def _line(name: str, estimates: Mapping[str, Estimate]) -> str:
    labels = {"pearson": "Pearson", "icc_2_1": "ICC(2,1)", "mae": "MAE", "bias": "bias"}
    return f"{name}: " + ", ".join(f"{labels[m]} {estimates[m].text()}" for m in HEADLINE)


def _results(scores: CtssPairs, extra: Mapping[str, Sequence[float]]) -> Table:
    scored = {"truth": scores.truth, **scores.variants}
    words = {f"{n}_severity": [SEVERITY_CLASSES[severity_class(v)] for v in column] for n, column in scored.items()}
    columns = CTSS_RESULTS.header({"images"} if extra else (), variant=tuple(scores.variants))
    return table_of(columns, {"case": scores.cases, **scored, **words, **extra})


def _table(scores: CtssPairs, summary: Mapping[str, Mapping[str, Estimate]], facts: RunFacts) -> str:
    published = published_rows(CTSS_FIGURES, MEASURES)
    text = f"# CT severity score against radiologists\n\n{facts.text}.\n\n"
    text += estimate_table(summary, MEASURES, "score", published) + "\n"
    text += published_notes(CTSS_FIGURES)
    for name, values in scores.variants.items():
        table = severity_table(scores.truth, values)
        rows = [[f"**{word}**", *map(str, row)] for word, row in zip(SEVERITY_CLASSES, table, strict=True)]
        text += f"{name}: rows the radiologists, columns the score.\n\n"
        text += markdown_table(["", *SEVERITY_CLASSES], rows) + "\n"
    return text + (
        "In brackets: 95 % bootstrap interval over cases. Bias: mean of score minus truth; limits of agreement: bias "
        "± 1.96 standard deviations. Kappa: Cohen's, weighted, over mild (0-7), moderate (8-17) and severe (18-25).\n"
    )
