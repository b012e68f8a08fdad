"""Bad input at the command line: exit status 2, one clear sentence, nothing written."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from CovidSeverityLib import analysis_request
from CovidSeverityLib.evaluation.synthetic.phantom import make_phantom
from CovidSeverityLib.reporting import build_report

MR_CLASS = "1.2.840.10008.5.1.4.1.1.4"
CR_CLASS = "1.2.840.10008.5.1.4.1.1.1"
DX_CLASS = "1.2.840.10008.5.1.4.1.1.1.1"
PIXELS, STEP_MM = {"PixelSpacing": [3, 3]}, 4.4
"""In-plane spacing and slice distance of the coarse phantom."""


@pytest.fixture
def refused(program, tmp_path, recwarn) -> Callable[..., str]:
    """A function that analyses what must be refused, and returns the sentence."""

    def run(source: Path, *options: object) -> str:
        status, out, err = program("analyze", source, "-o", tmp_path / "OUT" / "deep", *options)
        assert status == 2, err
        assert out == ""
        assert err.startswith("covid-severity: ")
        assert err.count("\n") == 1
        assert err.endswith("\n")
        assert "Traceback" not in err
        assert not (tmp_path / "OUT").exists()
        assert not recwarn.list
        return err.removeprefix("covid-severity: ").strip()

    return run


@pytest.fixture
def save(coarse_phantom, tmp_path) -> Callable[..., Path]:
    """A function that writes an array on the grid of the chest, or on another one."""
    geometry = coarse_phantom.volume.geometry

    def write(array, name="image.nii.gz", *, spacing=geometry.spacing_mm, origin=geometry.origin_mm, direction=None):
        image = sitk.GetImageFromArray(np.asarray(array), isVector=np.ndim(array) == 4)
        if image.GetDimension() == 3:
            image.SetSpacing(spacing)
            image.SetOrigin(origin)
        if direction is not None:
            image.SetDirection(direction)
        sitk.WriteImage(image, str(tmp_path / name))
        return tmp_path / name

    return write


def coordinates(shape, spacing_mm):
    """Distances from the middle, mm, along (K, J, I), ready to broadcast."""
    axes = [(np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(shape, spacing_mm[::-1], strict=True)]
    return np.meshgrid(*axes, indexing="ij", sparse=True)


def ellipsoid(grid, centre, radii):
    return sum(((x - c) / r) ** 2 for x, c, r in zip(grid, centre, radii, strict=True)) <= 1


def noisy(hu, seed=0):
    return np.clip(np.rint(hu + np.random.default_rng(seed).normal(0, 15, hu.shape)), -1024, 3071).astype(np.int16)


HEAD_MM, ABDOMEN_MM = (3.0, 3.0, 4.0), (4.0, 4.0, 5.0)


def a_head():
    """Scalp, skull and brain; sinuses, mastoid cells, mouth and windpipe hold air."""
    shape = (56, 80, 80)
    grid, hu = coordinates(shape, HEAD_MM), np.full(shape, -1000.0)
    hu[ellipsoid(grid, (-90, 20, 0), (90, 50, 50))] = 45
    for value, centre, radii in (
        (40, (10, 0, 0), (105, 98, 78)),
        (900, (15, 5, 0), (85, 88, 70)),
        (35, (15, 5, 0), (78, 81, 63)),
        (-1000, (-40, -55, 0), (10, 40, 18)),
        (-1000, (-60, -5, 0), (60, 9, 11)),
    ):
        hu[ellipsoid(grid, centre, radii)] = value
    for side in (-1, 1):
        hu[ellipsoid(grid, (-25, -65, 25 * side), (18, 16, 14))] = -1000
        hu[ellipsoid(grid, (10, 35, 55 * side), (14, 12, 9))] = -600
    return noisy(hu)


def an_abdomen():
    """Fat, organs, spine and liver; bowel with gas and with stool."""
    shape, random = (50, 96, 96), np.random.default_rng(1)
    grid, hu = coordinates(shape, ABDOMEN_MM), np.full(shape, -1000.0)
    _, j, i = grid
    hu[np.broadcast_to((j / 115) ** 2 + (i / 165) ** 2 <= 1, shape)] = -100
    hu[np.broadcast_to((j / 95) ** 2 + (i / 140) ** 2 <= 1, shape)] = 45
    hu[np.broadcast_to((j - 60) ** 2 + i**2 < 18**2, shape)] = 400
    hu[ellipsoid(grid, (70, -10, -60), (70, 70, 70))] = 65
    for _ in range(20):
        centre = random.uniform((-90, -70, -90), (90, 20, 90))
        hu[ellipsoid(grid, centre, random.uniform(10, 35, 3))] = -1000
    for _ in range(4):
        hu[ellipsoid(grid, random.uniform((-90, -50, -100), (90, 40, 100)), (40, 22, 22))] = -300
    return noisy(hu)


def test_missing_input_is_named_as_it_was_given(refused, tmp_path):
    assert refused(tmp_path / "nope.nii.gz") == f"no such file or folder: {tmp_path / 'nope.nii.gz'}"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes among files")
def test_pipe_is_refused_instead_of_waited_for(refused, tmp_path):
    os.mkfifo(tmp_path / "ct.nii")
    assert refused(tmp_path / "ct.nii") == (
        "the file or folder ct.nii is a pipe; a file that can be read twice is needed"
    )


def test_empty_path_is_not_the_current_folder(refused, program):
    assert refused("") == "the path of the file or folder is empty"
    status, out, err = program("analyze", "ct.nii.gz", "-o", "")
    assert (status, out) == (2, "")
    assert err.startswith("covid-severity: ")


@pytest.mark.skipif(os.name == "nt", reason="Windows paths are UTF-16")
def test_path_that_is_not_utf8_is_refused_before_it_ends_the_process(refused, chest_folder, tmp_path):
    strange = Path(os.fsdecode(os.fsencode(tmp_path) + b"/ct\xff.nii.gz"))
    try:
        shutil.copy(chest_folder / "ct.nii.gz", strange)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert r"is not UTF-8" in refused(strange)


def test_folders_without_ct_are_refused(refused, tmp_path):
    (tmp_path / "bare").mkdir()
    assert refused(tmp_path / "bare") == "the folder bare is empty; DICOM files of a chest CT are needed"
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "notes.dcm").write_text("hello\n" * 100)
    assert refused(tmp_path / "texts") == "the folder texts holds no DICOM images; those of a chest CT are needed"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("text.nii.gz", "text.nii.gz is not a NIfTI file"),
        ("text.nii", "text.nii is not a NIfTI file"),
        ("text.nrrd", "text.nrrd is not an NRRD file"),
        ("text.mha", "text.mha is not a MetaImage file"),
        ("text.txt", "text.txt is neither DICOM nor one of .nii, .nii.gz, .nrrd"),
    ],
)
def test_text_file_is_refused_whatever_it_is_called(refused, tmp_path, name, expected):
    (tmp_path / name).write_text("hello world\n" * 50)
    assert refused(tmp_path / name).startswith(expected)


@pytest.mark.parametrize("ending", ["nii.gz", "nii", "nrrd", "mha"])
def test_truncated_file_is_refused(refused, save, coarse_phantom, ending):
    whole = save(coarse_phantom.volume.hu, f"whole.{ending}")
    cut = whole.with_name(f"cut.{ending}")
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    sentence = refused(cut)
    assert sentence.startswith(f"cut.{ending}")
    assert "cut short" in sentence or "damaged" in sentence


def test_truncated_dicom_file_is_refused_by_its_name(refused, write_series, coarse_phantom, tmp_path):
    files = write_series(tmp_path / "scan", coarse_phantom.volume.hu, lambda k: PIXELS, step_mm=STEP_MM)
    files[7].write_bytes(files[7].read_bytes()[:9000])
    assert "007.dcm is cut short" in refused(tmp_path / "scan")


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"Modality": "MR", "SOPClassUID": MR_CLASS}, "the DICOM image is MR; a chest CT is needed"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "is a projection (a localizer or a radiograph)"),
        ({"Modality": "CR", "SOPClassUID": CR_CLASS}, "is a projection (a localizer or a radiograph)"),
        ({"Modality": "DX", "SOPClassUID": DX_CLASS}, "is a projection (a localizer or a radiograph)"),
    ],
)
def test_other_dicom_images_are_refused(refused, write_series, coarse_phantom, tmp_path, tags, expected):
    write_series(tmp_path / "scan", coarse_phantom.volume.hu[:3], lambda k: PIXELS | tags)
    assert expected in refused(tmp_path / "scan")


def test_images_that_are_no_axial_slice_are_refused(refused, save, coarse_phantom):
    hu = coarse_phantom.volume.hu
    assert "holds a 2-D image (128 x 128); a 3-D volume is needed" in refused(save(hu[20], "plane.nii.gz"))
    for name, hu_of_slice in (("coronal.nrrd", hu[:, 60:61]), ("sagittal.nrrd", hu[:, :, 40:41])):
        assert "a single slice that is not axial was given" in refused(save(hu_of_slice, name))
    assert "holds a 2-D image" in refused(save(hu[20:21, 60:61], "row.nrrd"))


def test_time_series_and_colours_are_refused(refused, save, coarse_phantom, tmp_path):
    volume = sitk.GetImageFromArray(coarse_phantom.volume.hu)
    sitk.WriteImage(sitk.JoinSeries([volume, volume]), str(tmp_path / "4d.nii.gz"))
    sentence = refused(tmp_path / "4d.nii.gz")
    assert sentence == "4d.nii.gz holds a 4-D image (128 x 128 x 72 x 2); one 3-D volume is needed"
    grey = np.zeros((*coarse_phantom.volume.hu.shape, 3), np.uint8)
    assert "holds 3 numbers a voxel (128 x 128 x 72); one is needed" in refused(save(grey, "rgb.mha"))


def test_head_and_abdomen_have_no_lungs(refused, save):
    assert "no lungs found in head.nii.gz" in refused(save(a_head(), "head.nii.gz", spacing=HEAD_MM))
    assert "no lungs found in belly.nii.gz" in refused(save(an_abdomen(), "belly.nii.gz", spacing=ABDOMEN_MM))


@pytest.mark.slow
def test_slices_below_and_at_the_bases_of_the_lungs_are_refused(refused, save):
    chest = make_phantom(0, shape=(53, 96, 96), spacing_mm=(4.0, 4.0, 6.0))
    first = int(np.flatnonzero((chest.lungs > 0).any(axis=(1, 2)))[0])
    for slices, sentence in ((first, "no lungs found"), (first + 10, "shows only the lower part of the lungs")):
        assert sentence in refused(save(chest.volume.hu[:slices], spacing=(4.0, 4.0, 6.0)))


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("air", noisy(np.full((30, 64, 64), -1000.0)), "nothing but air"),
        ("padding", np.full((30, 64, 64), -1024, np.int16), "every voxel is -1024"),
        ("zeros", np.zeros((30, 64, 64), np.int16), "every voxel is 0: the volume holds no image"),
        ("water", np.full((30, 64, 64), 40, np.int16), "every voxel is 40: the volume holds no image"),
        ("noise", np.random.default_rng(0).integers(-1024, 1024, (30, 64, 64)).astype(np.int16), "with peaks at"),
    ],
)
def test_volumes_without_anatomy_are_refused(refused, save, name, values, expected):
    assert expected in refused(save(values, f"{name}.nii.gz"))


def test_volume_without_a_number_is_refused(refused, save):
    assert "no voxel holds a finite number" in refused(save(np.full((8, 16, 16), np.nan, np.float32), "nan.nrrd"))


def test_pictures_of_a_ct_are_refused(refused, save, coarse_phantom):
    hu = coarse_phantom.volume.hu.astype(float)
    picture = np.clip((hu + 1000) / 1400 * 255, 0, 255).astype(np.uint8)
    assert "the values run from 0 to 255" in refused(save(picture, "window.nii.gz"))
    scaled = ((hu + 1024) / 4095).astype(np.float32)
    assert "a chest CT in Hounsfield units is needed" in refused(save(scaled, "scaled.nii.gz"))


@pytest.mark.slow
@pytest.mark.parametrize(("offset", "word"), [(1024, "high"), (-1024, "low")])
def test_offset_of_the_intercept_is_repaired_with_a_warning(
    program, save, coarse_phantom, coarse_analysis, tmp_path, offset, word
):
    raw = save(coarse_phantom.volume.hu + np.int16(offset), "raw.nii.gz")
    status, out, err = program("analyze", raw, "-o", tmp_path / "repaired", "--json", "--quiet")
    assert (status, err) == (0, "")
    repaired, plain = json.loads(out), build_report(coarse_analysis)
    for key in ("ctss", "lungs", "infection", "well_aerated_percent"):
        assert repaired[key] == plain[key]
    (note,) = [n for n in repaired["quality"] if n["code"] == "hu_offset_repaired"]
    assert note["severity"] == "warning"
    assert f"1024 too {word}" in note["message"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"shift": (3.0, 0.0, 0.0)}, "its position is"),
        ({"spacing": (3.0, 3.0, 5.0)}, "its spacing is (3, 3, 5) mm, (3, 3, 4.4) mm is needed"),
        ({"slices": 71}, "its size is (128, 128, 71) voxels, (128, 128, 72) voxels is needed"),
        ({"direction": (-1, 0, 0, 0, 1, 0, 0, 0, 1)}, "its position is"),
        (
            {"direction": (-1, 0, 0, 0, 1, 0, 0, 0, 1), "shift": (381.0, 0.0, 0.0)},
            "its labels or its geometry are swapped",
        ),
    ],
)
def test_lung_mask_of_another_geometry_is_refused(refused, save, chest_folder, coarse_phantom, change, expected):
    geometry = coarse_phantom.volume.geometry
    mask = save(
        coarse_phantom.lungs[: change.get("slices")],
        "mask.nii.gz",
        spacing=change.get("spacing", geometry.spacing_mm),
        origin=tuple(np.add(geometry.origin_mm, change.get("shift", 0.0))),
        direction=change.get("direction"),
    )
    sentence = refused(chest_folder / "ct.nii.gz", "--lungs", mask)
    assert "mask.nii.gz" in sentence
    assert expected in sentence


@pytest.mark.parametrize(
    ("relabel", "expected"),
    [
        (lambda p: p.lungs * np.uint8(0), "has the labels none; expected 1 (right) and 2 (left)"),
        (lambda p: p.lobes, "has the labels 1, 2, 3, 4, 5; expected 1 (right) and 2 (left)"),
        (lambda p: np.array([0, 2, 1], np.uint8)[p.lungs], "has its right lung on the patient's left"),
        (lambda p: p.lungs * np.float32(0.5), "holds fractions (a probability map?)"),
        (lambda p: -p.lungs.astype(np.int16), "runs from -2 to 0; labels from 0 on are needed"),
        (lambda p: (p.volume.hu > 0).astype(np.uint8), "does not lie on the lungs of this CT"),
        (lambda p: np.ones(p.lungs.shape, np.uint8), "ml; lungs of 300 to 12000 ml are expected"),
        (lambda p: np.roll(p.lungs, 45, axis=1), "does not lie on the lungs of this CT"),
    ],
)
def test_lung_mask_of_other_labels_is_refused(refused, save, chest_folder, coarse_phantom, relabel, expected):
    mask = save(relabel(coarse_phantom), "mask.nii.gz")
    assert expected in refused(chest_folder / "ct.nii.gz", "--lungs", mask)


@pytest.mark.parametrize(
    ("lookup", "expected"),
    [
        ((0, 1, 2, 3, 4, 5), "has the right upper lobe on the patient's left of the left lower lobe"),
        ((0, 20, 40, 60, 80, 100), "has the labels 20, 40, 60, 80, 100; expected 1-5 as from lungmask's LTRCLobes"),
        ((0, 5, 4, 3, 2, 1), "its labels or its geometry are"),
    ],
)
def test_lobe_mask_of_other_labels_is_refused(refused, save, chest_folder, coarse_phantom, lookup, expected):
    mask = save(np.array(lookup, np.uint8)[coarse_phantom.lobes], "mask.nii.gz")
    assert expected in refused(chest_folder / "ct.nii.gz", "--lobes", mask)


def test_missing_mask_is_found_out_before_the_ct_is_read(refused, chest_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(analysis_request, "read_ct_and_source", lambda *a, **k: pytest.fail("the CT was read"))
    for option, what in (("--lungs", "lung"), ("--lobes", "lobe")):
        sentence = refused(chest_folder / "ct.nii.gz", option, tmp_path / "nope.nii")
        assert sentence == f"no such {what} mask: {tmp_path / 'nope.nii'}"
    assert refused(chest_folder / "ct.nii.gz", "--lungs", "") == "the path of the lung mask is empty"


def test_options_that_do_not_fit_are_refused(refused, chest_folder):
    ct = chest_folder / "ct.nii.gz"
    assert refused(ct, "--profile", "best") == "no profile 'best'; there are default and reference"
    sentence = refused(ct, "--profile", "reference", "--lobes", chest_folder / "lobes.nii.gz")
    assert sentence.startswith("--lobes cannot be used with --profile reference")
    assert "a series is chosen in a DICOM folder only" in refused(ct, "--series", "1.2.3")


@pytest.mark.slow
def test_missing_slices_are_refused_unless_forced(refused, program, write_series, coarse_phantom, tmp_path):
    files = write_series(tmp_path / "scan", coarse_phantom.volume.hu, lambda k: PIXELS, step_mm=STEP_MM)
    for file in files[20:22]:
        file.unlink()
    assert "2 slices are missing" in refused(tmp_path / "scan")
    status, out, err = program("analyze", tmp_path / "scan", "-o", tmp_path / "forced", "--force")
    assert (status, err) == (0, "")
    assert "Warning: 2 missing slices were interpolated" in out


def test_unknown_series_is_refused_with_a_list_of_those_there(refused, write_series, coarse_phantom, tmp_path):
    write_series(tmp_path / "scan", coarse_phantom.volume.hu[:5], lambda k: PIXELS)
    sentence = refused(tmp_path / "scan", "--series", "2.25.9")
    assert "no CT series 2.25.9; there is 2.25.1 (Chest 2.0, 5 slices)" in sentence


def test_refusal_of_a_chosen_series_names_the_choice(refused, write_series, coarse_phantom, tmp_path):
    write_series(tmp_path / "scan" / "a", a_head(), lambda k: {"PixelSpacing": [3, 3], "SeriesDescription": "Head"})
    write_series(tmp_path / "scan" / "b", coarse_phantom.volume.hu[:40], lambda k: PIXELS, uid="2.25.2")
    sentence = refused(tmp_path / "scan")
    assert "no lungs found in scan" in sentence
    assert "2 CT series" in sentence
    assert "2.25.1 (56 slices)" in sentence
    assert "--series chooses another" in sentence


@pytest.mark.parametrize("blocked", ["file", "file/below", "folder"])
def test_output_folder_that_cannot_be_written_is_found_out_before_the_work(
    program, chest_folder, tmp_path, monkeypatch, blocked
):
    monkeypatch.setattr(analysis_request, "read_ct_and_source", lambda *a, **k: pytest.fail("the CT was read"))
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder" / "report.json").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    status, out, err = program("analyze", chest_folder / "ct.nii.gz", "-o", tmp_path / blocked)
    assert (status, out) == (2, "")
    assert err.startswith(f"covid-severity: cannot write results to {tmp_path / blocked}: ")
    assert err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_output_folder_without_permission_is_refused(program, chest_folder, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o555)
    status, _, err = program("analyze", chest_folder / "ct.nii.gz", "-o", tmp_path / "locked" / "out")
    assert status == 2
    assert "no permission to write there" in err
