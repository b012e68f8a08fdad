"""The files of ``evaluate accuracy``: every figure with its target, one column per profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from CovidSeverityLib.evaluation.journal import Record
from CovidSeverityLib.evaluation.outputs import Outputs, Row, Table, markdown_table
from CovidSeverityLib.evaluation.reports import RunFacts, summary_head
from CovidSeverityLib.formats.accuracy_tables import ACCURACY_RESULTS, ROBUSTNESS
from CovidSeverityLib.types import Opacity

from .figures import (
    VOLUME_ERROR_ML,
    VOLUME_ERROR_PERCENT,
    Figure,
    changes,
    ctss_change,
    figures,
    volume_change,
    volume_error_percent,
    volume_is_right,
)
from .measurement import is_single, of_part
from .plots import dice_by_burden, robustness, simulated_scores

MISSED = "missed"
"""Mark of a figure that misses its target."""

HEAD = ("chest", "what", "profile", "ctss", "infection_percent", "infection_ml", "lung_ml", "seconds")
"""Columns with values of a record; the others are those of simulated lesions."""

CHANGE_COLUMNS = ROBUSTNESS.header()


def accuracy_outputs(
    records: Mapping[str, Record],
    profiles: Sequence[str],
    facts: RunFacts,
    *,
    resampling: bool = True,
    healthy: bool = True,
    pixels: int | None = None,
) -> Outputs:
    """Everything that ``evaluate accuracy`` writes.

    Parameters
    ----------
    records : mapping of str to Record
        Records of the cases, by name.
    profiles : sequence of str
        Profiles in the order of the columns.
    facts : RunFacts
        Facts of the run.
    resampling, healthy : bool
        Whether the table has the parts on other scanners and on healthy chests.
    pixels : int, optional
        Pixels to which every CT was reduced; None without reduction.
    """
    values = list(records.values())
    found = figures(values, profiles, resampling=resampling, healthy=healthy)
    text = facts.text if pixels is None else f"{facts.text}, CTs reduced to {pixels} x {pixels} pixels"
    laid_in, varied = of_part(values, simulated=True), _change_rows(values, profiles)
    plots = {}
    if laid_in:
        plots["ctss.png"] = simulated_scores(laid_in, profiles)
    if many := [record for record in laid_in if not is_single(record)]:
        plots["dice.png"] = dice_by_burden(many, profiles)
    if varied:
        plots["robustness.png"] = robustness([dict(zip(CHANGE_COLUMNS, row, strict=True)) for row in varied], profiles)
    return Outputs(
        results=Table(ACCURACY_RESULTS.header(), tuple(_result_row(record) for record in values)),
        summary=summary_head("accuracy", facts) | {"pixels": pixels} | _summary(found, profiles),
        table=_table(found, profiles, text),
        headline=f"{text}\n{_plain_table(found, profiles)}",
        plots=plots,
        tables={"robustness.csv": Table(CHANGE_COLUMNS, tuple(varied))} if varied else {},
    )


def _result_row(record: Record) -> Row:
    head = [record[name] for name in HEAD]
    if "spec" not in record:
        return (*head, *(None for _ in ACCURACY_RESULTS.header()[len(HEAD) :]))
    spec, opacities = record["spec"], record["opacities_ml"]
    return (
        *head,
        *(spec["kind"], spec["position"], record["lesions"], record["true_percent"], record["true_ml"]),
        *(volume_error_percent(record), int(volume_is_right(record)), record["dice"], record["true_ctss"]),
        *(record["ctss_range"] or (None, None)),
        *record["lungs_dice"],
        *(marked / true if true else None for marked, true in (opacities[o.name.lower()] for o in Opacity)),
    )


def _change_rows(records: Sequence[Record], profiles: Sequence[str]) -> list[Row]:
    """One row for every variation of every CT by every profile."""
    cts = of_part(records, simulated=False)
    rows: list[Row] = []
    for chest in dict.fromkeys(record["chest"] for record in cts):
        for profile in profiles:
            own = {r["what"]: r for r in cts if (r["chest"], r["profile"]) == (chest, profile)}
            scores, volumes = (changes(list(own.values()), change) for change in (ctss_change, volume_change))
            rows += [
                (
                    chest,
                    what,
                    profile,
                    int(score),
                    volumes[what],
                    own[what]["infection_percent"],
                    int(own[what]["normal"]),
                )
                for what, score in scores.items()
            ]
    return rows


def _summary(found: Sequence[Figure], profiles: Sequence[str]) -> dict[str, Any]:
    return {
        "profiles": list(profiles),
        "asked": sum(figure.target is not None for figure in found),
        "missed": {profile: sum(figure.met(profile) is False for figure in found) for profile in profiles},
        "figures": [
            {
                "part": figure.part,
                "of": figure.of,
                "figure": figure.title,
                "asked": figure.target.text if figure.target else None,
                "values": {profile: figure.values[profile].as_dict() for profile in profiles},
                "met": {profile: figure.met(profile) for profile in profiles},
            }
            for figure in found
        ],
    }


def _cell(figure: Figure, profile: str) -> str:
    text = figure.values[profile].text(figure.decimals)
    return f"{text} {MISSED}" if figure.met(profile) is False else text


def _lines(found: Sequence[Figure], profiles: Sequence[str]) -> list[list[str]]:
    return [
        [figure.of, figure.title, figure.target.text if figure.target else "", *(_cell(figure, p) for p in profiles)]
        for figure in found
    ]


def _missed(found: Sequence[Figure], profiles: Sequence[str]) -> str:
    asked = sum(figure.target is not None for figure in found)
    counts = ", ".join(f"{profile} {sum(f.met(profile) is False for f in found)}" for profile in profiles)
    return f"of {asked} bounds missed: {counts}"


def _plain_table(found: Sequence[Figure], profiles: Sequence[str]) -> str:
    """The table in columns of equal width, for a terminal."""
    lines = [["", "", "asked", *profiles], *_lines(found, profiles)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(lines[0]))]
    texts = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    parts = [None, *(figure.part for figure in found)]
    shown = []
    for n, text in enumerate(texts):
        if n and parts[n] != parts[n - 1]:
            shown.append(f"-- {parts[n]}")
        shown.append(text)
    return "\n".join([*shown, _missed(found, profiles)])


def _table(found: Sequence[Figure], profiles: Sequence[str], facts: str) -> str:
    text = f"# Accuracy\n\n{facts}; {_missed(found, profiles)}.\n"
    for part in dict.fromkeys(figure.part for figure in found):
        rows = [
            [cell if not cell.endswith(MISSED) else f"**{cell}**" for cell in line]
            for line in _lines([figure for figure in found if figure.part == part], profiles)
        ]
        text += f"\n## {part[0].upper()}{part[1:]}\n\n{markdown_table(['of', 'figure', 'asked', *profiles], rows)}"
    return text + (
        "\nROC areas: of the infected share of a slice (or of a lobe in a slice) for those that radiologists call "
        "infected. Recall is the marked part of the true volume, over all cases together. Volumes are right within "
        f"{VOLUME_ERROR_PERCENT:g} % or {VOLUME_ERROR_ML:g} ml of the true one. The true CTSS is that of the lesions "
        "in the lobes that are found without them; the range is the one that a report tells beside the score; lungs' "
        "Dice is against the lungs that are found without them, the lower of both sides. Healthy chests: the worst of "
        "the chest as it is, tilted, resliced and with shifted HU. Other scanners: changes against the CT as it is; of "
        "a normal CT, where any change is a large part of next to nothing, the most that is marked. In brackets: 95 % "
        "bootstrap interval, over cases; for ROC areas over slices, which is too narrow, as slices of a patient are "
        "alike.\n"
    )
