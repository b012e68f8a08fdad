"""``classify``, and ``analyze`` with a classifier: what is chosen, what is refused, and a real small network."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import sys
from functools import cache

import jsonschema
import numpy as np
import pytest

from CovidSeverityLib import read_ct
from CovidSeverityLib.classification import loading
from CovidSeverityLib.classification.description import NetworkDescription
from CovidSeverityLib.classification.evidence import classify_slices
from CovidSeverityLib.classification.keras import network as keras_network
from CovidSeverityLib.classification.loading import open_classifier
from CovidSeverityLib.classification.store.catalogue import CLASSIFIER_FILE, ModelEntry, manifest_text
from CovidSeverityLib.classification.store.installed import ENTRY_NAME, FOLDER_VARIABLE
from CovidSeverityLib.commands import classifiers, classify
from CovidSeverityLib.commands.classifiers import NONE_INSTALLED, choose_classifier
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.masks import read_mask
from CovidSeverityLib.reporting import report_schema
from Testing.data_files import assert_described

TINY = NetworkDescription(backbone="EfficientNetB0", size_px=64)
CLASSIFIED = {"classification.png", "slices.csv", "classification.json"}
ANALYSED = {
    "segmentation.seg.nrrd",
    "report.json",
    "lobes.csv",
    "slices.csv",
    "histogram.csv",
    "overview.png",
    "report.html",
}


def install(folder, name, weights):
    """Put a model of these bytes into the store in ``folder``."""
    (folder / name).mkdir(parents=True)
    (folder / name / CLASSIFIER_FILE).write_bytes(weights)
    entry = ModelEntry(name, "made up", TINY).of_file(hashlib.sha256(weights).hexdigest(), len(weights))
    (folder / name / ENTRY_NAME).write_text(manifest_text([entry]), encoding="utf-8")


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A function that puts models of made-up weights into a store of their own."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "models"))

    def of_names(*names):
        for name in names:
            install(tmp_path / "models", name, f"weights of {name}".encode())

    return of_names


# What is chosen


@pytest.mark.parametrize(
    ("installed", "asked", "opened"),
    [
        (("one",), None, "one"),
        (("one", "default"), None, "default"),
        (("Default", "other", "two"), None, "Default"),
        (("one", "two"), "two", "two"),
        ((), "file.hdf5", "file.hdf5"),
    ],
)
def test_installed_model_is_taken_where_it_is_clear_which(store, monkeypatch, installed, asked, opened):
    monkeypatch.setattr(loading, "open_classifier", lambda name: f"opened {name}")
    store(*installed)
    chosen = choose_classifier(asked)
    assert (chosen.classifier, chosen.reason) == (f"opened {opened}", "")


@pytest.mark.parametrize(
    ("installed", "asked", "reason"),
    [
        ((), None, NONE_INSTALLED),
        (("b", "A"), None, "Several models are installed, none of them called default: --classifier A|b."),
        (("one",), "none", "The diagnosis was left out: --classifier none."),
    ],
)
def test_reason_is_told_where_there_is_no_classifier(store, installed, asked, reason):
    store(*installed)
    chosen = choose_classifier(asked)
    assert (chosen.classifier, chosen.reason) == (None, reason)


def test_installed_model_that_cannot_be_used_leaves_the_diagnosis_open(store, tmp_path, program):
    store("one")
    (tmp_path / "models" / "one" / CLASSIFIER_FILE).write_bytes(b"changed")
    chosen = choose_classifier(None)
    assert chosen.classifier is None
    assert re.match(r"The installed model one cannot be used: .*has changed.*[^.]\.$", chosen.reason)
    with pytest.raises(InputError, match="has changed"):
        choose_classifier("one")
    refused = program("classify", tmp_path)
    assert (refused.status, refused.out) == (2, "")
    assert "nothing to classify with: the installed model one cannot be used: " in refused.err


# What is refused


@pytest.mark.parametrize("command", ["classify", "analyze"])
@pytest.mark.parametrize(
    ("classifier", "said"),
    [
        ("nobody", "covid-severity models list shows the models"),
        ("missing.hdf5", "the classifier missing.hdf5 is not there"),
        ("published-b5", "models add FILE --as published-b5 installs"),
        ("", "the name of the classifier is empty"),
    ],
)
def test_classifier_that_is_not_there_is_refused_before_the_ct_is_read(program, tmp_path, command, classifier, said):
    (tmp_path / "ct.nii.gz").write_bytes(b"no CT at all")
    status, out, err = program(command, tmp_path / "ct.nii.gz", "--classifier", classifier, "-o", tmp_path / "out")
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["classify", "analyze"])
def test_without_tensorflow_the_message_says_what_to_install(program, tmp_path, monkeypatch, command):
    for module in ("tensorflow", "keras", "h5py"):
        monkeypatch.setitem(sys.modules, module, None)
    for name in ("ct.nii.gz", "weights.hdf5"):
        (tmp_path / name).write_bytes(b"nothing")
    classifier = tmp_path / "weights.hdf5"
    status, out, err = program(command, tmp_path / "ct.nii.gz", "--classifier", classifier, "-o", tmp_path / "out")
    assert (status, out) == (2, "")
    assert err == (
        "covid-severity: classification needs TensorFlow, which is not installed: "
        'pip install "covid-severity[classify]"\n'
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "there is nothing to classify with: no classifier weights installed: covid-severity models add FILE"),
        (("--classifier", "none"), "there is nothing to classify with: the diagnosis was left out"),
        (("--lungs", "nowhere.nii"), "no such lung mask: nowhere.nii"),
        (("--lung-weights", "w.pth"), "--lung-weights is for --lung-engine lungmask"),
    ],
)
def test_classify_without_what_it_needs_is_refused(program, chest_folder, options, said):
    status, out, err = program("classify", chest_folder / "ct.nii.gz", *options)
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


# A real network


@pytest.fixture(scope="module")
def network(keras, program, chest_folder, tmp_path_factory):
    """An EfficientNetB0 with random weights as the only model of a store; the folder of ``classify`` and its run."""
    from CovidSeverityLib.classification.keras.network import build_network, save_weights

    folder = tmp_path_factory.mktemp("network")
    known = cache(keras_network.load_classifier)  # both commands run the same graphs
    keras.utils.set_random_seed(11)
    model = build_network(TINY)
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([3e3 * kernel, bias])  # so that slices differ in their answer
    save_weights(model, TINY, folder / "tiny.hdf5")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER_VARIABLE, str(folder / "models"))
        patch.setattr(keras_network, "load_classifier", known)
        install(folder / "models", "tiny", (folder / "tiny.hdf5").read_bytes())
        options = ("--lungs", chest_folder / "lungs.nii.gz", "-o", folder / "out")
        yield folder, program("classify", chest_folder / "ct.nii.gz", *options)


def rows_in(folder):
    with (folder / "slices.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_diagnosis_is_printed_and_written(network):
    folder, run = network
    assert (run.status, run.err) == (0, "")
    assert {path.name for path in (folder / "out").iterdir()} == CLASSIFIED
    assert_described(folder / "out", "classify")
    report = json.loads((folder / "out" / "classification.json").read_text(encoding="utf-8"))
    told = report["classification"]
    sha256 = hashlib.sha256((folder / "tiny.hdf5").read_bytes()).hexdigest()
    assert (told["classifier"]["name"], told["classifier"]["sha256"]) == ("tiny", sha256)
    assert (told["classifier"]["backbone"], told["classifier"]["size_px"]) == ("EfficientNetB0", 64)
    assert run.out.startswith(f"Diagnosis {told['name']} by tiny (SHA-256 {sha256[:12]}): votes of 51 slices ")
    assert run.out.endswith(f"Results are in {folder / 'out'}\n")
    voted = [row for row in rows_in(folder / "out") if row["label"]]
    assert len(voted) == told["vote"]["slices"] == 51
    for name, weight in told["vote"]["weights"].items():
        assert sum(float(row["vote_weight"]) for row in voted if row["label"] == name) == pytest.approx(weight)
    assert len({row["p_covid19"] for row in voted}) > 10


def test_printed_probabilities_are_those_of_the_network(network, chest_folder):
    folder, _ = network
    volume = read_ct(chest_folder / "ct.nii.gz")
    found = classify_slices(volume, read_mask(chest_folder / "lungs.nii.gz", volume) > 0, open_classifier("tiny"))
    voted = [row for row in rows_in(folder / "out") if row["label"]][::-1]
    printed = [[float(row[f"p_{name}"]) for name in ("normal", "cap", "covid19")] for row in voted]
    np.testing.assert_allclose(printed, found.probabilities, atol=6e-7)


def test_analysis_takes_the_only_installed_model_and_says_the_same(network, program, chest_folder, tmp_path):
    folder, _ = network
    masks = ("--lungs", chest_folder / "lungs.nii.gz")
    ct, out = chest_folder / "ct.nii.gz", tmp_path / "out"
    status, said, err = program("analyze", ct, *masks, "-o", out, "--json", "--progress", "json")
    assert status == 0, err
    report = json.loads(said)
    jsonschema.validate(report, report_schema())
    alone = json.loads((folder / "out" / "classification.json").read_text(encoding="utf-8"))
    assert report["classification"] == alone["classification"]
    assert report["classification_reason"] == ""
    assert report["provenance"]["classifier"]["name"] == "tiny"
    steps = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    stages = list(dict.fromkeys(step["stage"] for step in steps))
    assert stages == ["read", "lungs", "lobes", "infection", "classification", "explanation", "scores", "write"]
    assert {path.name for path in out.iterdir()} == ANALYSED | {"classification.png"}
    assert_described(out, "analyze")
    columns = ("index", "z_mm", "p_normal", "p_cap", "p_covid19", "label", "vote_weight")
    ours, theirs = ([[row[c] for c in columns] for row in rows_in(f)] for f in (out, folder / "out"))
    assert ours == theirs
    refused = program("classify", ct, "-o", out)
    assert refused.status == 2
    assert "holds the results of an analysis (report.json)" in refused.err


class Certain:
    """A classifier that takes every slice for healthy lung."""

    name, sha256, description = "certain", "34" * 32, TINY

    def __call__(self, images):
        return np.tile(np.array([[0.98, 0.01, 0.01]], np.float32), (len(images), 1))

    def explain(self, images, diagnoses):
        return np.zeros((len(images), 2, 2), np.float32)


@pytest.mark.slow
def test_json_of_a_diagnosis_is_its_report_and_nothing_else(program, chest_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(classify, "choose_classifier", lambda asked: classifiers.ChosenClassifier(Certain()))
    options = ("--lungs", chest_folder / "lungs.nii.gz", "--json", "--progress", "json", "-o", tmp_path)
    status, out, err = program("classify", chest_folder / "ct.nii.gz", *options)
    assert status == 0
    assert json.loads(out) == json.loads((tmp_path / "classification.json").read_text(encoding="utf-8"))
    assert json.loads(out)["classification"]["label"] == "normal"
    lines = err.splitlines()
    stages = dict.fromkeys(json.loads(line)["stage"] for line in lines if line.startswith("{"))
    assert list(stages) == ["read", "lungs", "classification", "explanation", "write"]
    assert any(line.startswith("warning: Source and licence of the classifier's weights (certain)") for line in lines)


@pytest.mark.slow
def test_quiet_diagnosis_prints_and_writes_nothing(program, chest_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(classify, "choose_classifier", lambda asked: classifiers.ChosenClassifier(Certain()))
    monkeypatch.chdir(tmp_path)
    options = ("--lungs", chest_folder / "lungs.nii.gz", "--quiet")
    assert program("classify", chest_folder / "ct.nii.gz", *options) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_diagnosis_that_fails_leaves_no_folder(program, chest_folder, tmp_path, monkeypatch):
    class Silent(Certain):
        def __call__(self, images):
            return np.full((len(images), 3), np.nan, np.float32)

    monkeypatch.setattr(classify, "choose_classifier", lambda asked: classifiers.ChosenClassifier(Silent()))
    options = ("--lungs", chest_folder / "lungs.nii.gz", "-o", tmp_path / "a" / "b")
    status, out, err = program("classify", chest_folder / "ct.nii.gz", *options)
    assert (status, out) == (2, "")
    assert err.startswith("covid-severity: the classifier certain answered values that are no probabilities")
    assert list(tmp_path.iterdir()) == []


def test_file_that_is_no_network_of_ours_is_refused_in_one_sentence(keras, program, chest_folder, tmp_path):
    (tmp_path / "w.hdf5").write_bytes(b"no weights")
    options = ("--classifier", tmp_path / "w.hdf5")
    status, out, err = program("classify", chest_folder / "ct.nii.gz", *options)
    assert (status, out) == (2, "")
    assert "w.hdf5 is not an HDF5 file" in err
    assert err.count("\n") == 1
