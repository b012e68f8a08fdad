"""The figures of ``evaluate accuracy`` beside what is asked of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

import numpy as np

from .accuracy import AS_IT_IS, of_part
from .classification import roc_areas
from .estimates import Estimate, bootstrap, mean_estimate
from .journal import Record

VOLUME_ERROR_PERCENT = 15.0
VOLUME_ERROR_ML = 10.0
"""A volume is right within either of these of the true one (acceptance bounds)."""

CTSS_ERROR = 1
"""A score is right within this of the true one (acceptance bound)."""

ALL_CTS = "all CTs"
ALL_CHESTS = "all chests"
IMPLANTS, LABELS, NORMAL, ROBUSTNESS = "implanted lesions", "labelled slices", "whole CTs", "other scanners"
"""Parts of the table."""


class Sense(str, Enum):
    """On which side of its bound a figure has to be."""

    AT_LEAST = "at least"
    AT_MOST = "at most"
    UNDER = "under"

    def met(self, value: float, bound: float) -> bool:
        """Whether ``value`` is on the right side of ``bound``."""
        if self is Sense.AT_LEAST:
            return value >= bound
        return value <= bound if self is Sense.AT_MOST else value < bound


@dataclass(frozen=True)
class Target:
    """What is asked of a figure: an acceptance bound of the project."""

    sense: Sense
    bound: float
    unit: str = ""

    @property
    def text(self) -> str:
        """``at least 0.97``."""
        return f"{self.sense.value} {self.bound:g}{self.unit}"

    def met(self, value: float | None) -> bool | None:
        """Whether ``value`` is as asked; None where there is none."""
        return None if value is None else self.sense.met(value, self.bound)


SLICE_AUC = Target(Sense.AT_LEAST, 0.97)
POOLED_AUC = Target(Sense.AT_LEAST, 0.90)
LOBE_AUC = Target(Sense.AT_LEAST, 0.90)
NORMAL_PERCENT = Target(Sense.UNDER, 0.5, " %")
NORMAL_CTSS = Target(Sense.AT_MOST, 1)
MEAN_DICE = Target(Sense.AT_LEAST, 0.80)
VOLUMES_RIGHT = Target(Sense.AT_LEAST, 100, " %")
SCORES_RIGHT = Target(Sense.AT_LEAST, 90, " %")
LUNGS_DICE = Target(Sense.AT_LEAST, 0.96)
CTSS_CHANGE = Target(Sense.AT_MOST, 1)
VOLUME_CHANGE = Target(Sense.AT_MOST, 20, " %")
"""Acceptance bounds: radiologists' labels of slices and lobes; a normal CT; lesions of known extent (each volume within
15 % or 10 ml, scores within 1); the same CT with other slices, pixels and noise."""


@dataclass(frozen=True)
class Figure:
    """One line of the table: what it is of, what it is, what is asked, and the estimate of each profile."""

    part: str
    of: str
    title: str
    target: Target | None
    decimals: int
    values: Mapping[str, Estimate]

    def met(self, profile: str) -> bool | None:
        """Whether the profile does as asked; None where nothing is asked or known."""
        return None if self.target is None else self.target.met(self.values[profile].value)


def figures(records: Sequence[Record], profiles: Sequence[str]) -> tuple[Figure, ...]:
    """Every figure that the records give, in the order of the table.

    Parameters
    ----------
    records : of :meth:`~.accuracy.Workbench.measure`.
    profiles : in the order of the columns.

    Raises
    ------
    InputError
        If a library of the extra ``evaluate`` is missing.
    """
    cts, laid_in = of_part(records, implants=False), of_part(records, implants=True)
    table = _Table(profiles)
    plain = [record for record in cts if record["what"] == AS_IT_IS]
    _add_labels(table, [record for record in plain if record["slices"] is not None])
    _add_whole_cts(table, plain)
    _add_implants(table, laid_in)
    _add_robustness(table, cts)
    return tuple(table.figures)


class _Table:
    """Collects figures; a line that no profile has a value for is left out."""

    def __init__(self, profiles: Sequence[str]) -> None:
        self.profiles, self.figures = profiles, []

    def add(
        self,
        part: str,
        of: str,
        title: str,
        target: Target | None,
        decimals: int,
        records: Sequence[Record],
        estimate: Callable[[Sequence[Record]], Estimate],
    ) -> None:
        values = {p: estimate([r for r in records if r["profile"] == p]) for p in self.profiles}
        if any(value.value is not None for value in values.values()):
            self.figures.append(Figure(part, of, title, target, decimals, MappingProxyType(values)))


def _add_labels(table: _Table, labelled: Sequence[Record]) -> None:
    chests = _names(labelled)
    for name in chests:
        table.add(LABELS, name, "ROC area, slices", SLICE_AUC, 3, _of(labelled, name), _slice_area)
    if len(chests) > 1:
        table.add(LABELS, ALL_CTS, "ROC area, slices", POOLED_AUC, 3, labelled, _slice_area)
    for name in chests:
        table.add(LABELS, name, "ROC area, slices x lobes", LOBE_AUC, 3, _of(labelled, name), _lobe_area)


def _add_whole_cts(table: _Table, plain: Sequence[Record]) -> None:
    for name in _names(plain):
        records = _of(plain, name)
        normal = records[0]["normal"]
        title = "infected, % of the lungs"
        table.add(NORMAL, name, title, NORMAL_PERCENT if normal else None, 2, records, _only("infection_percent"))
        table.add(NORMAL, name, "CTSS", NORMAL_CTSS if normal else None, 0, records, _only("ctss"))


def _add_implants(table: _Table, laid_in: Sequence[Record]) -> None:
    chests = _names(laid_in)
    groups = [(name, _of(laid_in, name)) for name in chests]
    if len(chests) > 1:
        groups.append((ALL_CHESTS, list(laid_in)))
    for name, records in groups:
        table.add(IMPLANTS, name, "Dice, mean", MEAN_DICE, 3, records, _mean_of(lambda r: r["dice"]))
        table.add(IMPLANTS, name, "volumes right, %", VOLUMES_RIGHT, 0, records, _share_of(volume_is_right))
        table.add(IMPLANTS, name, "CTSS within 1, %", SCORES_RIGHT, 0, records, _share_of(score_is_right))
        ranged = [record for record in records if record["ctss_range"] is not None]
        table.add(IMPLANTS, name, "true CTSS in the range told, %", None, 0, ranged, _share_of(range_is_right))
        table.add(IMPLANTS, name, "width of the range, mean", None, 1, ranged, _mean_of(range_width))
        table.add(IMPLANTS, name, "lungs' Dice, lowest", LUNGS_DICE, 3, records, _lowest_lungs)


def _add_robustness(table: _Table, cts: Sequence[Record]) -> None:
    for name in _names([record for record in cts if record["what"] != AS_IT_IS]):
        records = _of(cts, name)
        table.add(ROBUSTNESS, name, "CTSS, largest change", CTSS_CHANGE, 0, records, _largest(ctss_change))
        if not records[0]["normal"]:
            table.add(ROBUSTNESS, name, "volume, largest change, %", VOLUME_CHANGE, 1, records, _largest(volume_change))
        else:
            table.add(ROBUSTNESS, name, "infected, most, %", NORMAL_PERCENT, 2, records, _most_infected)


def volume_error_percent(record: Record) -> float:
    """Found minus true volume, per cent of the true one."""
    return 100.0 * (record["infection_ml"] - record["true_ml"]) / record["true_ml"]


def volume_is_right(record: Record) -> bool:
    """Whether the volume is within the bounds of the true one."""
    off_ml = abs(record["infection_ml"] - record["true_ml"])
    return off_ml <= VOLUME_ERROR_ML or abs(volume_error_percent(record)) <= VOLUME_ERROR_PERCENT


def score_is_right(record: Record) -> bool:
    """Whether the CTSS is within 1 of the true one."""
    return abs(record["ctss"] - record["true_ctss"]) <= CTSS_ERROR


def range_is_right(record: Record) -> bool:
    """Whether the true CTSS lies in the range that was told."""
    low, high = record["ctss_range"]
    return low <= record["true_ctss"] <= high


def range_width(record: Record) -> float:
    """Highest minus lowest CTSS of the range."""
    low, high = record["ctss_range"]
    return float(high - low)


def ctss_change(record: Record, plain: Record) -> float:
    """Change of the CTSS against the CT as it is."""
    return float(record["ctss"] - plain["ctss"])


def volume_change(record: Record, plain: Record) -> float:
    """Change of the infected volume, per cent of that of the CT as it is; not a number where that is 0."""
    before, after = plain["infection_ml"], record["infection_ml"]
    return 100.0 * (after - before) / before if before else (0.0 if after == 0 else np.nan)


def changes(records: Sequence[Record], change: Callable[[Record, Record], float]) -> dict[str, float]:
    """``change`` of every variation of one CT by one profile; empty where the CT as it is was not analysed."""
    plain = next((record for record in records if record["what"] == AS_IT_IS), None)
    if plain is None:
        return {}
    return {record["what"]: change(record, plain) for record in records if record is not plain}


def _names(records: Sequence[Record]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(record["chest"] for record in records))


def _of(records: Sequence[Record], name: str) -> list[Record]:
    return [record for record in records if record["chest"] == name]


NOTHING = Estimate(None, None, None, 0)


def _one(value: float | None, n: int) -> Estimate:
    """A value without an interval."""
    return Estimate(None if value is None or np.isnan(value) else float(value), None, None, n)


def _only(key: str) -> Callable[[Sequence[Record]], Estimate]:
    return lambda records: _one(records[0][key], 1) if records else NOTHING


def _mean_of(value: Callable[[Record], float]) -> Callable[[Sequence[Record]], Estimate]:
    return lambda records: mean_estimate([value(record) for record in records])


def _share_of(holds: Callable[[Record], bool]) -> Callable[[Sequence[Record]], Estimate]:
    return _mean_of(lambda record: 100.0 * holds(record))


def _lowest_lungs(records: Sequence[Record]) -> Estimate:
    return _one(min(min(record["lungs_dice"]) for record in records), len(records)) if records else NOTHING


def _most_infected(records: Sequence[Record]) -> Estimate:
    return _one(max(record["infection_percent"] for record in records), len(records)) if records else NOTHING


def _largest(change: Callable[[Record, Record], float]) -> Callable[[Sequence[Record]], Estimate]:
    def estimate(records: Sequence[Record]) -> Estimate:
        found = [abs(value) for value in changes(records, change).values()]
        return _one(max(found, key=lambda value: (np.isnan(value), value)), len(found)) if found else NOTHING

    return estimate


def _slice_area(records: Sequence[Record]) -> Estimate:
    """Of ``infection_percent`` for slices labelled infected; its interval by resampling slices."""
    rows = [row for record in records for row in record["slices"]]
    labels, shares = np.array([row[1] for row in rows], dtype=bool), np.array([row[2] for row in rows])
    value = _area(labels, shares)
    if value is None:
        return NOTHING
    interval = bootstrap([labels, shares], roc_areas)
    return Estimate(value, interval.low, interval.high, len(labels))


def _lobe_area(records: Sequence[Record]) -> Estimate:
    """Of ``lobe_infection_percent`` over all pairs of a slice and a lobe."""
    rows = [row for record in records for row in record["slices"]]
    labels, shares = np.array([row[3] for row in rows], dtype=bool), np.array([row[4] for row in rows])
    return _one(_area(labels.ravel(), shares.ravel()), labels.size)


def _area(labels: np.ndarray, shares: np.ndarray) -> float | None:
    from sklearn.metrics import roc_auc_score

    if not labels.any() or labels.all():
        return None
    return float(roc_auc_score(labels, shares))
