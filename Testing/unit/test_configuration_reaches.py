"""Every number that an analysis reads is of the configuration that it was given, and of no default beside it."""

import copy
import dataclasses
import functools
import gc

import numpy as np
import pytest

from CovidSeverityLib import AnalysisConfig, NetworkDescription, analyze
from CovidSeverityLib.features.classification_image import CLASSIFICATION_IMAGES
from CovidSeverityLib.features.config import NoteConfig


class Undecided:
    """Answers each diagnosis with nearly the same probability, so that every note on doubt is looked at."""

    name, sha256, description = "undecided", 64 * "0", NetworkDescription("EfficientNetB0", 32)

    def __call__(self, images):
        return np.tile(np.float32([0.34, 0.33, 0.33]), (len(images), 1))

    def explain(self, images, diagnoses):
        return np.zeros((len(images), 4, 4), dtype=np.float32)


def parts_of(config):
    """A configuration and all that it is made of."""
    yield config
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        for part in value if isinstance(value, tuple) else (value,):
            if dataclasses.is_dataclass(part):
                yield from parts_of(part)


@pytest.fixture
def read_elsewhere(monkeypatch):
    """``read_elsewhere(config, work)``: fields of other configurations that ``work()`` reads, and defaults it makes."""

    def watch(config, work):
        kinds = {type(part): {field.name for field in dataclasses.fields(part)} for part in parts_of(config)}
        images = [part for image in CLASSIFICATION_IMAGES.values() for part in parts_of(image)]  # the network's own
        own = {id(part) for part in (*parts_of(config), *images)}
        others = [value for value in gc.get_objects() if type(value) in kinds and id(value) not in own]
        strange, found = {id(value) for value in others}, set()

        def reading(self, name):
            if id(self) in strange and name in kinds[type(self)]:
                found.add(f"{type(self).__name__}.{name}")
            return object.__getattribute__(self, name)

        def making(self, *values, _make, **named):
            if not values and not named:
                found.add(f"{type(self).__name__}()")
            _make(self, *values, **named)

        monkeypatch.setattr(AnalysisConfig, "name", "watched")  # it compares with the defaults
        for kind in kinds:
            monkeypatch.setattr(kind, "__getattribute__", reading)
            monkeypatch.setattr(kind, "__init__", functools.partialmethod(making, _make=kind.__init__))
        work()
        monkeypatch.undo()
        return found

    return watch


@pytest.mark.slow
@pytest.mark.parametrize("independent_slices", [False, True], ids=["volume", "slices"])
@pytest.mark.parametrize("profile", ["default", "reference"])
def test_no_number_is_read_from_anywhere_else(read_elsewhere, tiny_chest, profile, independent_slices):
    config = copy.deepcopy(AnalysisConfig.for_profile(profile))
    options = {"classifier": Undecided(), "independent_slices": independent_slices}
    assert read_elsewhere(config, lambda: analyze(tiny_chest.volume, config, **options)) == set()


def test_a_default_that_is_read_is_seen(read_elsewhere):
    default, config = AnalysisConfig(), copy.deepcopy(AnalysisConfig())
    assert read_elsewhere(config, lambda: (default.notes.few_slices, config.measures.least_percent)) == {
        "AnalysisConfig.notes",
        "NoteConfig.few_slices",
    }
    assert read_elsewhere(config, NoteConfig) == {"NoteConfig()"}
