"""lungmask as an engine: what is checked before it runs and, where it is installed, the real package."""

import hashlib
import importlib.util
import json
import logging
import sys
import types
import warnings
from dataclasses import replace

import numpy as np
import pytest

from CovidSeverityLib.classification.store.adding import add_model
from CovidSeverityLib.classification.store.catalogue import known_models
from CovidSeverityLib.commands.engines import lung_engine
from CovidSeverityLib.errors import InputError, NoLungsError
from CovidSeverityLib.io.masks import read_mask
from CovidSeverityLib.io.reading import read_ct
from CovidSeverityLib.io.volume import volume_from_array
from CovidSeverityLib.segmentation.lobes.external_lobes import LOBE_SCHEMES
from CovidSeverityLib.segmentation.lungs import lungmask_engine
from CovidSeverityLib.segmentation.lungs.lungmask_engine import (
    LTRC_LOBES,
    R231,
    R231_COVID,
    LungmaskEngine,
    lungmask_lobes,
)
from CovidSeverityLib.types import Lobe

HAS_LUNGMASK = all(importlib.util.find_spec(name) for name in ("torch", "lungmask"))
needs_lungmask = pytest.mark.skipif(not HAS_LUNGMASK, reason="the extra lungmask is not installed")
SHAPE = (3, 40, 48)


def named_by_sum(folder, data, stem="weights"):
    """A file of ``data`` that carries its sum in its name."""
    path = folder / f"{stem}-{hashlib.sha256(data).hexdigest()[:8]}.pth"
    path.write_bytes(data)
    return path


@pytest.fixture
def installed(monkeypatch):
    """The import boundary: a lungmask whose network marks the right half 1 and the left half 2, or what it is told."""
    told = types.SimpleNamespace(classes=3, labels=None, error=None)

    class Inferer:
        def __init__(self, modelpath, force_cpu, tqdm_disable):
            if told.error:
                raise told.error
            told.arguments = (modelpath, force_cpu, tqdm_disable)
            self.model = types.SimpleNamespace(last=types.SimpleNamespace(out_channels=told.classes))

        def apply(self, image):
            logging.getLogger("lungmask").error("chatter")
            if told.labels is not None:
                return told.labels
            return np.where(np.arange(image.shape[2]) < image.shape[2] // 2, 1, 2) * np.ones(image.shape)

    monkeypatch.setitem(sys.modules, "lungmask", types.SimpleNamespace(LMInferer=Inferer))
    monkeypatch.setattr(lungmask_engine, "find_spec", lambda name: object())
    return told


def ct(spacing_mm=(20.0, 20.0, 20.0)):
    return volume_from_array(np.full(SHAPE, -800.0), spacing_mm, (0, 0, 0), np.eye(3), name="case.nii")


def test_missing_package_is_told_with_the_command(monkeypatch):
    monkeypatch.setattr(lungmask_engine, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'not installed; pip install "covid-severity\[lungmask\]"'):
        LungmaskEngine()


@pytest.mark.parametrize("model", [R231, R231_COVID, LTRC_LOBES], ids=lambda model: model.name)
def test_missing_weights_are_told_with_the_command(installed, tmp_path, model):
    with pytest.raises(InputError, match=rf"{model.name} at .*absent\.pth; .* models download {model.model} fetches"):
        lungmask_engine.checked_weights(model, tmp_path / "absent.pth", None)


def test_file_under_the_published_name_must_have_the_published_sum(installed, tmp_path):
    path = tmp_path / R231.file
    path.write_bytes(b"not the network")
    with pytest.raises(InputError, match=r"have the SHA-256 [0-9a-f]{64}, expected d5d2fc3d"):
        LungmaskEngine(path)


def test_renamed_file_must_have_the_published_sum(installed, tmp_path):
    path = tmp_path / "my.pth"
    path.write_bytes(b"not the network")
    with pytest.raises(InputError, match=r"expected d5d2fc3d"):
        LungmaskEngine(path)


@pytest.mark.parametrize("digits", ["", "abc", "0" * 8])
def test_named_sum_must_be_that_of_the_file(installed, tmp_path, digits):
    path = named_by_sum(tmp_path, b"weights")
    if digits:
        with pytest.raises(InputError, match="SHA-256"):
            LungmaskEngine(path, sha256=digits)
    else:
        LungmaskEngine(path, sha256=hashlib.sha256(b"weights").hexdigest().upper())


def test_labels_become_lungs_on_the_processor_in_silence(installed, tmp_path, capsys):
    path = named_by_sum(tmp_path, b"weights")
    found = LungmaskEngine(path)(ct())
    assert installed.arguments == (str(path), True, True)
    assert found.source == f"lungmask R231 ({path.name})"
    assert found.labels.dtype == np.uint8
    assert found.labels[0, 0, 0] == 1
    assert found.labels[0, 0, -1] == 2
    assert {note.code for note in found.notes} >= {"lungs_cut_sideways"}
    assert capsys.readouterr() == ("", "")


def test_network_that_finds_nothing_means_no_lungs(installed, tmp_path):
    installed.labels = np.zeros(SHAPE)
    with pytest.raises(NoLungsError, match=r"no lungs found in case\.nii: lungmask marks 0 ml"):
        LungmaskEngine(named_by_sum(tmp_path, b"weights"))(ct())


def test_network_of_other_classes_is_refused(installed, tmp_path):
    installed.classes = 6
    with pytest.raises(InputError, match="6 classes apart; lungmask's R231 has 3"):
        LungmaskEngine(named_by_sum(tmp_path, b"weights"))(ct())


def test_file_that_is_no_network_is_refused(installed, tmp_path):
    installed.error = RuntimeError("odd pickle")
    with pytest.raises(InputError, match="cannot be read as a network of lungmask: odd pickle"):
        LungmaskEngine(named_by_sum(tmp_path, b"weights"))(ct())


def test_lobes_keep_the_labels_of_the_network(installed, tmp_path):
    installed.classes, installed.labels = 6, np.full(SHAPE, 5)
    assert np.unique(lungmask_lobes(ct(), named_by_sum(tmp_path, b"weights"))).tolist() == [5]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--lung-weights", "w.pth"], "--lung-weights is for --lung-engine lungmask"),
        (["--lung-engine", "lungmask", "--lungs", "LUNGS"], "exclude each other"),
        (["--lung-engine", "lungmask", "--lung-weights", "absent.pth"], "lungmask"),
        (["--lobe-weights", "w.pth"], "--lobe-weights is for --lobe-engine lungmask"),
        (["--lobe-engine", "lungmask", "--lobes", "LUNGS"], "exclude each other"),
        (["--lobe-engine", "lungmask", "--lobe-weights", "absent.pth"], "lungmask"),
        (["--lobe-engine", "lungmask", "--profile", "reference"], "--lobe-engine cannot be used with --profile"),
    ],
)
def test_options_that_do_not_fit_end_with_status_2(program, chest_folder, tmp_path, options, expected):
    options = [str(chest_folder / "lungs.nii.gz") if o == "LUNGS" else o for o in options]
    run = program("analyze", chest_folder / "ct.nii.gz", "-o", tmp_path / "out", *options)
    assert run.status == 2
    assert expected in run.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("option", "model"), [("lungmask", "lungmask-r231"), ("lungmask-covid", "lungmask-covid")])
def test_installed_weights_are_found_by_name_and_never_fetched(installed, monkeypatch, tmp_path, option, model):
    """The store keeps the name of the file; other weights than the asked ones are not taken."""
    monkeypatch.setenv("COVID_SEVERITY_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(lungmask_engine, "HUB_FOLDER", tmp_path / "hub")
    arguments = types.SimpleNamespace(lung_engine=option, lung_weights=None, lungs=None)
    with pytest.raises(InputError, match=f"covid-severity models download {model} fetches them"):
        lung_engine(arguments)
    path = named_by_sum(tmp_path, b"weights of " + model.encode(), "unet")
    entry = next(entry for entry in known_models() if entry.name == model)
    entry = replace(entry, url=f"https://example.org/{path.name}", sha256=path.stem.rpartition("-")[2])
    kept = add_model(path, model, [entry]).path
    assert kept == tmp_path / "models" / model / path.name
    engine = lung_engine(arguments)
    assert engine.weights == kept
    assert engine(ct()).source == f"lungmask {'R231CovidWeb' if 'covid' in model else 'R231'} ({path.name})"
    kept.write_bytes(b"changed")
    with pytest.raises(InputError, match=f"the file of the installed model {model} has changed"):
        lung_engine(arguments)


@pytest.mark.slow
def test_lobes_of_the_network_are_used(installed, program, chest_folder, tmp_path):
    truth = read_mask(chest_folder / "lobes.nii.gz", read_ct(chest_folder / "ct.nii.gz"))
    lookup = np.zeros(1 + max(Lobe), dtype=np.uint8)
    for label, lobe in LOBE_SCHEMES["lungmask"].items():
        lookup[lobe] = label
    installed.classes, installed.labels = 6, lookup[truth]
    weights = named_by_sum(tmp_path, b"weights")
    options = ("--lobe-engine", "lungmask", "--lobe-weights", weights)
    run = program("analyze", chest_folder / "ct.nii.gz", "-o", tmp_path / "out", *options)
    assert run.status == 0, run.err
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["provenance"]["lobes_from"] == f"lungmask LTRCLobes ({weights.name})"


def saved_network(folder, classes):
    """A network of lungmask's with random weights that sees class 1 everywhere, saved under its sum."""
    import torch

    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore")
        from lungmask.resunet import UNet

        torch.manual_seed(0)
        network = UNet(n_classes=classes, padding=True, depth=5, up_mode="upsample", batch_norm=True, residual=False)
    with torch.no_grad():
        network.last.bias[:] = 0
        network.last.bias[1] = 1e4
    torch.save(network.state_dict(), folder / "raw.pth")
    return named_by_sum(folder, (folder / "raw.pth").read_bytes(), "random")


@needs_lungmask
def test_real_package_runs_with_weights_from_a_file(tmp_path, capsys):
    path = saved_network(tmp_path, R231.classes)
    before = list(warnings.filters)
    hu = np.full((2, 64, 64), -1000.0)
    hu[:, 8:56, 8:56] = 40
    found = LungmaskEngine(path)(volume_from_array(hu, (10, 10, 30), (0, 0, 0), np.eye(3)))
    assert np.unique(found.labels).tolist() == [0, 1]
    assert found.labels[:, 20:44, 20:44].all()
    assert capsys.readouterr() == ("", "")
    assert list(warnings.filters) == before


@needs_lungmask
def test_real_package_refuses_the_weights_of_lobes_for_lungs(tmp_path):
    with pytest.raises(InputError, match="6 classes"):
        LungmaskEngine(saved_network(tmp_path, LTRC_LOBES.classes))(ct())


@needs_lungmask
def test_real_package_refuses_a_file_that_holds_no_network(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        LungmaskEngine(named_by_sum(tmp_path, b"no network"))(ct())
