"""Configurations that check themselves: the type of a field says what it may be, and its range stands beside it.

A field is annotated as ``Annotated[float, Range(0)]``; :func:`check_fields` reads that, so that what a field may be is
said in one place, where it is declared.
"""

from __future__ import annotations

import math
import types
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import ConfigurationError

NUMBERS = {int: ("a whole number", Integral), float: ("a number", Real)}
"""What numbers are called, and what counts as one: NumPy's do too."""


@dataclass(frozen=True)
class Range:
    """Numbers that a field may be.

    Parameters
    ----------
    low, high : float
        The ends.
    without_ends : bool
        The ends themselves are not allowed.
    step : int
        0, or the distance of the allowed numbers, from ``low`` on.
    """

    low: float = -math.inf
    high: float = math.inf
    without_ends: bool = False
    step: int = 0

    def __contains__(self, value: float) -> bool:
        inside = self.low < value < self.high if self.without_ends else self.low <= value <= self.high
        return inside and (not self.step or (value - self.low) % self.step == 0)

    def __str__(self) -> str:
        if math.isinf(self.high):
            limits = f"above {self.low}" if self.without_ends else f"from {self.low} on"
        else:
            limits = f"{'between' if self.without_ends else 'from'} {self.low} {'and' if self.without_ends else 'to'} "
            limits += str(self.high)
        return f"{limits} in steps of {self.step}" if self.step else limits


T = TypeVar("T")


def known(value: T | None) -> T:
    """``value``, of which an earlier check has shown that it is not None.

    Raises
    ------
    ValueError
        It is None all the same.
    """
    if value is None:
        raise ValueError("a value that was checked to be there is not there")
    return value


HOUNSFIELD = Range(-1024, 3071)
"""What scanners store in 12 bits."""

Hu = Annotated[float, HOUNSFIELD]
WholeHu = Annotated[int, HOUNSFIELD]
Share = Annotated[float, Range(0, 1)]
Percent = Annotated[float, Range(0, 100)]
NotNegative = Annotated[float, Range(0)]
Positive = Annotated[float, Range(0, without_ends=True)]
Count = Annotated[int, Range(1)]


class Checked:
    """Base of configurations that have no more to check than the annotations of their fields."""

    def __post_init__(self) -> None:
        check_fields(self)


def check_fields(config: Any) -> None:  # noqa: ANN401 (any dataclass)
    """Compare every field of a configuration with its annotation.

    Parameters
    ----------
    config : any
        Instance of a dataclass; fields may be numbers with or without a :class:`Range`, truth values, strings, tuples
        of these, other configurations, and None where the annotation says so.

    Raises
    ------
    ConfigurationError
        A number is not finite or not in its range, or a value is of another type.
    """
    hints = get_type_hints(type(config), include_extras=True)
    for field in fields(config):
        value = getattr(config, field.name)
        wanted = _lacking(value, hints[field.name])
        if wanted:
            raise ConfigurationError(f"{type(config).__name__}: {field.name} is {value!r}; expected {wanted}")


def _lacking(value: Any, hint: Any) -> str:  # noqa: ANN401 (any field)
    """What ``value`` would have to be; empty where it is that."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        wanted = [_lacking(value, option) for option in arguments]
        return "" if "" in wanted else " or ".join(wanted)
    if origin is Annotated:
        return _number_lacking(value, *arguments)
    if hint in NUMBERS:
        return _number_lacking(value, hint, Range())
    if origin is tuple:
        return _tuple_lacking(value, arguments)
    return "" if isinstance(value, hint) else _named(hint)


def _number_lacking(value: Any, kind: type, allowed: Range) -> str:  # noqa: ANN401
    name, abstract = NUMBERS[kind]
    is_number = isinstance(value, abstract) and not isinstance(value, bool) and math.isfinite(value)
    return "" if is_number and value in allowed else (name if allowed == Range() else f"{name} {allowed}")


def _tuple_lacking(value: Any, arguments: tuple[Any, ...]) -> str:  # noqa: ANN401
    """As :func:`_lacking`, for a tuple of given length, or for one or more values of a kind."""
    any_length = arguments[-1] is Ellipsis
    kinds = arguments[:1] * max(1, len(value)) if any_length and isinstance(value, tuple) else arguments
    if isinstance(value, tuple) and len(value) == len(kinds) and not any(map(_lacking, value, kinds)):
        return ""
    each = _lacking(None, arguments[0])
    return f"a tuple, one or more times {each}" if any_length else f"a tuple, {len(arguments)} times {each}"


def _named(hint: type) -> str:
    return {bool: "True or False", str: "a text", types.NoneType: "None"}.get(hint, hint.__name__)
