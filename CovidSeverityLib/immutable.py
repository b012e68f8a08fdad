"""Values that cannot be changed, whether they are made, copied or read back from a pickle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

K = TypeVar("K")
V = TypeVar("V")


def frozen_array(array: NDArray) -> NDArray:
    """Return ``array``, contiguous and read-only (a copy only where it has to be one)."""
    array = np.ascontiguousarray(array)
    if array.flags.writeable:
        array = array.view()
        array.flags.writeable = False
    return array


class FrozenDict(dict[K, V]):
    """A dictionary that cannot be changed. Unlike ``types.MappingProxyType`` it can be pickled and copied."""

    def _refuse(self, *_args: object, **_kwargs: object) -> NoReturn:
        raise TypeError("this mapping belongs to a result and cannot be changed; dict(mapping) is a copy that can")

    __setitem__ = __delitem__ = __ior__ = clear = popitem = _refuse
    pop: Any = _refuse  # several signatures each, all of which refuse
    setdefault: Any = _refuse
    update: Any = _refuse

    def __reduce__(self) -> tuple[type[FrozenDict], tuple[dict[K, V]]]:
        return type(self), (dict(self),)


def frozen(value: Any) -> Any:  # noqa: ANN401 (any value)
    """Return ``value`` unchangeable: arrays become read-only, lists tuples and mappings :class:`FrozenDict`."""
    if isinstance(value, np.ndarray):
        return frozen_array(value)
    if isinstance(value, Mapping):
        return FrozenDict({key: frozen(item) for key, item in value.items()})
    if type(value) in (list, tuple):
        return tuple(frozen(item) for item in value)
    return value


class Value:
    """Base of frozen dataclasses with arrays or mappings in their fields.

    The fields are frozen, in copies and unpickled values too. Values are equal if all that they hold is equal. The repr
    is one line: it has shape and type of an array instead of its numbers.
    """

    def __post_init__(self) -> None:
        self.__setstate__(vars(self))

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update({name: frozen(value) for name, value in state.items()})

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self is other or _same(self, other)

    def __repr__(self) -> str:
        names = [field.name for field in fields(self)]  # type: ignore[arg-type]
        held = ", ".join(f"{name}={_short(getattr(self, name))}" for name in names)
        return f"{type(self).__name__}({held})"


def _same(first: Any, second: Any) -> bool:  # noqa: ANN401 (any field)
    """Whether both hold the same; what is not a number is the same as another that is none."""
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        return first.dtype == second.dtype and np.array_equal(first, second, equal_nan=first.dtype.kind == "f")
    if isinstance(first, np.ndarray) or isinstance(second, np.ndarray):
        return False
    if is_dataclass(first) and type(first) is type(second):
        return all(_same(getattr(first, field.name), getattr(second, field.name)) for field in fields(first))
    if isinstance(first, tuple) and isinstance(second, tuple):
        return len(first) == len(second) and all(map(_same, first, second))
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return first.keys() == second.keys() and all(_same(item, second[key]) for key, item in first.items())
    return bool(first is second or first == second or (first != first and second != second))


def _short(value: Any) -> str:  # noqa: ANN401 (any field)
    if isinstance(value, np.ndarray):
        return f"<{' x '.join(map(str, value.shape))} {value.dtype}>"
    if isinstance(value, tuple) and len(value) > 8:
        return f"<{len(value)} of {type(value[0]).__name__}>"
    return repr(value)
