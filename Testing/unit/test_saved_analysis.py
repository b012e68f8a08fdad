"""Analyses that are pickled, copied, shown, saved and loaded."""

from __future__ import annotations

import copy
import dataclasses
import html.parser
import json
import pickle
import re
import shutil

import numpy as np
import pytest

from CovidSeverityLib import Analysis, InputError
from CovidSeverityLib.analysis import ClassifiedCt
from CovidSeverityLib.immutable import FrozenDict
from CovidSeverityLib.reporting import OUTPUT_NAMES, build_report, write_results

WAYS = {
    "pickled": lambda value: pickle.loads(pickle.dumps(value)),
    "pickled by the oldest protocol": lambda value: pickle.loads(pickle.dumps(value, protocol=2)),
    "copied": copy.copy,
    "deep-copied": copy.deepcopy,
}


@pytest.fixture(scope="module")
def diagnosed(factory):
    return factory.make_diagnosed(factory.make_chest((10, 24, 32)))


@pytest.fixture(scope="module")
def reference(reference_analysis):
    return reference_analysis


@pytest.fixture(scope="module", params=["default", "reference", "diagnosed"])
def analysis(request, coarse_analysis):
    return coarse_analysis if request.param == "default" else request.getfixturevalue(request.param)


def arrays_in(value):
    """Every array in a value and in the values that it holds."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from arrays_in(item)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from arrays_in(getattr(value, field.name))


@pytest.mark.parametrize("way", WAYS)
def test_copies_are_equal_and_as_immutable(analysis, way):
    again = WAYS[way](analysis)
    assert again is not analysis
    assert again == analysis
    assert json.dumps(build_report(again)) == json.dumps(build_report(analysis))
    arrays = list(arrays_in(again))
    assert len(arrays) >= 8
    assert not any(array.flags.writeable for array in arrays)
    for mapping in (again.side_voxels, again.provenance.seconds, again.provenance.configuration):
        with pytest.raises(TypeError, match="cannot be changed"):
            mapping["new"] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        again.severity = None


@pytest.mark.parametrize("way", WAYS)
def test_diagnosis_alone_is_copied_as_well(diagnosed, way):
    found = ClassifiedCt.of(diagnosed)
    again = WAYS[way](found)
    assert again == found
    assert not any(array.flags.writeable for array in arrays_in(again))


def changed(array):
    array = array.copy()
    array.flat[0] += 1
    return array


@pytest.mark.parametrize(
    "change",
    [
        lambda a: {"infection": changed(a.infection)},
        lambda a: {"lungs": a.lungs.astype(np.uint16)},
        lambda a: {"volume": dataclasses.replace(a.volume, hu=changed(a.volume.hu))},
        lambda a: {"quality": a.quality[1:]},
        lambda a: {"lobe_scores": (dataclasses.replace(a.lobe_scores[0], score=4), *a.lobe_scores[1:])},
        lambda a: {"provenance": dataclasses.replace(a.provenance, seconds={"lungs": 9.0})},
        lambda a: {"side_voxels": dict.fromkeys(a.side_voxels, 1)},
        lambda a: {"densitometry": dataclasses.replace(a.densitometry, first_hu=0)},
    ],
)
def test_equal_means_equal_in_everything(coarse_analysis, change):
    other = dataclasses.replace(coarse_analysis, **change(coarse_analysis))
    assert other != coarse_analysis
    assert dataclasses.replace(other, **{name: getattr(coarse_analysis, name) for name in change(coarse_analysis)}) == (
        coarse_analysis
    )
    assert coarse_analysis != "another thing"


@pytest.mark.parametrize("method", ["clear", "pop", "popitem", "setdefault", "update", "__delitem__", "__ior__"])
def test_frozen_dictionary_refuses_every_change(method):
    mapping = FrozenDict({"a": 1})
    with pytest.raises(TypeError, match="cannot be changed"):
        getattr(mapping, method)("a")
    assert mapping == {"a": 1}
    assert dict(mapping) | {"b": 2} == {"a": 1, "b": 2}


def test_reprs_are_one_line(analysis, diagnosed):
    shown = [analysis, analysis.volume, analysis.densitometry, analysis.low_attenuation, analysis.provenance]
    shown += [diagnosed.classification, diagnosed.classification.evidence[0], ClassifiedCt.of(diagnosed)]
    for value in shown:
        assert "\n" not in repr(value)
        assert "array(" not in repr(value)
    assert re.fullmatch(
        rf"Analysis\('{analysis.volume.name}', CTSS {analysis.ctss} of 25, .*, profile {analysis.provenance.profile}\)",
        repr(analysis),
    )


def test_repr_without_a_score(factory):
    chest = factory.make_chest((10, 24, 32))
    alone = factory.make_analysis(chest, lobe_scores=())
    assert repr(alone).startswith("Analysis('case01', no CTSS, ")


class Elements(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.images, self.tags = [], [], set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "img":
            self.images.append(dict(attrs))
        else:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.slow
def test_notebook_shows_card_and_picture_and_escapes_texts(factory):
    chest = factory.make_chest((10, 24, 32))
    analysis = factory.make_diagnosed(chest, factory.make_volume(chest.hu, name="<script>alert('x')</script>"))
    for shown in (analysis, ClassifiedCt.of(analysis)):
        text = shown._repr_html_()
        elements = Elements()
        elements.feed(text)
        assert elements.open == []
        assert elements.tags == {"div", "strong", "pre", "img", "p", "small"}
        (image,) = elements.images
        assert image["src"].startswith("data:image/png;base64,iVBORw0KGgo")
        assert "&lt;script&gt;" in text
        assert "color:#" not in text
        assert "http" not in text
    assert f"CTSS {analysis.ctss}" in analysis._repr_html_()


@pytest.mark.slow
@pytest.mark.parametrize("with_ct", [True, False])
def test_saved_analysis_is_loaded_whole(analysis, tmp_path, with_ct):
    written = analysis.save(tmp_path / "new" / "folder", with_ct=with_ct)
    names = [path.name for path in written]
    assert names[-1] == "report.json"
    page = {"classification.png"} if analysis.classification is None else set()
    assert set(names) == set(OUTPUT_NAMES) - {"classification.json", "report.pdf", "thumbnail.jpg", "case.json"} - page
    again = Analysis.load(tmp_path / "new" / "folder", None if with_ct else analysis.volume)
    assert again == analysis
    assert type(next(iter(again.side_voxels))) is type(next(iter(analysis.side_voxels)))
    assert not any(array.flags.writeable for array in arrays_in(again))
    assert json.dumps(build_report(again)) == json.dumps(build_report(analysis))


@pytest.mark.slow
def test_saved_files_are_those_of_the_command(diagnosed, tmp_path):
    (tmp_path / "written").mkdir()
    write_results(diagnosed, tmp_path / "written")
    for path in diagnosed.save(tmp_path / "saved"):
        if path.name != "analysis.npz":
            assert path.read_bytes() == (tmp_path / "written" / path.name).read_bytes()


@pytest.mark.slow
def test_ct_that_is_missing_or_another_is_named(diagnosed, tmp_path, factory):
    diagnosed.save(tmp_path, with_ct=False)
    with pytest.raises(InputError, match="saved without its CT"):
        Analysis.load(tmp_path)
    with pytest.raises(InputError, match="voxels of this CT are not those analysed"):
        Analysis.load(tmp_path, dataclasses.replace(diagnosed.volume, hu=changed(diagnosed.volume.hu)))


@pytest.mark.slow
def test_later_run_removes_the_analysis_of_an_earlier_one(diagnosed, tmp_path):
    diagnosed.save(tmp_path)
    write_results(diagnosed, tmp_path)
    with pytest.raises(InputError, match=r"holds no analysis\.npz; Analysis\.save writes one"):
        Analysis.load(tmp_path)


@pytest.fixture(scope="module")
def saved_once(diagnosed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    diagnosed.save(folder)
    return folder


@pytest.fixture
def saved(saved_once, tmp_path):
    """A folder of an analysis with a diagnosis, to be spoilt."""
    return shutil.copytree(saved_once, tmp_path / "saved")


def other_format(content):
    return json.dumps(json.loads(content) | {"format": 999})


def without_a_field(content):
    values = json.loads(content)
    del values["analysis"]["lobes"]
    return json.dumps(values)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (other_format, "format 999; this version reads format 1"),
        (without_a_field, "damaged"),
        (lambda content: content[:-9], "damaged"),
        (lambda content: "[]", "damaged"),
    ],
)
def test_file_of_something_else_is_refused(saved, spoil, message):
    with np.load(saved / "analysis.npz") as archive:
        arrays = dict(archive)
    arrays["content"] = np.array(spoil(arrays["content"].item()))
    np.savez(saved / "analysis.npz", **arrays)
    with pytest.raises(InputError, match=message):
        Analysis.load(saved)


@pytest.mark.slow
@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
def test_file_that_was_cut_short_is_refused(saved, keep):
    path = saved / "analysis.npz"
    content = path.read_bytes()
    path.write_bytes(content[: keep if isinstance(keep, int) else int(keep * len(content))])
    with pytest.raises(InputError, match="damaged"):
        Analysis.load(saved)


@pytest.mark.slow
def test_voxels_that_were_changed_in_the_file_are_refused(saved):
    with np.load(saved / "analysis.npz") as archive:
        arrays = dict(archive)
    np.savez(saved / "analysis.npz", **(arrays | {"hu": changed(arrays["hu"])}))
    with pytest.raises(InputError, match=r"CT in analysis\.npz are not those analysed"):
        Analysis.load(saved)


@pytest.mark.slow
def test_pickles_in_the_file_are_not_run(saved):
    with np.load(saved / "analysis.npz") as archive:
        arrays = dict(archive)
    arrays["hu"] = np.array([{"a": 1}], dtype=object)
    np.savez(saved / "analysis.npz", **arrays)
    with pytest.raises(InputError, match="damaged"):
        Analysis.load(saved)
