"""Values of configurations and constants as JSON knows them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any

import numpy as np


def plain(value: Any) -> Any:  # noqa: ANN401 (any value of a configuration)
    """``value`` as JSON knows it: paths lose their folders, numbers that are not finite become null.

    Parameters
    ----------
    value : any
        Any value of a configuration: numbers, texts, arrays, dataclasses, and collections of them.
    """
    if isinstance(value, Enum):
        return plain(value.value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, PurePath):
        return value.name
    return value if value is None or isinstance(value, bool | int | float) else str(value)
