"""The user's models: found by name or file, kept whole, refused when they have changed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import CovidSeverityLib
from CovidSeverityLib.classification.description import NetworkDescription
from CovidSeverityLib.classification.store import installed as store
from CovidSeverityLib.classification.store import placement
from CovidSeverityLib.classification.store.catalogue import ModelEntry, known_models, write_manifest
from CovidSeverityLib.classification.store.folder import consent_sentence
from CovidSeverityLib.classification.store.installed import (
    ResolvedModel,
    find_installed,
    installed_models,
    models_folder,
    remove_model,
    resolve,
)
from CovidSeverityLib.classification.store.placement import placing, write_entry
from CovidSeverityLib.errors import InputError, OutputError
from Testing.data_files import assert_follows, schema_for

CONTENT = b"weights"
ENTRY = ModelEntry("mine", "A model", NetworkDescription()).of_file(hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("COVID_SEVERITY_MODELS", str(tmp_path / "models"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def interrupt():
    raise KeyboardInterrupt


def install(name="mine", content=CONTENT, replace_it=False, then=lambda: None):
    entry = replace(ENTRY, name=name).of_file(hashlib.sha256(content).hexdigest(), len(content))
    with placing(name, replace_it) as folder:
        (folder / "weights.hdf5").write_bytes(content)
        write_entry(entry, folder)
        then()
    return models_folder() / name / "weights.hdf5"


def left():
    return sorted(path.name for path in models_folder().iterdir()) if models_folder().exists() else []


def test_installed_model_is_found_by_its_name_in_any_case():
    path = install()
    assert resolve("mine") == resolve("MINE") == ResolvedModel(path, "mine", ENTRY)
    sound, damaged = installed_models()
    assert (list(sound), damaged) == (["mine"], {})


def test_file_is_told_from_a_name_by_its_looks(tmp_path):
    install("same")
    Path("same").write_bytes(b"other")
    assert resolve("same").path == models_folder() / "same" / "weights.hdf5"
    for given in ("./same", Path("same"), tmp_path / "work" / "same"):
        assert resolve(given) == ResolvedModel(Path(given), "same", None)
    Path("plain").write_bytes(b"other")
    assert resolve("plain") == ResolvedModel(Path("plain"), "plain", None)


def test_manifest_beside_a_file_tells_what_it_is_by_its_checksum():
    Path("best.hdf5").write_bytes(CONTENT)
    Path("last.hdf5").write_bytes(b"other")
    write_manifest([ENTRY], "manifest.json")
    assert resolve("best.hdf5") == ResolvedModel(Path("best.hdf5"), "best.hdf5", ENTRY)
    assert resolve("last.hdf5").entry is None


@pytest.mark.parametrize("content", ['{"name": "an app", "version": 3}', "[]"])
def test_manifest_of_something_else_is_passed_over(content):
    Path("best.hdf5").write_bytes(CONTENT)
    Path("manifest.json").write_text(content)
    assert resolve("best.hdf5").entry is None


@pytest.mark.parametrize("content", ['{"models": [', '{"models": []}'])
def test_damaged_manifest_beside_a_file_is_told(content):
    Path("best.hdf5").write_bytes(CONTENT)
    Path("manifest.json").write_text(content)
    with pytest.raises(InputError, match=r"manifest\.json"):
        resolve("best.hdf5")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            "published-b5",
            r"is not installed; covid-severity models download published-b5 asks first, models add FILE",
        ),
        ("publishd-b5", r"no model 'publishd-b5'; is published-b5 meant\? covid-severity models list"),
        ("nothing", r"no model 'nothing'; covid-severity models list shows the models"),
        ("folder/x", "the classifier folder/x is not there"),
        ("x.hdf5", r"the classifier x\.hdf5 is not there; a model's name or a file of weights"),
        (".", r"no model '\.'"),
        ("..", r"no model '\.\.'"),
        ("./", "is a folder"),
        ("", "the name of the classifier is empty"),
    ],
)
def test_what_is_neither_a_model_nor_a_file_is_told_with_what_to_do(given, sentence):
    install()
    with pytest.raises(InputError, match=sentence):
        resolve(given)


def test_model_that_can_be_downloaded_is_told_so(monkeypatch):
    entry = replace(ENTRY, name="ours", url="https://example.org/x", licence="MIT")
    monkeypatch.setattr(store, "known_models", lambda: (entry,))
    with pytest.raises(InputError, match="the model ours is not installed; covid-severity models download ours"):
        resolve("OURS")


def test_file_that_has_changed_is_refused():
    path = install()
    path.write_bytes(b"Weights")
    found = hashlib.sha256(b"Weights").hexdigest()
    with pytest.raises(
        InputError, match=f"installed model mine has changed: its SHA-256 is {found}, not {ENTRY.sha256}"
    ):
        resolve("mine")


@pytest.mark.parametrize("name", ["weights.hdf5", "entry.json"])
def test_damaged_model_is_told_and_can_be_removed(name):
    install("other")
    (install().parent / name).unlink()
    with pytest.raises(InputError, match=r"installed model mine is damaged .* covid-severity models remove mine"):
        find_installed("mine")
    sound, damaged = installed_models()
    assert (list(sound), list(damaged)) == (["other"], ["mine"])
    remove_model("mine")
    assert left() == ["other"]


def test_entry_of_another_model_is_damage():
    write_manifest([ENTRY], install("yours").parent / "entry.json")
    with pytest.raises(InputError, match="installed model yours is damaged"):
        resolve("yours")


def test_removed_model_is_gone():
    install()
    assert remove_model("MINE") == models_folder() / "mine"
    assert left() == []
    with pytest.raises(InputError, match="no model mine is installed"):
        remove_model("mine")


@pytest.mark.parametrize("name", ["..", ".", "", "../models", ".placing-1"])
def test_nothing_outside_the_folder_is_removed(name):
    install()
    with pytest.raises(InputError, match="is installed"):
        remove_model(name)
    assert left() == ["mine"]


def test_program_removes_nothing_outside_the_folder(program, tmp_path):
    install()
    (tmp_path / "x.part").write_bytes(b"somebody's")
    assert program("models", "remove", "/../x").status == 2
    assert (tmp_path / "x.part").exists()


def test_failure_leaves_the_model_that_was_there():
    path = install()
    with pytest.raises(KeyboardInterrupt):
        install(content=b"half", replace_it=True, then=interrupt)
    assert left() == ["mine"]
    assert path.read_bytes() == CONTENT
    assert resolve(str(install(content=b"new", replace_it=True))).path.read_bytes() == b"new"
    assert left() == ["mine"]


def test_failure_of_the_last_step_puts_back_the_model_that_was_there(monkeypatch):
    path, rename = install(), Path.rename

    def fail_to_place(self, target):
        if target.name == "mine" and not (self / "old").exists() and (self / "weights.hdf5").read_bytes() == b"new":
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_to_place)
    with pytest.raises(OutputError, match=r"cannot write the model mine to .*: Permission denied"):
        install(content=b"new", replace_it=True)
    assert left() == ["mine"]
    assert path.read_bytes() == CONTENT


def test_two_at_once_do_not_overwrite_each_other():
    with pytest.raises(InputError, match="a model mine is installed already"):
        install(content=b"later", then=install)
    assert resolve("mine").path.read_bytes() == CONTENT
    assert left() == ["mine"]


def test_what_a_killed_process_left_is_not_a_model_and_goes_after_a_day():
    for name, age_s in (("fresh", 60.0), ("old", placement.ABANDONED_AFTER_S + 60)):
        folder = models_folder() / f".placing-{name}"
        folder.mkdir(parents=True)
        os.utime(folder, (time.time() - age_s,) * 2)
    assert installed_models() == ({}, {})
    install()
    assert left() == [".placing-fresh", "mine"]


def test_folder_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("COVID_SEVERITY_MODELS", str(tmp_path / "file" / "models"))
    with pytest.raises((InputError, OutputError), match="Not a directory"):
        install()


def test_models_are_in_the_users_cache_unless_the_variable_names_a_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("COVID_SEVERITY_MODELS", "~/models")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert models_folder() == Path("~/models").expanduser()
    for unset in ("", None):
        monkeypatch.delenv("COVID_SEVERITY_MODELS") if unset is None else monkeypatch.setenv(
            "COVID_SEVERITY_MODELS", unset
        )
        assert models_folder().parts[-2:] == ("covid-severity", "models")


def test_program_lists_what_is_installed_and_what_can_be(program, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)  # pytest-xdist sets it for its processes
    install("mine")
    (install("broken").parent / "weights.hdf5").unlink()
    status, out, err = program("models", "list")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == ["Model", "Status", "For", "Network", "Licence", "Size"]
    statuses = {line.split()[0]: " ".join(line.split()[1:3]) for line in lines[1 : lines.index("")]}
    assert statuses["mine"] == "installed diagnosis"
    assert statuses["broken"] == "damaged not"
    for entry in known_models():
        assert statuses[entry.name] == ("to download" if entry.downloadable else "after consent")
    assert "damaged: the installed model broken is damaged (its weights are missing)" in out
    assert "covid-severity models download NAME, from a folder of the authors; asks you first" in out
    assert known_models()[0].source in out
    assert lines[-1] == f"Folder: {models_folder()}"


@pytest.mark.parametrize("columns", [80, 120])
def test_table_fits_the_terminal(program, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    install("a-name-of-a-model-that-is-as-long-as-anybody-would-like-to-write-it"[:64])
    table = program("models", "list").out.partition("\n\n")[0]
    assert max(map(len, table.splitlines())) <= columns
    folded = "".join(line.split()[0] for line in table.splitlines()[1:])
    assert "a-name-of-a-model-that-is-as-long-as" in folded.replace("\n", "")


def test_table_that_goes_to_a_pipe_is_not_folded(program, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    install("a" * 64)
    lines = program("models", "list").out.splitlines()
    assert lines[1].split()[:2] == ["a" * 64, "installed"]
    assert lines[1].endswith("7 bytes")


def test_json_holds_all_that_is_known(program):
    path = install()
    listed = json.loads(program("models", "list", "--json").out)
    assert listed["folder"] == str(models_folder())
    assert_follows(listed, schema_for("standard output", "models list --json"))
    mine, *others = listed["models"]
    assert mine == {"status": "installed", "path": str(path), "problem": None, **ENTRY.as_dict(), "consent": None}
    assert [other["name"] for other in others] == [entry.name for entry in known_models()]
    for other, entry in zip(others, known_models(), strict=True):
        assert other["status"] == ("to download" if entry.downloadable else "from a file")
        assert other["consent"] == (None if entry.downloadable else consent_sentence(entry))


def test_installed_model_is_not_listed_twice(program):
    install("Published-B5")
    names = [model["name"] for model in json.loads(program("models", "list", "--json").out)["models"]]
    assert names.count("Published-B5") == 1
    assert "published-b5" not in names


def test_program_tells_paths_and_removes(program):
    path = install()
    assert program("models", "path").out == f"{models_folder()}\n"
    assert program("models", "path", "Mine").out == f"{path}\n"
    assert program("models", "remove", "mine").out == f"{path.parent} is deleted\n"
    for arguments in (("path", "mine"), ("remove", "mine"), ("download", "mine"), ("download", "published-b5")):
        status, out, err = program("models", *arguments)
        assert (status, out) == (2, "")
        assert err.count("\n") == 1


def test_program_says_why_a_model_of_which_little_is_known_is_not_downloaded(program, tmp_path):
    write_manifest([replace(known_models()[0], folder=None)], tmp_path / "m.json")
    err = program("models", "download", "published-b5", "--manifest", tmp_path / "m.json").err
    assert "its address, licence, checksum and size are not known; get its file of weights yourself from http" in err
    assert err.endswith("then covid-severity models add FILE --as published-b5\n")


@pytest.mark.parametrize("action", [(), ("list",), ("path",), ("add",), ("download",), ("files",), ("remove",)])
def test_help_fits_a_terminal_of_80_columns(program, monkeypatch, action):
    monkeypatch.setenv("COLUMNS", "80")
    status, out, _ = program("models", *action, "--help")
    assert status == 0
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.slow
def test_nothing_of_the_store_imports_tensorflow_or_rich_before_it_is_needed():
    modules = "CovidSeverityLib.commands.models, CovidSeverityLib.classification.store.adding"
    check = "assert not {'tensorflow', 'keras', 'h5py', 'rich', 'platformdirs'} & set(sys.modules), sys.modules.keys()"
    root = Path(CovidSeverityLib.__file__).parents[1]
    subprocess.run([sys.executable, "-c", f"import sys, {modules}; {check}"], cwd=root, check=True)
