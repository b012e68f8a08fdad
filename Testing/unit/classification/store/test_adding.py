"""Models from files that the user has: what they are taken for, and what is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import CovidSeverityLib
from CovidSeverityLib.classification.description import NetworkDescription
from CovidSeverityLib.classification.keras.network import build_network, load_classifier, save_weights
from CovidSeverityLib.classification.store import adding
from CovidSeverityLib.classification.store.adding import add_model
from CovidSeverityLib.classification.store.catalogue import ModelEntry, write_manifest
from CovidSeverityLib.classification.store.installed import models_folder, resolve
from CovidSeverityLib.errors import InputError, OutputError
from CovidSeverityLib.types import Diagnosis

REVERSED = tuple(reversed(Diagnosis))
OWN = NetworkDescription("EfficientNetB0", 32, (8, 4), REVERSED, "without-filling")
"""A network that is unlike the published one in all that a file alone does not tell."""

PUBLISHED = NetworkDescription("EfficientNetB0", head_units=(8, 4))
"""What the same weights are taken for where nothing says otherwise."""

SAID_BY_NOBODY = "The file does not tell the image size, classification image and order of classes"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("COVID_SEVERITY_MODELS", str(tmp_path / "models"))


@pytest.fixture(scope="module")
def loaded_once():
    """The loader, which takes a second: the same bytes and description are loaded once, names apart."""
    known = {}

    def load(path, description, name):
        key = (sha256(path), description)
        if key not in known:
            known[key] = load_classifier(path, description, name)
        return known[key]

    return load


@pytest.fixture(autouse=True)
def _loaded_once(loaded_once, monkeypatch):
    monkeypatch.setattr(adding, "load_classifier", loaded_once)


@pytest.fixture(scope="module")
def own_bytes(keras, tmp_path_factory):
    """A file of weights as training writes it."""
    path = tmp_path_factory.mktemp("own") / "own.hdf5"
    save_weights(build_network(OWN), OWN, path)
    return path.read_bytes()


@pytest.fixture
def own(own_bytes, tmp_path):
    (tmp_path / "own.hdf5").write_bytes(own_bytes)
    return tmp_path / "own.hdf5"


@pytest.fixture
def foreign(h5py, own):
    """The same weights as Keras 2.4 writes them, which does not say what they are."""
    path = own.rename(own.with_name("saved-model-05.hdf5"))
    with h5py.File(path, "r+") as file:
        del file.attrs["covid_severity_network"]
        file.attrs["keras_version"] = np.bytes_("2.4.0")
    return path


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def entry(path=None, name="theirs", network=PUBLISHED, **facts):
    known = ModelEntry(name, "A model of somebody", network, **facts)
    return known if path is None else known.of_file(sha256(path), path.stat().st_size)


def left():
    return sorted(path.name for path in models_folder().iterdir()) if models_folder().exists() else []


def test_file_of_our_own_says_what_it_is(own):
    seen = []
    model = add_model(own, "mine", progress=lambda *call: seen.append(call))
    assert model.entry == ModelEntry("mine", "EfficientNetB0, added from a file", OWN).of_file(
        sha256(own), own.stat().st_size
    )
    assert model.path.read_bytes() == own.read_bytes()
    assert left() == ["mine"]
    assert seen[-1] == ("copy", own.stat().st_size, own.stat().st_size)
    assert resolve("mine").entry == model.entry


def test_file_of_others_is_taken_to_be_as_published_and_that_is_written_down(foreign):
    model = add_model(foreign, "theirs")
    assert model.entry.network == PUBLISHED
    assert model.entry.limits == f"{SAID_BY_NOBODY}: taken to be as published."
    assert resolve("theirs").entry.limits == model.entry.limits


def test_options_tell_what_the_file_does_not(foreign):
    given = {"size_px": 32, "classes": REVERSED, "image": "without-filling"}
    facts = {"licence": "CC-BY-4.0", "source": "https://example.org"}
    model = add_model(foreign, "theirs", network=given, facts=facts)
    assert model.entry.network == OWN
    assert (model.entry.licence, model.entry.source, model.entry.limits) == ("CC-BY-4.0", "https://example.org", None)


def test_option_that_contradicts_the_file_is_refused(own):
    with pytest.raises(InputError, match=r"classes is given as normal,CAP,COVID-19, .* COVID-19,CAP,normal for own"):
        add_model(own, "mine", network={"classes": tuple(Diagnosis)})
    assert left() == []


def test_option_that_contradicts_the_weights_is_refused_before_anything_is_copied(foreign):
    seen = []
    with pytest.raises(InputError, match=r"saved-model-05\.hdf5 .* EfficientNetB0 .*EfficientNetB5"):
        add_model(foreign, "theirs", network={"backbone": "EfficientNetB5"}, progress=lambda *call: seen.append(call))
    assert seen == left() == []


def test_manifest_beside_the_file_says_what_it_is(foreign):
    known = entry(foreign, "as-trained", OWN, licence="CC0-1.0", limits="None known.")
    write_manifest([entry(name="other"), known], foreign.with_name("manifest.json"))
    assert add_model(foreign, "mine").entry == replace(known, name="mine")


def test_manifest_beside_the_file_that_is_about_another_says_nothing(foreign):
    write_manifest([replace(entry(foreign, network=OWN), sha256="0" * 64)], foreign.with_name("manifest.json"))
    assert add_model(foreign, "mine").entry.network == PUBLISHED


def test_manifest_that_contradicts_the_file_is_refused(own):
    write_manifest([entry(own, network=replace(OWN, image="as-published"))], own.with_name("manifest.json"))
    with pytest.raises(InputError, match=r"own\.hdf5 .* classification image"):
        add_model(own, "mine")


def test_name_of_the_manifest_needs_its_file(foreign):
    known = [entry(foreign, network=OWN)]
    write_manifest([entry(foreign, licence="MIT")], foreign.with_name("manifest.json"))  # has less to say
    assert add_model(foreign, "THEIRS", known).entry == replace(known[0], name="THEIRS")
    wanted, found = "0" * 64, sha256(foreign)
    with pytest.raises(InputError, match=f"saved-model-05.hdf5 is not the model other: .* {found}, expected {wanted}"):
        add_model(foreign, "other", [replace(known[0], name="other", sha256=wanted)])
    with pytest.raises(InputError, match=r"saved-model-05\.hdf5 is not the model other: it has \d+ bytes, expected 7"):
        add_model(foreign, "other", [replace(known[0], name="other", size_bytes=7)])
    assert left() == ["THEIRS"]


def test_name_of_a_model_without_a_checksum_takes_a_file_that_may_be_it(h5py, foreign):
    known = [entry(source="https://example.org")]
    assert add_model(foreign, "theirs", known).entry == entry(foreign, source="https://example.org")
    with h5py.File(foreign, "r+") as file:
        file.attrs["keras_version"] = np.bytes_("2.15.0")
    with pytest.raises(InputError, match=r"is not the model theirs as it was published: it is from Keras 2\.9"):
        add_model(foreign, "theirs", known, replace=True)
    assert resolve("theirs").entry == entry(resolve("theirs").path, source="https://example.org")


def test_name_of_somebody_elses_model_is_not_given_to_our_own_file(own):
    with pytest.raises(InputError, match=r"own\.hdf5 says of itself what it is, and theirs is the name of somebody"):
        add_model(own, "theirs", [entry(network=OWN)])


def test_licence_that_is_known_is_not_changed(foreign):
    known = [entry(foreign, licence="CC0-1.0")]
    with pytest.raises(InputError, match=r"the licence of theirs is known to be 'CC0-1\.0'"):
        add_model(foreign, "theirs", known, facts={"licence": "MIT"})
    assert add_model(foreign, "theirs", known, facts={"licence": "CC0-1.0"}).entry.licence == "CC0-1.0"


def test_weights_of_newer_keras_are_said_to_be_a_guess(h5py, foreign):
    with h5py.File(foreign, "r+") as file:
        file.attrs["keras_version"] = np.bytes_("2.15.0")
    added = add_model(foreign, "theirs").entry
    assert added.network.imagenet_rescaling
    assert added.limits.endswith("Its training is taken to have begun with ImageNet's weights.")


def test_network_that_cannot_be_filled_leaves_nothing(h5py, own):
    with h5py.File(own, "r+") as file:
        (group,) = (group for name, group in file.items() if name.startswith("efficientnet"))
        del group["stem_bn/gamma:0"]
        group["stem_bn/gamma:0"] = np.ones(7, dtype=np.float32)
    with pytest.raises(InputError, match=r"own\.hdf5 .*stem_bn"):
        add_model(own, "mine")
    assert left() == []


def test_truncated_file_leaves_nothing(foreign):
    foreign.write_bytes(foreign.read_bytes()[: foreign.stat().st_size // 2])
    with pytest.raises(InputError, match=r"saved-model-05\.hdf5"):
        add_model(foreign, "theirs")
    assert left() == []


@pytest.mark.parametrize("content", [b"", b"no network", bytes(4096)])
def test_file_that_is_no_network_leaves_nothing(keras, tmp_path, content):
    (tmp_path / "note.hdf5").write_bytes(content)
    with pytest.raises(InputError, match=r"note\.hdf5 is not an HDF5 file"):
        add_model(tmp_path / "note.hdf5", "mine")
    assert left() == []


def test_interrupt_leaves_nothing(own):
    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add_model(own, "mine", progress=stop)
    assert left() == []


def test_model_that_is_there_stays_unless_it_is_to_be_replaced_and_the_new_one_is_sound(own, tmp_path):
    first = add_model(own, "mine").entry
    with pytest.raises(InputError, match="a model mine is installed already; --replace"):
        add_model(own, "Mine")
    (tmp_path / "note.hdf5").write_bytes(b"no network")
    with pytest.raises(InputError):
        add_model(tmp_path / "note.hdf5", "mine", replace=True)
    assert resolve("mine").entry == first
    again = add_model(own, "Mine", facts={"licence": "MIT"}, replace=True)
    assert resolve("mine").entry == again.entry == replace(first, name="Mine", licence="MIT")
    assert left() == ["Mine"]


def test_full_disk_is_told(own, monkeypatch):
    monkeypatch.setattr(adding.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(OutputError, match=r"not enough space for own\.hdf5"):
        add_model(own, "mine")
    assert left() == []


def test_command_adds_what_training_wrote_and_says_how_to_use_it(program, own):
    status, out, err = program("models", "add", own, "--as", "mine", "--licence", "CC-BY-4.0")
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "mine is installed: EfficientNetB0; image 32 x 32 without-filling; classes COVID-19, CAP, normal",
        "Licence: CC-BY-4.0",
        "To use it: covid-severity classify INPUT --classifier mine",
    ]
    (row,) = (row for row in json.loads(program("models", "list", "--json").out)["models"] if row["name"] == "mine")
    assert (row["status"], row["licence"], row["sha256"]) == ("installed", "CC-BY-4.0", sha256(own))
    assert program("models", "path", "mine").out == f"{row['path']}\n"


def test_command_says_what_is_guessed(program, foreign):
    options = ("--size", 64, "--classes", "covid-19, cap, normal")
    out = program("models", "add", foreign, "--as", "theirs", *options).out
    assert "image 64 x 64 as-published; classes COVID-19, CAP, normal" in out
    assert "Note: The file does not tell the classification image: taken to be as published.\n" in out


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--as", "../mine"), "a model cannot be called '../mine'"),
        (("--as", "mine", "--classes", "CAP,flu,normal"), "--classes CAP,flu,normal names no class 'flu'"),
        (("--as", "mine", "--classes", "CAP,CAP,normal"), "3 classes (CAP, CAP, normal)"),
        (("--as", "mine", "--size", "8"), "images of 8 pixels"),
        (("--as", "mine", "--licence", " "), "licence of the model mine is ' '; a text is needed"),
        (("--as", "published-b5"), "backbone EfficientNetB0"),
    ],
)
def test_bad_options_end_with_status_2_and_one_sentence(program, foreign, options, sentence):
    status, out, err = program("models", "add", foreign, *options)
    assert (status, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1
    assert left() == []


@pytest.mark.slow
def test_without_tensorflow_the_command_that_installs_it_is_told(tmp_path):
    (tmp_path / "weights.hdf5").write_bytes(b"\x89HDF\r\n\x1a\n")
    hide = "import sys; sys.modules.update(tensorflow=None, keras=None, h5py=None); "
    run = "from CovidSeverityLib.__main__ import main; sys.exit(main())"
    command = [sys.executable, "-c", hide + run, "models", "add", tmp_path / "weights.hdf5", "--as", "mine"]
    root = Path(CovidSeverityLib.__file__).parents[1]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert 'pip install "covid-severity[classify]"' in done.stderr
    assert done.stderr.count("\n") == 1
