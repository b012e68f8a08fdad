"""The numbers of the lungs: each acts, each has a reason, and wrong ones are refused."""

import inspect
import re
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest

from CovidSeverityLib import AnalysisConfig, ConfigurationError, InputError, NoLungsError, analyze
from CovidSeverityLib.preprocessing import cut_out, thorax, window
from CovidSeverityLib.segmentation.lungs import (
    airless_pieces,
    airways,
    boundary,
    completion,
    expected_shape,
    external_lungs,
    hidden_lung,
    islands,
    lung_segmentation,
    lungmask_engine,
    notes,
    pleural_gas,
    rib_cage,
    sides,
    single_slices,
)
from CovidSeverityLib.segmentation.lungs.config import LungConfig

MODULES = (
    airless_pieces, airways, boundary, completion, expected_shape, external_lungs, hidden_lung, islands,
    lung_segmentation, lungmask_engine, notes, pleural_gas, rib_cage, sides, single_slices, cut_out, thorax, window,
)  # fmt: skip


def numbers(config, path=""):
    """(class, path) of every number of a configuration and of those in it."""
    for field in fields(config):
        value, name = getattr(config, field.name), f"{path}{field.name}"
        if is_dataclass(value):
            yield from numbers(value, f"{name}.")
        else:
            yield type(config), name


def changed(config, path, value):
    """The configuration with another value at ``path``."""
    first, _, rest = path.partition(".")
    return replace(config, **{first: changed(getattr(config, first), rest, value) if rest else value})


@pytest.fixture(scope="module")
def usual(tiny_chest):
    return lung_segmentation.segment_lungs(tiny_chest.volume).labels


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("block_mm", (26.0, 16.0, 16.0)),
        ("thorax.lung_tissue_hu", -500.0),
        ("thorax.gas.island_share", 1.0),
        ("airways.lumen_hu", -400.0),
        ("airways.branch_slope", 0.0),
        ("sides.stray_share", 0.49),
        ("completion.closing_mm", 16.0),
        ("islands.small_support_share", 0.0),
        ("rib_cage.sectors", 48),
        ("rib_cage.pleura_mm", 12.0),
        ("hidden.bone_hu", 400.0),
        ("hidden.possible_mm", 2.0),
        ("expected.field_rounds", ((40.0, 14.0),)),
        ("airless_pieces.core_mm", 15.0),
        ("airless_pieces.hilum_share", 1.0),
        ("boundary.soft_tissue_hu", -400.0),
    ],
)
def test_changed_number_changes_the_lungs(tiny_chest, usual, path, value):
    found = lung_segmentation.segment_lungs(tiny_chest.volume, changed(LungConfig(), path, value)).labels
    assert (found != usual).any()


@pytest.mark.slow
def test_analysis_finds_lungs_by_its_configuration(tiny_chest, usual):
    config = AnalysisConfig(lungs=changed(LungConfig(), "thorax.lung_tissue_hu", -500.0))
    found = analyze(tiny_chest.volume, config)
    assert found.provenance.profile == "custom (from default)"
    assert found.provenance.configuration["lungs"]["thorax"]["lung_tissue_hu"] == -500.0
    assert 0 < np.count_nonzero(found.lungs) < np.count_nonzero(usual)


def test_slices_are_found_by_the_configuration_of_the_analysis(tiny_chest):
    config = AnalysisConfig(lungs=changed(LungConfig(), "field_of_view.smallest_lungs_ml", 1e6))
    with pytest.raises(NoLungsError, match="none of the 24 slices"):
        analyze(tiny_chest.volume, config, independent_slices=True)


@pytest.mark.slow
def test_warnings_depend_on_the_configuration(tiny_chest):
    config = AnalysisConfig(lungs=changed(LungConfig(), "notes.small_lungs_ml", 1e5))
    assert "lungs_small" in {note.code for note in analyze(tiny_chest.volume, config).quality}


def test_gas_is_found_by_the_configuration(coarse_phantom):
    volume = coarse_phantom.volume
    config = changed(changed(LungConfig(), "pleural_gas.empty_hu", -600.0), "pleural_gas.wall_share", 0.0)
    assert not pleural_gas.pleural_gas(volume.hu, coarse_phantom.lungs, volume.geometry)
    assert pleural_gas.pleural_gas(volume.hu, coarse_phantom.lungs, volume.geometry, config)


def test_external_masks_are_checked_by_the_configuration(tiny_chest):
    config = changed(LungConfig(), "external.largest_lungs_ml", 1000.0)
    with pytest.raises(InputError, match="lungs of 300 to 1000 ml are expected"):
        external_lungs.lungs_from_labels(tiny_chest.lungs, tiny_chest.volume, "mask.nii", config)


@pytest.mark.parametrize(("kind", "name"), [pytest.param(*n, id=n[1]) for n in numbers(LungConfig())])
def test_every_number_is_read_and_has_a_reason(kind, name):
    field = name.rpartition(".")[2]
    sources = "".join(inspect.getsource(module) for module in MODULES)
    assert re.search(rf"\.{field}\b", sources)
    described = inspect.getdoc(kind).partition("Parameters\n----------\n")[2]
    text = re.search(rf"^(?:\w+, )*{field}(?:, \w+)* : .+\n((?: +.+\n?)+)", described, re.MULTILINE)
    assert text
    assert len(" ".join(text[1].split())) > 20


@pytest.mark.parametrize(
    ("path", "value"),
    [("thorax.lung_tissue_hu", "low"), ("block_mm", (2.0, 1.6)), ("sides.stray_share", 0.6), ("rib_cage.sectors", 0)],
)
def test_impossible_number_is_refused(path, value):
    with pytest.raises(ConfigurationError, match=path.rpartition(".")[2]):
        changed(LungConfig(), path, value)
