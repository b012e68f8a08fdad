"""Manifests of models: what they may say, and what the one that comes with the program says."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import jsonschema
import pytest

from CovidSeverityLib.classification.description import BACKBONES, NetworkDescription
from CovidSeverityLib.classification.store import catalogue
from CovidSeverityLib.classification.store.catalogue import (
    CLASSIFIER,
    LUNGS,
    ModelEntry,
    check_name,
    known_models,
    manifest_text,
    read_manifest,
    safe_address,
    shipped_manifest,
    write_manifest,
)
from CovidSeverityLib.errors import InputError, OutputError
from CovidSeverityLib.features.classification_image import CLASSIFICATION_IMAGES
from CovidSeverityLib.segmentation.lungs.lungmask_engine import LTRC_LOBES, R231, R231_COVID
from CovidSeverityLib.types import Diagnosis

FULL = ModelEntry(
    "hospital-b0",
    "A model of a hospital: ä",
    NetworkDescription("EfficientNetB0", 96, (64,), tuple(reversed(Diagnosis)), "with-vesselness", True),
    source="https://example.org/model",
    licence="CC-BY-4.0",
    url="https://example.org/weights.hdf5",
    sha256="0123456789abcdef" * 4,
    size_bytes=17,
    trained_on="Chest CTs of 100 patients",
    limits="One scanner.",
)
LUNG_MODEL = ModelEntry(
    "lungs", "Lungs", None, url="https://example.org/l-01234567.pth", sha256="01234567", purpose=LUNGS
)
BARE = ModelEntry("bare", "Nothing is known", NetworkDescription())
MODELS = shipped_manifest().parent
SCHEMA = json.loads((MODELS / "manifest.schema.json").read_text(encoding="utf-8"))


def stored(**changes):
    """A manifest of one model, as JSON; a change of None takes a field away."""
    values = {**FULL.as_dict(), **changes}
    return {"schema_version": 1, "models": [{k: v for k, v in values.items() if v is not None}]}


@pytest.fixture
def read(tmp_path):
    def read(content):
        path = tmp_path / "manifest.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return read_manifest(path)

    return read


def test_manifest_comes_back_as_it_was_written(tmp_path):
    write_manifest([FULL, BARE, LUNG_MODEL], tmp_path / "manifest.json")
    assert read_manifest(tmp_path / "manifest.json") == (FULL, BARE, LUNG_MODEL)
    jsonschema.validate(json.loads(manifest_text([FULL, BARE, LUNG_MODEL])), SCHEMA)


def test_what_is_missing_is_not_known(read):
    (entry,) = read({"schema_version": 1, "models": [{"name": "bare", "title": "Nothing is known", "network": {}}]})
    assert entry == BARE
    assert BARE.unknown_for_download == ("address", "licence", "checksum", "size")


@pytest.mark.parametrize("field", ["url", "licence", "sha256", "size_bytes"])
def test_only_a_model_of_which_all_is_known_is_downloadable(field):
    assert FULL.downloadable
    assert not replace(FULL, **{field: None}).downloadable


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": "../x"}, "a model cannot be called '../x'"),
        ({"name": 3}, "a model cannot be called 3"),
        ({"title": " "}, "title of the model hospital-b0 is ' '; a text is needed"),
        ({"title": None}, "no field 'title'"),
        ({"network": None}, "no field 'network'"),
        ({"network": []}, "network of the model hospital-b0 is []"),
        ({"network": {"backbone": "VGG16"}}, "no backbone 'VGG16'"),
        ({"network": {"colour": "red"}}, "colour is 'red'"),
        ({"sha256": "ABC"}, "sha256 of the model hospital-b0 is 'ABC'; 64 digits 0-9 a-f are needed, or 8 at least"),
        ({"size_bytes": 0}, "size_bytes of the model hospital-b0 is 0; a number above 0 is needed"),
        ({"size_bytes": True}, "size_bytes of the model hospital-b0 is True"),
        ({"size_bytes": 1.5}, "size_bytes of the model hospital-b0 is 1.5"),
        ({"url": "http://example.org/x"}, "url of the model hospital-b0 is http://example.org/x"),
        ({"url": "file:///etc/passwd"}, "an address with https:// is needed"),
        ({"licence": 7}, "licence of the model hospital-b0 is 7; a text is needed"),
        ({"author": "me"}, "unknown field 'author'"),
        ({"purpose": "heart"}, "purpose of the model hospital-b0 is 'heart'; one of classifier, lungs, lobes is"),
        ({"purpose": "lungs"}, "is for lungs; a classifier has a network, others have none"),
        ({"purpose": "lungs", "network": None}, "url of the model hospital-b0 is https://example.org/weights.hdf5"),
        ({"folder": "http://example.org/x"}, "folder of the model hospital-b0 is http://example.org/x"),
    ],
)
def test_entry_that_cannot_be_used_is_told_and_the_schema_agrees(read, changes, sentence):
    with pytest.raises(InputError, match=rf"manifest\.json .*{re.escape(sentence)}"):
        read(stored(**changes))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(stored(**changes), SCHEMA)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "is no JSON"),
        ("[]", "is no manifest of models"),
        ({"schema_version": 1, "models": {}}, "is no manifest of models"),
        ({"models": []}, "has the schema version None; this program reads 1"),
        ({"schema_version": 2, "models": []}, "has the schema version 2; this program reads 1"),
        ({"schema_version": 1, "models": [3]}, "holds a model that is no object"),
        ({"schema_version": 1, "models": [{**FULL.as_dict(), "name": n} for n in ("Ab", "aB")]}, "Ab more than once"),
    ],
)
def test_file_that_is_no_manifest_is_told(read, content, sentence):
    with pytest.raises(InputError, match=f"manifest.json.*{sentence}"):
        read(content)


def test_manifest_that_is_not_there_or_cannot_be_written_is_told(tmp_path):
    with pytest.raises(InputError, match="no manifest of models at"):
        read_manifest(tmp_path / "manifest.json")
    with pytest.raises(OutputError, match="cannot write manifest"):
        write_manifest([FULL], tmp_path / "missing" / "manifest.json")


@pytest.mark.parametrize("name", ["a", "published-b5", "B0_v1.2", "0", "x" * 64, "console"])
def test_names_of_models(name):
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".hidden",
        "ends.",
        "a/b",
        "a\\b",
        "a b",
        "ä",
        "x" * 65,
        "a\n",
        "-x",
        "CON",
        "nul.x",
        "com1",
        "None",
        "~",
    ],
)
def test_names_that_are_paths_hidden_or_mean_something_else_are_refused(name):
    with pytest.raises(InputError, match="a model cannot be called"):
        check_name(name)


@pytest.mark.parametrize("name", ["weights.hdf5", "weights.H5", "model.keras"])
def test_name_of_a_file_of_weights_is_no_name_of_a_model(name):
    with pytest.raises(InputError, match=f"a model cannot be called {name}: that is the name of a file"):
        check_name(name)


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://example.org/x", True),
        ("http://localhost:80/x", True),
        ("http://127.0.0.1/x", True),
        ("http://[::1]:8000/x", True),
        ("http://example.org/x", False),
        ("http://localhost.example.org/x", False),
        ("http://localhost@example.org/x", False),
        ("ftp://example.org/x", False),
        ("file:///x", False),
        ("https://", False),
        ("https://[::1", False),
        ("weights.hdf5", False),
    ],
)
def test_only_https_and_this_machine_are_fetched_from(url, safe):
    assert safe_address(url) is safe


def test_schema_knows_every_field_and_backbone():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["$defs"]["model"]["properties"]) == set(ModelEntry.__dataclass_fields__)
    network = SCHEMA["$defs"]["network"]["properties"]
    assert set(network) == set(NetworkDescription.__dataclass_fields__)
    assert tuple(network["backbone"]["enum"]) == BACKBONES


def test_manifest_of_the_program_is_valid_and_invents_nothing():
    text = shipped_manifest().read_text(encoding="utf-8")
    jsonschema.validate(json.loads(text), SCHEMA)
    assert text == manifest_text(known_models())
    published = {entry.name: entry for entry in known_models()}
    assert published["published-b5"].network == NetworkDescription()
    for entry in published.values():
        if entry.purpose == CLASSIFIER:
            assert entry.unknown_for_download == ("address", "licence", "checksum", "size")
            assert entry.network == NetworkDescription(entry.network.backbone)
            assert entry.network.image in CLASSIFICATION_IMAGES
        else:
            assert entry.downloadable
    weights = {entry.weights_name for entry in published.values() if entry.purpose != CLASSIFIER}
    assert weights == {model.file for model in (R231, R231_COVID, LTRC_LOBES)}
    for model in (R231, R231_COVID, LTRC_LOBES):
        assert published[model.model].weights_name == model.file
        assert model.file.endswith(f"-{published[model.model].sha256}.pth")


COMMON_ROWS = {
    "Trained on": lambda e: e.trained_on,
    "Source": lambda e: e.source,
    "Licence": lambda e: e.licence or "not known",
    "Address of the file": lambda e: e.url or "not known",
    "SHA-256": lambda e: e.sha256 or "not known",
    "Size": lambda e: "not known" if e.size_bytes is None else f"{e.size_bytes} bytes",
    "Limits": lambda e: e.limits,
}
CLASSIFIER_ROWS = {
    "Network": lambda e: e.network.backbone,
    "Image": lambda e: f"{e.network.size_px} x {e.network.size_px} pixels, {e.network.image}",
    "Classes, in order": lambda e: ", ".join(e.as_dict()["network"]["classes"]),
    "Dense layers": lambda e: ", ".join(map(str, e.network.head_units)),
}
OTHER_ROWS = {"For": lambda e: e.purpose}


@pytest.mark.parametrize("entry", known_models(), ids=lambda entry: entry.name)
def test_every_model_has_a_card_that_agrees_with_the_manifest(entry):
    card = (MODELS / f"{entry.name}.md").read_text(encoding="utf-8")
    assert card.startswith(f"# {entry.name}: {entry.title}\n")
    rows = dict(re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", card, re.MULTILINE))
    expected = {**COMMON_ROWS, **(OTHER_ROWS if entry.network is None else CLASSIFIER_ROWS)}
    told = {what: rows.get(what, "").strip("<>`") for what in expected}
    assert told == {what: of(entry) for what, of in expected.items()}
    assert f"({entry.name}.md)" in (MODELS / "README.md").read_text(encoding="utf-8")


def test_manifest_that_the_readme_shows_is_one(read):
    (shown,) = re.findall(r"```json\n(.*?)```", (MODELS / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    jsonschema.validate(json.loads(shown), SCHEMA)
    assert [entry.downloadable for entry in read(shown)] == [True]


def test_every_card_is_of_a_model():
    assert {path.stem for path in MODELS.glob("*.md")} == {"README"} | {entry.name for entry in known_models()}


def test_package_comes_first_and_the_folder_beside_it_second(tmp_path, monkeypatch):
    package = tmp_path / "CovidSeverityLib"
    monkeypatch.setattr(catalogue, "_PACKAGE", package)
    with pytest.raises(InputError, match=r"list of models is missing from .*; install it again"):
        shipped_manifest()
    (tmp_path / "pyproject.toml").write_bytes(b"")
    for folder in (tmp_path / "models", package / "models"):
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_bytes(b"")
        assert shipped_manifest() == folder / "manifest.json"


def test_folder_beside_an_installed_package_is_somebody_elses(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "_PACKAGE", tmp_path / "CovidSeverityLib")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "manifest.json").write_bytes(b"")
    with pytest.raises(InputError, match=r"list of models is missing from .*CovidSeverityLib.models; install it again"):
        shipped_manifest()


def test_wheel_holds_every_package_and_the_models_but_not_the_atlas(monkeypatch, repository):
    setuptools = pytest.importorskip("setuptools")
    root = repository
    told = {}
    monkeypatch.chdir(root)
    monkeypatch.setattr(setuptools, "setup", lambda **values: told.update(values))
    exec(compile((root / "setup.py").read_text(encoding="utf-8"), "setup.py", "exec"), {})
    folders = {path.parent for path in (root / "CovidSeverityLib").rglob("*.py")}
    packages = {".".join(folder.relative_to(root).parts) for folder in folders}
    assert set(told["packages"]) == packages | {"CovidSeverityLib.models"}
    assert told["package_dir"] == {"CovidSeverityLib.models": "models"}
