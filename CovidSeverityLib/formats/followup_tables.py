"""The table of a comparison of two examinations."""

from __future__ import annotations

import math
from collections.abc import Iterator

from CovidSeverityLib.types import LOBE_NAMES, Lobe

from .analysis_tables import CTSS_SOURCE, QUANTIFICATION
from .columns import Column, Kind, TableFormat, ml, points, text

BOTH_LUNGS, BOTH_LUNGS_NAME = "lungs", "both lungs"
"""What stands for both lungs in the columns of the lobes."""

CHANGES = "`followup/lobe_changes.py`"
SEGMENTS = "`followup/change.py`"
NO_SCORE = "the lobe, or a lobe of the lungs, has no voxel"
NO_RANGE = "no range was looked for"


def _quantity(name: str, unit: str, what: str, source: str, *, high: float = math.inf) -> Iterator[Column]:
    """A value before and after, its change, and what the change may be."""
    end = {"%": "percent"}.get(unit, unit)
    for when, words in (("before", "earlier"), ("after", "later")):
        column = f"{name}_{when}_{end}"
        yield Column(column, Kind.NUMBER, unit, f"{what} in the {words} examination.", source, low=0, high=high)
    for part, words in (
        ("change", "After minus before."),
        ("change_low", "Lowest change within the repeatability of the method and the uncertainty of both values."),
        ("change_high", "Highest change in the same way."),
    ):
        yield Column(f"{name}_{part}_{end}", Kind.NUMBER, unit, words, CHANGES, low=-math.inf, high=math.inf)
    yield _verdict(f"{name}_{end}", "")


def _score() -> Iterator[Column]:
    whole = {"low": -25.0, "empty": NO_SCORE}
    for when, words in (("before", "earlier"), ("after", "later")):
        yield points(f"ctss_{when}", f"CTSS in the {words} examination.", CTSS_SOURCE, NO_SCORE)
    for when, words in (("before", "earlier"), ("after", "later")):
        source = "`features/score_range.py`"
        yield points(f"ctss_{when}_low", f"Lowest CTSS of its range in the {words} examination.", source, NO_RANGE)
        yield points(f"ctss_{when}_high", f"Highest CTSS of its range in the {words} examination.", source, NO_RANGE)
    yield Column("ctss_change", Kind.INTEGER, "points", "After minus before.", CHANGES, **whole)
    lowest = "Lowest change with both ranges at their worst; no less is taken off than the repeatability."
    yield Column("ctss_change_low", Kind.INTEGER, "points", lowest, CHANGES, **whole)
    yield Column("ctss_change_high", Kind.INTEGER, "points", "Highest change in the same way.", CHANGES, **whole)
    yield _verdict("ctss", NO_SCORE)


def _verdict(quantity: str, empty: str) -> Column:
    definition = "Whether no change at all lies outside the lowest and the highest change."
    return text(f"{quantity}_more_than_repeatability", definition, CHANGES, empty, values=("yes", "no"))


LOBE_CHANGES = TableFormat(
    file="lobe_changes.csv",
    written_by="`compare`",
    rows="One row per lobe: RUL, RML, RLL, LUL, LLL; then one for both lungs.",
    columns=(
        text("lobe", "Code of the lobe, or `lungs`.", "`types.py`", values=(*(lobe.name for lobe in Lobe), BOTH_LUNGS)),
        text("name", "The lobe in words.", "`types.py`", values=(*LOBE_NAMES.values(), BOTH_LUNGS_NAME)),
        *_quantity("volume", "ml", "Volume, which changes with the breath,", QUANTIFICATION),
        *_quantity("opacity", "ml", "Opacity", QUANTIFICATION),
        *_quantity("opacity", "%", "Opacity, part of the volume,", QUANTIFICATION, high=100),
        *_score(),
        ml("new_ml", "Later opacity without an earlier one, in the later lobe.", SEGMENTS),
        ml("resolved_ml", "Earlier opacity without a later one, carried to the later lobe.", SEGMENTS),
        ml("persistent_ml", "The rest of the later opacity.", SEGMENTS),
    ),
)
