"""Lobes by a program of the user: real child processes, whose "network" is the truth of a synthetic chest."""

from __future__ import annotations

import json
import pickle
import sys
import threading
import time
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import psutil
import pytest

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.masks import read_mask
from CovidSeverityLib.io.reading import read_ct
from CovidSeverityLib.metrics import MaskAgreement
from CovidSeverityLib.segmentation.lobes.command_engine import (
    PRESETS,
    LobeCommand,
    lobe_command_from,
    read_lobe_command,
)
from CovidSeverityLib.types import Lobe

SEGMENTER = """
import sys, pathlib
import SimpleITK as sitk
how, truth, given, output = sys.argv[1:]
ct, lobes, output = sitk.ReadImage(given), sitk.ReadImage(truth), pathlib.Path(output)
assert ct.GetSize() == lobes.GetSize() and sitk.GetArrayFromImage(ct).min() < -900
if how == "fails":
    print("loading"); print("no weights\\n", file=sys.stderr); sys.exit(3)
if how == "hangs":
    import subprocess, time
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    pathlib.Path(truth).with_name("child.txt").write_text(str(child.pid))
    time.sleep(600)
if how == "flips":  # another order of the axes, and voxels of another size: the places are the same
    lobes = sitk.DICOMOrient(lobes, "ASR")
    spacing = [0.8 * mm for mm in lobes.GetSpacing()]
    size = [int(n / 0.8) for n in lobes.GetSize()]
    place = (lobes.GetOrigin(), spacing, lobes.GetDirection())
    lobes = sitk.Resample(lobes, size, sitk.Transform(), sitk.sitkNearestNeighbor, *place)
if how == "swaps":  # left for right, as a program writes that loses the direction
    lobes = sitk.Flip(lobes, [True, False, False], True)
    lobes = sitk.GetImageFromArray(sitk.GetArrayFromImage(lobes)); lobes.CopyInformation(ct)
if how == "folder":
    output.mkdir()
    for label in range(1, 6):
        sitk.WriteImage(sitk.Cast(lobes == label, sitk.sitkUInt8), str(output / f"lobe {label}.nii.gz"))
elif how != "nothing":
    sitk.WriteImage(lobes, str(output) + ".nii.gz")
"""


@pytest.fixture
def segmenter(tmp_path, chest_folder):
    """``segmenter(how, **changes)``: a program that knows the truth, and writes it in some way."""
    script = tmp_path / "a segmenter.py"
    script.write_text(SEGMENTER, encoding="utf-8")
    truth = tmp_path / "truth.nii.gz"
    truth.write_bytes((chest_folder / "lobes.nii.gz").read_bytes())

    def make(how, **changes):
        folder = how == "folder"
        lobes = {lobe: f"lobe {lobe.value}.nii.gz" if folder else lobe.value for lobe in Lobe}
        words = (sys.executable, str(script), how, str(truth), "{input}", "{output}")
        return replace(LobeCommand("Segmenter", words, MappingProxyType(lobes)), **changes)

    return make


@pytest.fixture(scope="module")
def chest(chest_folder):
    ct = read_ct(chest_folder / "ct.nii.gz")
    return ct, read_mask(chest_folder / "lobes.nii.gz", ct)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["same", "folder"])
def test_lobes_are_those_that_the_program_wrote(segmenter, chest, how):
    ct, truth = chest
    found = segmenter(how)(ct)
    assert np.array_equal(found.labels, truth)
    assert (found.source, found.approximate) == ("Segmenter", False)


@pytest.mark.slow
def test_result_on_another_grid_comes_to_the_same_places(segmenter, chest):
    """Nearest neighbour of voxels of 0.8 of the size: only surfaces differ, and left is left."""
    ct, truth = chest
    found = segmenter("flips")(ct).labels
    for lobe in Lobe:
        assert MaskAgreement.of(found == lobe, truth == lobe).dice > 0.85


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("fails", "^Segmenter failed with status 3: .*no weights"),
        ("nothing", r"^Segmenter ended without an error, but wrote no file output\*$"),
        ("swaps", "on the patient's left of the .*swapped"),
    ],
)
def test_what_goes_wrong_is_told_in_a_sentence(segmenter, chest, how, sentence):
    with pytest.raises(InputError, match=sentence):
        segmenter(how)(chest[0])


@pytest.mark.slow
def test_program_that_takes_too_long_is_ended_with_its_children(segmenter, chest, tmp_path):
    with pytest.raises(InputError, match="Segmenter was stopped after 4 s, its time limit"):
        segmenter("hangs", limit_s=4.0)(chest[0])
    child = int((tmp_path / "child.txt").read_text())
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


@pytest.mark.slow
def test_stopping_ends_the_program_and_its_children(segmenter, chest, tmp_path):
    """Ctrl-C is a KeyboardInterrupt in the waiting thread."""
    import _thread

    note = tmp_path / "child.txt"

    def stop():
        while not note.exists() or not note.read_text():
            time.sleep(0.05)
        _thread.interrupt_main()

    threading.Thread(target=stop, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        segmenter("hangs")(chest[0])
    child = int(note.read_text())
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


def test_program_that_is_not_installed_is_told_with_how_to_get_it(chest, monkeypatch):
    monkeypatch.setenv("PATH", "")
    for name, word in (("totalsegmentator", "TotalSegmentator"), ("moose", "moosez")):
        with pytest.raises(InputError, match=rf"is not installed \({word} is not found\); pip install {word} gets"):
            PRESETS[name](chest[0])


def test_description_comes_back_from_its_file(tmp_path, segmenter):
    for command in (*PRESETS.values(), segmenter("folder", limit_s=5.0, input="a/ct.nii")):
        (tmp_path / "c.json").write_text(json.dumps(command.as_dict()), encoding="utf-8")
        assert read_lobe_command(tmp_path / "c.json") == command == pickle.loads(pickle.dumps(command))


def test_description_of_the_page_is_one(repository):
    page = (repository / "docs" / "inputs.md").read_text(encoding="utf-8")
    shown = page.partition("```json\n")[2].partition("```")[0]
    assert lobe_command_from(json.loads(shown), "the page").command[0] == r"C:\Tools\segment.exe"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"schema_version": 2}, "schema_version is 2; this program reads 1"),
        ({"color": 1}, "there is no field 'color'"),
        ({"name": None}, "name is None; a text is needed"),
        ({"command": "moosez -d {folder}"}, "a list of texts is needed, the program first"),
        ({"command": []}, "a list of texts is needed"),
        ({"lobes": {"RUL": 1}}, "a label or a file for each of RUL, RML, RLL, LUL, LLL"),
        ({"lobes": {"RUL": 1, "RML": 1, "RLL": 2, "LUL": 3, "LLL": 4}}, "five different labels above 0"),
        ({"lobes": {"RUL": 0, "RML": 1, "RLL": 2, "LUL": 3, "LLL": 4}}, "five different labels above 0"),
        ({"lobes": {"RUL": "a", "RML": 1, "RLL": 2, "LUL": 3, "LLL": 4}}, "five different labels above 0"),
        ({"input": "../ct.nii.gz"}, "input leaves the temporary folder"),
        ({"limit_s": 0}, "limit_s is 0; seconds above 0 are needed"),
        ({"limit_s": True}, "limit_s is True"),
    ],
)
def test_description_that_is_none_is_told(changes, sentence):
    values = {**PRESETS["moose"].as_dict(), **changes}
    with pytest.raises(InputError, match=f"^x.json describes no segmenter: .*{sentence}"):
        lobe_command_from(values, "x.json")


@pytest.mark.slow
def test_command_line_runs_a_described_segmenter(program, segmenter, chest_folder, tmp_path):
    (tmp_path / "mine.json").write_text(json.dumps(segmenter("same").as_dict()), encoding="utf-8")
    options = ("-o", tmp_path / "out", "--lobe-engine", tmp_path / "mine.json", "--no-html")
    run = program("analyze", chest_folder / "ct.nii.gz", *options)
    assert run.status == 0, run.err
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["provenance"]["lobes_from"] == report["provenance"]["lungs_from"] == "Segmenter"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--lobe-engine", "nnunet"), "no lobe engine 'nnunet'; there are default, lungmask, totalsegmentator, moose"),
        (("--lobe-engine", "absent.json"), "absent.json cannot be read: No such file"),
        (("--lobe-engine", "moose", "--lobe-weights", "x.pth"), "--lobe-weights is for --lobe-engine lungmask"),
        (("--lobe-engine", "moose", "--lobes", "x.nii.gz"), "no such"),
        (("--lobe-engine", "moose", "--profile", "reference"), "--lobe-engine cannot be used with --profile reference"),
    ],
)
def test_options_that_do_not_fit_end_with_status_2(program, chest_folder, tmp_path, options, sentence):
    run = program("analyze", chest_folder / "ct.nii.gz", "-o", tmp_path / "out", *options)
    assert (run.status, run.err.count("\n")) == (2, 1)
    assert sentence in run.err
