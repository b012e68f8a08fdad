"""The figures of ``evaluate accuracy`` with their targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from CovidSeverityLib.evaluation.estimates import Estimate, bootstrap, mean_estimate, ratio_estimate
from CovidSeverityLib.evaluation.journal import Record
from CovidSeverityLib.evaluation.paper.classification import roc_areas
from CovidSeverityLib.types import Opacity

from . import targets as asked
from .measurement import AS_IT_IS, is_single, of_part
from .targets import Target
from .variations import HEALTHY_VARIATIONS, VARIATIONS

VOLUME_ERROR_PERCENT = 15.0
VOLUME_ERROR_ML = 10.0
"""A volume is right if it differs from the true one by at most one of these (acceptance bounds)."""

CTSS_ERROR = 1
"""A score is right if it differs from the true one by at most this (acceptance bound)."""

ALL_CTS = "all CTs"
ALL_CHESTS = "all chests"
LABELS, NORMAL, HEALTHY, ROBUSTNESS = "labelled slices", "whole CTs", "healthy chests", "other scanners"
SEVERAL, SINGLE, SIMULATED = "several lesions", "single lesions", "all simulated lesions"
"""Parts of the table."""

RESAMPLED = frozenset(variation.name for variation in VARIATIONS)
HEALTHY_CHANGES = frozenset(variation.name for variation in HEALTHY_VARIATIONS)
"""Changes to a CT for the part on other scanners, and for the part on healthy chests."""


@dataclass(frozen=True)
class Figure:
    """One line of the table: data, figure, target, and the estimate of each profile."""

    part: str
    of: str
    title: str
    target: Target | None
    decimals: int
    values: Mapping[str, Estimate]

    def met(self, profile: str) -> bool | None:
        """Whether the profile reaches the target; None without a target or a value."""
        return None if self.target is None else self.target.met(self.values[profile].value)


def figures(
    records: Sequence[Record], profiles: Sequence[str], *, resampling: bool = True, healthy: bool = True
) -> tuple[Figure, ...]:
    """Every figure of the records, in the order of the table.

    Parameters
    ----------
    records : sequence of Record
        Records of :meth:`~.measurement.Workbench.measure`.
    profiles : sequence of str
        Profiles in the order of the columns.
    resampling, healthy : bool
        Whether the table has the parts on other scanners and on healthy chests.

    Raises
    ------
    InputError
        If a library of the extra ``evaluate`` is missing.
    """
    cts, laid_in = of_part(records, simulated=False), of_part(records, simulated=True)
    table = _Table(profiles)
    plain = [record for record in cts if record["what"] == AS_IT_IS and not record["synthetic"]]
    _add_labels(table, [record for record in plain if record["slices"] is not None])
    _add_whole_cts(table, plain)
    if healthy:
        _add_healthy(table, [r for r in cts if r["normal"] and r["what"] in HEALTHY_CHANGES | {AS_IT_IS}])
    _add_all_simulated(table, laid_in)
    if resampling:
        _add_robustness(table, [r for r in cts if not r["synthetic"] and r["what"] in RESAMPLED | {AS_IT_IS}])
    return tuple(table.figures)


class _Table:
    """Collects figures; a line without any value is left out."""

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
        table.add(LABELS, name, "ROC area, slices", asked.SLICE_AUC, 3, _of(labelled, name), _slice_area)
    if len(chests) > 1:
        table.add(LABELS, ALL_CTS, "ROC area, slices", asked.POOLED_AUC, 3, labelled, _slice_area)
    for name in chests:
        table.add(LABELS, name, "ROC area, slices x lobes", asked.LOBE_AUC, 3, _of(labelled, name), _lobe_area)


def _add_whole_cts(table: _Table, plain: Sequence[Record]) -> None:
    for name in _names(plain):
        records = _of(plain, name)
        normal = records[0]["normal"]
        title = "infected, % of the lungs"
        table.add(
            NORMAL, name, title, asked.HEALTHY_PERCENT if normal else None, 2, records, _only("infection_percent")
        )
        table.add(NORMAL, name, "CTSS", asked.HEALTHY_CTSS if normal else None, 0, records, _only("ctss"))


def _add_healthy(table: _Table, records: Sequence[Record]) -> None:
    """The worst value of each chest and of all chests, over the unchanged chest and its variations."""
    groups = [(name, _of(records, name)) for name in _names(records)]
    for name, own in [*groups, *([(ALL_CHESTS, list(records))] if len(groups) > 1 else [])]:
        table.add(HEALTHY, name, "infected, most, %", asked.HEALTHY_PERCENT, 2, own, _most("infection_percent"))
        table.add(HEALTHY, name, "CTSS, highest", asked.HEALTHY_CTSS, 0, own, _most("ctss"))


def _add_all_simulated(table: _Table, laid_in: Sequence[Record]) -> None:
    many, single = ([r for r in laid_in if is_single(r) is one] for one in (False, True))
    for name in _names(many):
        _add_lesions(table, SEVERAL, name, _of(many, name))
    if len(_names(many)) > 1:
        _add_lesions(table, SEVERAL, ALL_CHESTS, many)
    _add_lesions(table, SINGLE, ALL_CHESTS, single)
    for key in ("kind", "position"):
        for value in dict.fromkeys(record["spec"][key] for record in single):
            own = [record for record in single if record["spec"][key] == value]
            words = value.replace("_", " ")
            table.add(SINGLE, words, "Dice, mean", None, 3, own, _mean_of(lambda r: r["dice"]))
            table.add(SINGLE, words, "recall by volume", None, 3, own, _recall(*Opacity))
    if many and single:
        _add_lesions(table, SIMULATED, ALL_CHESTS, laid_in)


def _add_lesions(table: _Table, part: str, name: str, records: Sequence[Record]) -> None:
    """The figures of simulated lesions."""
    glass, solid = _recall(Opacity.GROUND_GLASS), _recall(Opacity.CONSOLIDATION)
    ranged = [record for record in records if record["ctss_range"] is not None]
    table.add(part, name, "Dice, mean", asked.MEAN_DICE, 3, records, _mean_of(lambda r: r["dice"]))
    table.add(part, name, "consolidation, recall by volume", asked.CONSOLIDATION_RECALL, 3, records, solid)
    table.add(part, name, "ground glass, recall by volume", asked.GROUND_GLASS_RECALL, 3, records, glass)
    table.add(part, name, "volumes right, %", asked.VOLUMES_RIGHT, 0, records, _share_of(volume_is_right))
    table.add(part, name, "CTSS within 1, %", asked.SCORES_RIGHT, 0, records, _share_of(score_is_right))
    table.add(part, name, "true CTSS in the range told, %", asked.RANGES_RIGHT, 0, ranged, _share_of(range_is_right))
    table.add(part, name, "width of the range, mean", None, 1, ranged, _mean_of(range_width))
    table.add(part, name, "lungs' Dice, lowest", asked.LUNGS_DICE, 3, records, _lowest_lungs)


def _add_robustness(table: _Table, cts: Sequence[Record]) -> None:
    for name in _names([record for record in cts if record["what"] != AS_IT_IS]):
        records = _of(cts, name)
        table.add(ROBUSTNESS, name, "CTSS, largest change", asked.CTSS_CHANGE, 0, records, _largest(ctss_change))
        if not records[0]["normal"]:
            table.add(
                ROBUSTNESS, name, "volume, largest change, %", asked.VOLUME_CHANGE, 1, records, _largest(volume_change)
            )
        else:
            table.add(
                ROBUSTNESS, name, "infected, most, %", asked.VARIED_PERCENT, 2, records, _most("infection_percent")
            )


def volume_error_percent(record: Record) -> float:
    """Marked minus true volume, per cent of the true one."""
    return 100.0 * (record["infection_ml"] - record["true_ml"]) / record["true_ml"]


def volume_is_right(record: Record) -> bool:
    """Whether the volume is within the bounds of the true one."""
    off_ml = abs(record["infection_ml"] - record["true_ml"])
    return off_ml <= VOLUME_ERROR_ML or abs(volume_error_percent(record)) <= VOLUME_ERROR_PERCENT


def score_is_right(record: Record) -> bool:
    """Whether the CTSS is within 1 of the true one."""
    return abs(record["ctss"] - record["true_ctss"]) <= CTSS_ERROR


def range_is_right(record: Record) -> bool:
    """Whether the true CTSS is in the reported range."""
    low, high = record["ctss_range"]
    return low <= record["true_ctss"] <= high


def range_width(record: Record) -> float:
    """Highest minus lowest CTSS of the range."""
    low, high = record["ctss_range"]
    return float(high - low)


def ctss_change(record: Record, plain: Record) -> float:
    """Change of the CTSS relative to the unchanged CT."""
    return float(record["ctss"] - plain["ctss"])


def volume_change(record: Record, plain: Record) -> float:
    """Change of the opacity volume, per cent of that in the unchanged CT; not a number if that is 0."""
    before, after = plain["infection_ml"], record["infection_ml"]
    return 100.0 * (after - before) / before if before else (0.0 if after == 0 else np.nan)


def changes(records: Sequence[Record], change: Callable[[Record, Record], float]) -> dict[str, float]:
    """``change`` of every variation of one CT by one profile; empty if the unchanged CT was not analysed."""
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


def _most(key: str) -> Callable[[Sequence[Record]], Estimate]:
    return lambda records: _one(max(record[key] for record in records), len(records)) if records else NOTHING


def _recall(*opacities: Opacity) -> Callable[[Sequence[Record]], Estimate]:
    """Marked part of the true volume of the given opacities, over all cases together."""

    def estimate(records: Sequence[Record]) -> Estimate:
        pairs = [[record["opacities_ml"][o.name.lower()] for o in opacities] for record in records]
        sums = [[sum(pair[n] for pair in own) for own in pairs] for n in range(2)]
        return ratio_estimate(*sums)

    return estimate


def _largest(change: Callable[[Record, Record], float]) -> Callable[[Sequence[Record]], Estimate]:
    def estimate(records: Sequence[Record]) -> Estimate:
        found = [abs(value) for value in changes(records, change).values()]
        return _one(max(found, key=lambda value: (np.isnan(value), value)), len(found)) if found else NOTHING

    return estimate


def _slice_area(records: Sequence[Record]) -> Estimate:
    """ROC area of ``infection_percent`` for slices labelled as infected; the interval comes from resampling slices."""
    rows = [row for record in records for row in record["slices"]]
    labels, shares = np.array([row[1] for row in rows], dtype=bool), np.array([row[2] for row in rows])
    value = _area(labels, shares)
    if value is None:
        return NOTHING
    interval = bootstrap([labels, shares], roc_areas)
    return Estimate(value, interval.low, interval.high, len(labels))


def _lobe_area(records: Sequence[Record]) -> Estimate:
    """ROC area of ``lobe_infection_percent`` over all pairs of a slice and a lobe."""
    rows = [row for record in records for row in record["slices"]]
    labels, shares = np.array([row[3] for row in rows], dtype=bool), np.array([row[4] for row in rows])
    return _one(_area(labels.ravel(), shares.ravel()), labels.size)


def _area(labels: np.ndarray, shares: np.ndarray) -> float | None:
    from sklearn.metrics import roc_auc_score

    if not labels.any() or labels.all():
        return None
    return float(roc_auc_score(labels, shares))
