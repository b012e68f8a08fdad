"""Tables of true and of predicted CTSS, case by case, and the matching of their rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from CovidSeverityLib.checked import known
from CovidSeverityLib.ctss import CTSS_MAX
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.evaluation.case_names import NameMatches, match_names
from CovidSeverityLib.evaluation.cases import Failure
from CovidSeverityLib.io.csv_tables import CASE_WORDS, Row, Table, number, once_each, read_table, whole_number

TRUTH_WORDS = ("truth", "ctssgt", "gtctss", "ctsstruth", "truectss", "groundtruth", "gt", "radiologist", "radiologists")
"""Headers of the column with the true score."""

SCORE_WORDS = (
    *("ctss", "score", "severityscore", "ctseverityscore", "ctssscore", "totalscore"),
    *("mean", "max", "meanvariant", "maxvariant", "ctssmean", "ctssmax", "ctssmeanvariant", "ctssmaxvariant"),
    *("ctssdefault", "ctssreference", "prediction", "predicted", "pred", "predictedctss", "ctsspredicted"),
)
"""Headers of columns with scores; in a table of truth they count if there is none of :data:`TRUTH_WORDS`."""

PUBLISHED_VARIANTS = ("mean", "max")
"""Second and third column of the published results, which have no header and whose first column is the truth."""

ONLY_VARIANT = "ctss"
BY_NAME = "name"
BY_ROW = "row order"
BY_OWN_TRUTH = "the predictions' own truth"

FEWEST_COUNTED_ROWS = 5
"""With so many rows or more, a first column 0, 1, 2 ... or 1, 2, 3 ... is read as row numbers and not as scores."""

Scores = tuple[int | float, ...]


@dataclass(frozen=True)
class CtssPredictions:
    """Scores by variant, row by row. ``cases`` and ``truth`` are None if the file lacks them; ``source`` names it."""

    variants: Mapping[str, Scores]
    cases: tuple[str, ...] | None = None
    truth: tuple[int, ...] | None = None
    source: str = "the predictions"


@dataclass(frozen=True)
class _Columns:
    """Columns of the case, the truth and each variant."""

    case: int | None
    truth: int | None
    variants: Mapping[str, int]


@dataclass(frozen=True)
class CtssPairs:
    """True and predicted scores of the same cases, in the order of the truth.

    ``matched_by`` is :data:`BY_NAME`, :data:`BY_ROW` or :data:`BY_OWN_TRUTH`; ``failures`` are cases in only one of the
    two tables.
    """

    cases: tuple[str, ...]
    truth: tuple[int, ...]
    variants: Mapping[str, Scores]
    matched_by: str
    failures: tuple[Failure, ...] = ()


def read_ctss_truth(path: Path) -> Mapping[str, int]:
    """Read the true CTSS of every case, in the order of the file.

    Parameters
    ----------
    path : Path
        CSV with a header and columns for the case and the score, or with only these two columns.

    Raises
    ------
    InputError
        If there is no such column, or several for the score; if a score is not an integer from 0 to 25, or a case has
        two scores. The message gives the line.
    """
    table = read_table(path, _is_header)
    if table.header is None and table.width != 2:
        raise table.error(f"it has {table.width} columns and no header; case and score, or a header, are needed")
    case = 0 if table.header is None else table.case_column()
    column = 1 if table.header is None else _one_column(table, TRUTH_WORDS, SCORE_WORDS)
    if case is None:
        raise table.error(f"no column names the case; one named case is needed, {table.shown} are there")
    if column is None:
        raise table.error(f"no column has the score; one named ctss is needed, {table.shown} are there")
    return once_each(table, ((row, row.cell(case), _whole_score(table, row, column)) for row in table.rows), "score")


def read_ctss_predictions(path: Path) -> CtssPredictions:
    """Read predicted CTSS.

    Parameters
    ----------
    path : Path
        CSV with a header: columns for the case and the truth (either may be missing) and one or more columns of scores,
        each of them a variant with the name of its column (a single one is "ctss"); other columns are ignored. Without
        a header: case and score, or the three columns of the published results (truth, mean and max variant).

    Raises
    ------
    InputError
        If there is no column of scores, a score is not a number from 0 to 25, or a case occurs twice.
    """
    table = read_table(path, _is_header)
    columns = _columns_without_header(table) if table.header is None else _columns_of_header(table)
    rows = [_scored_row(table, row, columns) for row in table.rows]
    cases = None
    if columns.case is not None:
        names = (row.cell(columns.case) for row in table.rows)
        by_case = once_each(table, zip(table.rows, names, rows, strict=True), "score")
        cases, rows = tuple(by_case), list(by_case.values())
    truth = None if columns.truth is None else tuple(int(row[0]) for row in rows)
    scores = {name: tuple(row[n] for row in rows) for n, name in enumerate(columns.variants, start=1)}
    return CtssPredictions(MappingProxyType(scores), cases, truth, table.name)


def match_ctss(predictions: CtssPredictions, truth: Mapping[str, int] | None) -> CtssPairs:
    """Match predicted and true scores.

    Parameters
    ----------
    predictions : CtssPredictions
        Result of :func:`read_ctss_predictions`.
    truth : mapping of str to int or None
        Result of :func:`read_ctss_truth`; None uses the truth in the predictions.

    Returns
    -------
    CtssPairs
        Matched by name if the predictions have names of cases, otherwise row by row.

    Raises
    ------
    InputError
        If there is no truth, no case is in both, the numbers of rows without names differ, or the truth in the
        predictions is different.
    """
    if truth is None:
        return _own_pairs(predictions)
    if predictions.cases is None:
        return _row_pairs(predictions, truth)
    return _named_pairs(predictions, predictions.cases, truth)


def _is_header(words: tuple[str, ...]) -> bool:
    return bool({*CASE_WORDS, *TRUTH_WORDS, *SCORE_WORDS}.intersection(words))


def _one_column(table: Table, *groups: tuple[str, ...]) -> int | None:
    """The column whose header is in the first matching one of ``groups``."""
    for words in groups:
        found = table.columns(words)
        if len(found) > 1:
            names = ", ".join(known(table.header)[n] for n in found)
            raise table.error(f"the true score may be in several columns ({names}); one is needed")
        if found:
            return found[0]
    return None


def _columns_of_header(table: Table) -> _Columns:
    found = [n for n in table.columns(SCORE_WORDS) if any(row.cell(n) for row in table.rows)]
    if not found:
        raise table.error(f"no column has scores; one named ctss is needed, {table.shown} are there")
    names = [ONLY_VARIANT] if len(found) == 1 else [known(table.header)[n] for n in found]
    if len(set(names)) < len(names):
        raise table.error(f"two columns of scores have the same name ({', '.join(names)}); a name for each is needed")
    variants = dict(zip(names, found, strict=True))
    return _Columns(table.case_column(), _one_column(table, TRUTH_WORDS), variants)


def _columns_without_header(table: Table) -> _Columns:
    """Case and score, or truth and both published variants; other layouts are ambiguous."""
    first = [number(row.cell(0)) for row in table.rows]
    if table.width == 2 and None in first:
        return _Columns(0, None, {ONLY_VARIANT: 1})
    counted = len(first) >= FEWEST_COUNTED_ROWS and first in ([*range(len(first))], [*range(1, len(first) + 1)])
    if table.width == 1 + len(PUBLISHED_VARIANTS) and None not in first and not counted:
        return _Columns(None, 0, {name: n for n, name in enumerate(PUBLISHED_VARIANTS, start=1)})
    raise table.error(
        f"it is not clear what its {table.width} columns are; a header such as case,ctss or truth,mean,max is needed"
    )


def _scored_row(table: Table, row: Row, columns: _Columns) -> Scores:
    """The truth (0 if there is none) and the score of every variant."""
    truth = 0 if columns.truth is None else _whole_score(table, row, columns.truth)
    return truth, *(_score(table, row, column) for column in columns.variants.values())


def _whole_score(table: Table, row: Row, column: int) -> int:
    value = whole_number(row.cell(column))
    if value is None or not 0 <= value <= CTSS_MAX:
        text = f"the score is {row.cell(column)!r}; a whole number from 0 to {CTSS_MAX} is needed"
        raise table.error(text, row)
    return value


def _score(table: Table, row: Row, column: int) -> int | float:
    value = number(row.cell(column))
    if value is None or not 0 <= value <= CTSS_MAX:
        raise table.error(f"the score is {row.cell(column)!r}; a number from 0 to {CTSS_MAX} is needed", row)
    return int(value) if value.is_integer() else value


def _own_pairs(predictions: CtssPredictions) -> CtssPairs:
    if predictions.truth is None:
        raise InputError(f"{predictions.source} holds no true scores; a table of them has to be given (--truth)")
    cases = predictions.cases or tuple(f"row {n}" for n in range(1, len(predictions.truth) + 1))
    return CtssPairs(cases, predictions.truth, predictions.variants, BY_OWN_TRUTH)


def _row_pairs(predictions: CtssPredictions, truth: Mapping[str, int]) -> CtssPairs:
    rows = len(next(iter(predictions.variants.values())))
    if rows != len(truth):
        raise InputError(
            f"{predictions.source} names no cases and has {rows} rows, but {len(truth)} cases have true scores; "
            "as many rows, or a column named case, are needed"
        )
    true_scores = tuple(truth.values())
    own = predictions.truth or true_scores
    other = next((n for n in range(rows) if own[n] != true_scores[n]), None)
    if other is not None:
        raise InputError(
            f"{predictions.source} names no cases, and the truth in its row {other + 1} is {own[other]}, but that of "
            f"{tuple(truth)[other]} is {true_scores[other]}; the same cases in the same order are needed"
        )
    return CtssPairs(tuple(truth), true_scores, predictions.variants, BY_ROW)


def _named_pairs(predictions: CtssPredictions, cases: tuple[str, ...], truth: Mapping[str, int]) -> CtssPairs:
    matches = match_names(truth, cases)
    if not matches.pairs:
        raise InputError(f"{predictions.source} and the true scores have no case in common")
    place = {name: row for row, name in enumerate(cases)}
    rows = {case: place[matches.pairs[case]] for case in truth if case in matches.pairs}
    for case, row in rows.items():
        if predictions.truth is not None and predictions.truth[row] != truth[case]:
            raise InputError(
                f"{predictions.source} has {predictions.truth[row]} as the true score of {case}, "
                f"but the table of true scores has {truth[case]}"
            )
    variants = {name: tuple(values[row] for row in rows.values()) for name, values in predictions.variants.items()}
    return CtssPairs(
        tuple(rows),
        tuple(truth[case] for case in rows),
        MappingProxyType(variants),
        BY_NAME,
        _unmatched(matches, cases, truth),
    )


def _unmatched(matches: NameMatches, cases: tuple[str, ...], truth: Mapping[str, int]) -> tuple[Failure, ...]:
    failures = []
    for case in truth:
        found = matches.unclear.get(case)
        if found:
            failures.append(Failure(case, f"which prediction belongs to it is not clear: {', '.join(found)}"))
        elif case not in matches.pairs:
            failures.append(Failure(case, "there is no prediction for it"))
    used = {*matches.pairs.values(), *(name for found in matches.unclear.values() for name in found)}
    return (*failures, *(Failure(case, "there is no true score for it") for case in cases if case not in used))
