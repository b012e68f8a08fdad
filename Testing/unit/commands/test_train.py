"""``covid-severity train``: what it writes, what it refuses, and how it goes on."""

import csv
import hashlib
import json
import sys
from dataclasses import asdict

import numpy as np
import pytest

from CovidSeverityLib.classification.store.installed import FOLDER_VARIABLE
from CovidSeverityLib.classification.training.augmentation import AugmentationConfig
from Testing.data_files import assert_described

FILES = {
    *("weights.hdf5", "manifest.json", "README.md", "history.csv", "curves.png", "split.csv", "failures.csv"),
    *("summary.json", "cache"),
}
MEAN_COLUMNS = {"normal": "p_normal", "CAP": "p_cap", "COVID-19": "p_covid19"}
SIZE = 32
SMALL = ("--backbone", "B0", "--size", SIZE, "--batch-size", 16, "--jobs", 1, "--validation", 0.25, "--test", 0.25)


@pytest.fixture(scope="module")
def patients(tiny_chest, training_factory, tmp_path_factory):
    """Four CTs of each diagnosis in images/, one that is damaged, and their labels."""
    folder = tmp_path_factory.mktemp("patients")
    labels = training_factory.write_patients(tiny_chest, folder / "all", 4)
    (labels.parent / "images" / "broken.nii").write_bytes(b"no image")
    labels.write_text(labels.read_text() + "broken,CAP\nabsent,normal\n")
    return labels.parent


@pytest.fixture(scope="module")
def first_weights(keras, tmp_path_factory):
    """A file that stands for ImageNet's weights: a backbone of random ones, in the layout of Keras's own files."""
    from CovidSeverityLib.classification.keras.files import write_weights

    keras.utils.set_random_seed(1)
    backbone = keras.applications.EfficientNetB0(include_top=False, weights=None, input_shape=(SIZE, SIZE, 3))
    path = tmp_path_factory.mktemp("first") / "first_notop.h5"
    layers = [(x.name, {f"{x.name}/{w.name}:0": w.numpy() for w in x.weights}) for x in backbone.layers]
    write_weights(path, layers, {}, "2.3.0")
    return path


@pytest.fixture(scope="module")
def options(patients, tmp_path_factory):
    """Options of every training here; the images are made once."""
    cache = tmp_path_factory.mktemp("cache")
    return ("--images", patients / "images", "--labels", patients / "labels.csv", "--cache", cache, *SMALL)


@pytest.fixture(scope="module")
def trained(program, options, first_weights, tmp_path_factory):
    """What a training with a frozen backbone printed, and its folder."""
    out = tmp_path_factory.mktemp("trained")
    run = program("train", *options, "-o", out, "--freeze", "--imagenet", first_weights, "--epochs", 3, "--json")
    assert run.status == 0, run.err
    return run, out


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_all_files_are_there_and_no_checkpoint(trained):
    _, out = trained
    assert {path.name for path in out.iterdir()} == FILES - {"cache"}
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert_described(out, "train")


def test_summary_counts_patients_and_failures(trained):
    run, out = trained
    summary = json.loads((out / "summary.json").read_text())
    assert json.loads(run.out) == summary
    assert [summary["parts"][part]["patients"] for part in ("training", "validation", "test")] == [6, 3, 3]
    assert summary["parts"]["test"]["CAP"] == 1
    assert summary["failed"] == 2
    assert summary["frozen"] is True
    assert summary["augmentation"] == asdict(AugmentationConfig())
    for outcome in summary["outcomes"].values():
        assert np.sum(outcome["confusion"]) == outcome["accuracy"]["of"] == 3
        assert np.trace(outcome["confusion"]) == outcome["accuracy"]["right"]
    assert "warning: 2 CTs failed (absent, broken): failures.csv says why" in run.err


def test_failures_are_named_with_reasons(trained):
    failures = {row["case"]: row["reason"] for row in rows(trained[1] / "failures.csv")}
    assert failures["absent"] == "no image has this name"
    assert failures["broken"].startswith("broken.nii ")


def test_split_names_every_ct_once_with_what_was_found(trained):
    split = rows(trained[1] / "split.csv")
    assert sorted(row["case"] for row in split) == sorted(f"ct{n}" for n in range(12))
    assert all(bool(row["found"]) == (row["part"] != "training") for row in split)
    means = [float(row["p_cap"]) for row in split if row["found"]]
    assert len(means) == 6


def test_history_has_a_row_an_epoch(trained):
    history = rows(trained[1] / "history.csv")
    assert [row["epoch"] for row in history] == ["1", "2", "3"]


def test_card_and_manifest_tell_numbers_and_no_names(trained, patients):
    out = trained[1]
    for name in ("README.md", "manifest.json", "summary.json"):
        text = (out / name).read_text()
        assert "ct1" not in text
        assert str(patients) not in text
        assert "first_notop" not in text
    card = (out / "README.md").read_text()
    assert "### Test: 3 CTs of 3 patients" in card
    assert "| training | to learn from | 6 | 2 | 2 | 2 | 6 |" in card


def test_manifest_describes_the_weights(trained):
    from CovidSeverityLib.classification.store.catalogue import read_manifest

    (entry,) = read_manifest(trained[1] / "manifest.json")
    weights = (trained[1] / "weights.hdf5").read_bytes()
    assert (entry.sha256, entry.size_bytes) == (hashlib.sha256(weights).hexdigest(), len(weights))
    assert (entry.network.backbone, entry.network.size_px, entry.network.image) == (
        "EfficientNetB0",
        32,
        "as-published",
    )
    assert entry.trained_on.startswith("6 CTs of 6 patients (2 normal, 2 CAP, 2 COVID-19), ")


def test_training_that_was_stopped_is_resumed_to_the_same_weights(
    trained, program, options, first_weights, tmp_path, monkeypatch
):
    from CovidSeverityLib.classification.training import fitting

    frozen = (*options, "-o", tmp_path, "--freeze", "--imagenet", first_weights, "--epochs", 3)
    keep = fitting.Fitting._keep

    def keep_and_stop(self, record):
        keep(self, record)
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting.Fitting, "_keep", keep_and_stop)
    stopped = program("train", *frozen)
    assert (stopped.status, {path.name for path in tmp_path.iterdir()}) == (1, {"checkpoint.npz"})
    assert stopped.err.endswith("stopped after epoch 1 of 3; --resume goes on with the next\n")
    monkeypatch.undo()
    refused = program("train", *frozen)
    assert refused.status == 2
    assert "an unfinished training is in" in refused.err
    assert "--resume goes on with it, and removing checkpoint.npz lets a new one begin" in refused.err
    other = program("train", *frozen, "--resume", "--seed", 5)
    assert other.status == 2
    assert "was begun with another seed" in other.err
    assert program("train", *frozen, "--resume").status == 0
    resumed, whole = ([row | {"seconds": ""} for row in rows(out / "history.csv")] for out in (tmp_path, trained[1]))
    assert resumed == whole
    assert (tmp_path / "weights.hdf5").read_bytes() == (trained[1] / "weights.hdf5").read_bytes()
    finished = program("train", *frozen, "--resume")
    assert "is finished; without --resume another takes its place" in finished.err


def test_trained_network_is_added_by_name_and_classifies_a_ct_as_the_split_table_tells(
    trained, program, patients, tmp_path, monkeypatch
):
    """The whole network from the file, on a CT that it has not seen: what the frozen features and the head gave."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "models"))
    added = program("models", "add", trained[1] / "weights.hdf5", "--as", "ours")
    assert added.status == 0, added.err
    row = next(row for row in rows(trained[1] / "split.csv") if row["part"] == "test")
    found = program("classify", patients / "images" / f"{row['case']}.nii", "--classifier", "ours", "--json")
    assert found.status == 0, found.err
    report = json.loads(found.out)["classification"]
    assert report["name"] == row["found"]
    for name, column in MEAN_COLUMNS.items():
        assert report["probabilities"][name] == pytest.approx(float(row[column]), abs=1e-3)
    assert (report["classifier"]["name"], report["classifier"]["size_px"]) == ("ours", SIZE)
    assert report["classifier"]["source"].startswith("trained with covid-severity train")


# Refusals


def refusal(program, *arguments):
    run = program("train", *arguments)
    assert run.status == 2
    assert run.err.startswith("covid-severity: ")
    assert len(run.err.splitlines()) == 1
    return run.err


def test_frozen_random_backbone_is_refused(program, options, tmp_path):
    message = refusal(program, *options, "-o", tmp_path / "out", "--freeze")
    assert "random ones see nothing: --imagenet keras downloads ImageNet's" in message
    assert not (tmp_path / "out").exists()


def test_changes_of_images_that_are_not_changed_are_refused(program, options, tmp_path):
    message = refusal(program, *options, "-o", tmp_path / "out", "--no-augmentation", "--rotation", 5)
    assert "--no-augmentation leaves the images as they are, so --rotation has no use" in message
    message = refusal(program, *options, "-o", tmp_path / "out", "--shift", 0.6)
    assert "shift is 0.6; expected a number from 0 to 0.5" in message


def test_too_few_patients_are_refused_and_failures_written(keras, program, options, patients, tmp_path):
    (tmp_path / "few.csv").write_text(
        "case,label\nct0,normal\nct3,normal\nct6,normal\nct1,CAP\nbroken,CAP\nct2,COVID-19\n"
    )
    message = refusal(program, *options, "-o", tmp_path / "out", "--labels", tmp_path / "few.csv")
    assert "1 patient has the diagnosis CAP and a CT that can be used; 3 at least are needed of each" in message
    assert message.endswith("1 CT failed, failures.csv says why\n")
    assert [row["case"] for row in rows(tmp_path / "out" / "failures.csv")] == ["broken"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("case,label\nct0,flu\n", "bad.csv, line 2: the label is 'flu'; normal, CAP or COVID-19 is needed"),
        ("case,age\nct0,5\n", "bad.csv: no column has the label"),
        ("case,patient,label\nct0,,CAP\n", "bad.csv, line 2: the row names no patient"),
        ("case,patient,label\nct0,a,CAP\nct0,b,CAP\n", "bad.csv, line 3: ct0 has another patient than in line 2"),
        ("case,patient,subject,label\nct0,a,b,CAP\n", "the patient may be in several columns (patient, subject)"),
    ],
)
def test_bad_tables_are_refused(program, options, tmp_path, table, message):
    (tmp_path / "bad.csv").write_text(table)
    assert message in refusal(program, *options, "-o", tmp_path / "out", "--labels", tmp_path / "bad.csv")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--epochs", 0), "epochs 0; a whole number from 1 on is needed"),
        (("--learning-rate", -1), "a learning rate of -1; a number above 0 is needed"),
        (("--validation", 0), "shares of 0 for validation and 0.25 for the test"),
        (("--test", 0.8), "both together below 1"),
        (("--size", 16), "images of 16 pixels; the backbones need at least 32"),
        (("--seed", -1), "seed -1 is negative"),
        (("--jobs", 0), "0 jobs; a whole number from 1 on is needed"),
        (("--imagenet", "nowhere.h5"), "no such file of ImageNet's weights: nowhere.h5"),
    ],
)
def test_options_out_of_range_are_refused(program, options, tmp_path, option, message):
    assert message in refusal(program, *options, "-o", tmp_path / "out", *option)
    assert not (tmp_path / "out").exists()


def test_missing_tensorflow_is_told_before_any_work(program, options, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    message = refusal(program, *options, "-o", tmp_path / "out")
    assert 'pip install "covid-severity[classify]"' in message
    assert not (tmp_path / "out").exists()
