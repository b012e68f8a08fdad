"""Fixtures of the regression tests: what the authors' own program gives, and its way to begin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from CovidSeverityLib.segmentation.opacity.published.config import PublishedOpacityConfig


@pytest.fixture(scope="session")
def golden(real_data) -> dict[str, dict[str, NDArray]]:
    """The stored arrays by file name without its ending."""
    root = real_data("golden")
    result = {}
    for name in ("inputs", "a_infection", "b_ctss", "c_class"):
        with np.load(root / f"{name}.npz") as arrays:
            result[name] = {key: arrays[key] for key in arrays.files}
    return result


@pytest.fixture(scope="session")
def from_their_start() -> Callable[[PublishedOpacityConfig, NDArray], PublishedOpacityConfig]:
    """A function that gives a configuration the published stop and the means that their random draw began with."""

    def configured(config: PublishedOpacityConfig, start: NDArray) -> PublishedOpacityConfig:
        mixture = replace(config.mixture, start_means_hu=tuple(start.ravel()), tolerance=1e-6, max_iterations=100)
        return replace(config, mixture=mixture)

    return configured
