"""Images of CTs are made once: what is kept, what makes them anew, what fails, and what an interrupt leaves."""

import multiprocessing
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from CovidSeverityLib.classification.diagnosis import diagnose
from CovidSeverityLib.classification.training.cache import CachedImages, cached_images, image_key
from CovidSeverityLib.classification.training.cases import TrainingCase
from CovidSeverityLib.classification.training.preparation import default_jobs, prepare_images
from CovidSeverityLib.errors import CancelledError, CovidSeverityError, OutputError
from CovidSeverityLib.features.classification_image import CLASSIFICATION_IMAGES, PUBLISHED_CLASSIFICATION_IMAGE
from CovidSeverityLib.io.reading import read_ct
from CovidSeverityLib.segmentation.lungs.lung_segmentation import segment_lungs
from CovidSeverityLib.types import Diagnosis

SIZE = 40
IMAGE = PUBLISHED_CLASSIFICATION_IMAGE


@pytest.fixture(scope="module")
def folder(tiny_chest, training_factory, tmp_path_factory):
    """Three CTs."""
    folder = tmp_path_factory.mktemp("cts")
    training_factory.write_patients(tiny_chest, folder, 1)
    return folder / "images"


@pytest.fixture
def cases(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "images")
    return [TrainingCase(f"ct{n}", tmp_path / "images" / f"ct{n}.nii", Diagnosis(n), f"ct{n}") for n in range(3)]


@pytest.fixture
def cache(tmp_path):
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def stop_after(number):
    """A progress function that interrupts the work once ``number`` CTs are done."""

    def progress(_stage, done, _total):
        if done >= number:
            raise KeyboardInterrupt

    return progress


def files(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.fixture(scope="module")
def untouched(folder):
    """The same CTs, for tests that only read them."""
    return [TrainingCase(f"ct{n}", folder / f"ct{n}.nii", Diagnosis(n), f"ct{n}") for n in range(3)]


@pytest.fixture(scope="module")
def made(untouched, tmp_path_factory):
    """Their images, and the folder that holds them."""
    cache = tmp_path_factory.mktemp("made")
    return prepare_images(untouched, IMAGE, SIZE, cache, 1), cache


@pytest.mark.slow
def test_images_are_those_that_a_classifier_is_given(untouched, made):
    seen = []

    def classifier(images):
        seen.append(images)
        return np.full((len(images), 3), 1 / 3, dtype=np.float32)

    volume = read_ct(untouched[1].image)
    diagnose(volume.hu, segment_lungs(volume).labels > 0, classifier, IMAGE, size_px=SIZE)
    images = made[0].images["ct1"]
    np.testing.assert_array_equal(images.read(range(images.count)), np.concatenate(seen))
    np.testing.assert_array_equal(images.read([3, 1]), np.concatenate(seen)[[3, 1]])


@pytest.mark.slow
def test_images_are_made_once(untouched, made):
    calls = []
    first, folder = made
    before = files(folder)
    assert len(before) == 3
    again = prepare_images(untouched, IMAGE, SIZE, folder, 1, lambda *call: calls.append(call))
    assert again == first
    assert files(folder) == before
    assert calls == [("cases", 3, 3)]


@pytest.mark.slow
def test_interrupted_work_goes_on_where_it_was_and_leaves_nothing_half_written(untouched, cache):
    with pytest.raises(CancelledError, match=r"^stopped after the images of 2 of 3 CTs; the same command goes on"):
        prepare_images(untouched, IMAGE, SIZE, cache, 1, stop_after(2))
    assert len(files(cache)) == 2
    assert all(cached_images(path) for path in cache.iterdir())
    calls = []
    prepare_images(untouched, IMAGE, SIZE, cache, 1, lambda *call: calls.append(call))
    assert calls == [("cases", 2, 3), ("cases", 3, 3)]


@pytest.mark.slow
def test_processes_make_the_same_images_and_end_when_they_are_interrupted(untouched, made, cache):
    with pytest.raises(CancelledError):
        prepare_images(untouched, IMAGE, SIZE, cache, 2, stop_after(1))
    assert 1 <= len(files(cache)) < 3
    assert multiprocessing.active_children() == []
    assert all(cached_images(path) for path in cache.iterdir())
    prepare_images(untouched, IMAGE, SIZE, cache, 2)
    assert len(files(cache)) == 3
    for path in cache.iterdir():
        one, two = cached_images(path), cached_images(made[1] / path.name)
        np.testing.assert_array_equal(one.read(range(one.count)), two.read(range(two.count)))


def test_another_image_another_size_and_a_changed_ct_have_another_key(cases, tmp_path):
    keys = {image_key(cases[0], config, SIZE) for config in CLASSIFICATION_IMAGES.values()}
    assert len(keys) == len(CLASSIFICATION_IMAGES)
    keys.add(image_key(cases[0], IMAGE, SIZE + 1))
    keys.add(image_key(cases[1], IMAGE, SIZE))
    os.utime(cases[0].image, ns=(1, 1))
    keys.add(image_key(cases[0], IMAGE, SIZE))
    (tmp_path / "elsewhere").mkdir()
    moved = shutil.copy2(cases[0].image, tmp_path / "elsewhere")
    keys.add(image_key(replace(cases[0], image=Path(moved)), IMAGE, SIZE))
    assert len(keys) == len(CLASSIFICATION_IMAGES) + 4
    assert image_key(cases[0], IMAGE, SIZE) in keys


def test_key_of_a_dicom_folder_and_of_a_header_is_that_of_the_files_behind_it(tmp_path):
    (tmp_path / "dicom").mkdir()
    for path in ("dicom/1.dcm", "ct.mhd", "ct.raw"):
        (tmp_path / path).write_text("1")
    for image, inside in (("dicom", "dicom/1.dcm"), ("ct.mhd", "ct.raw")):
        case = TrainingCase("ct", tmp_path / image, Diagnosis.CAP, "ct")
        before = image_key(case, IMAGE, SIZE)
        (tmp_path / inside).write_text("22")
        assert image_key(case, IMAGE, SIZE) != before


@pytest.mark.slow
def test_file_of_the_cache_that_was_cut_off_is_made_again(untouched, made, cache):
    whole = made[0].images["ct0"]
    cut = cache / whole.path.name
    cut.write_bytes(whole.path.read_bytes()[:-40])
    assert cached_images(cut) is None
    again = prepare_images(untouched[:1], IMAGE, SIZE, cache, 1).images["ct0"]
    assert again.path == cut
    np.testing.assert_array_equal(again.read(range(again.count)), whole.read(range(whole.count)))


def test_failing_cts_are_named_with_their_reasons_and_the_rest_goes_on(cases, cache):
    cases[0].image.write_bytes(b"no image")
    cases[2].image.unlink()
    made = prepare_images(cases, IMAGE, SIZE, cache, 1)
    assert list(made.images) == ["ct1"]
    assert list(made.failures) == ["ct0", "ct2"]
    assert made.failures["ct0"].startswith("ct0.nii ")
    assert made.failures["ct2"] == "ct2.nii cannot be read: No such file or directory"


def test_ct_without_lungs_is_named(cases, cache, tiny_chest):
    body = np.where(tiny_chest.lungs > 0, 40, tiny_chest.volume.hu).astype(np.int16)
    image = sitk.GetImageFromArray(body)
    image.SetSpacing(tiny_chest.volume.geometry.spacing_mm)
    sitk.WriteImage(image, str(cases[0].image))
    assert "lung" in prepare_images(cases[:1], IMAGE, SIZE, cache, 1).failures["ct0"]


def test_cache_that_cannot_be_written_ends_the_run(untouched, tmp_path):
    with pytest.raises(OutputError, match=r"^cannot write images to .*nowhere"):
        prepare_images(untouched, IMAGE, SIZE, tmp_path / "nowhere", 1)


@pytest.mark.slow
def test_process_that_was_killed_is_told(untouched, cache):
    def kill(_stage, done, _total):
        for process in multiprocessing.active_children() if done else ():
            process.kill()

    with pytest.raises(CovidSeverityError, match=r"fewer --jobs goes on with the rest$"):
        prepare_images(untouched, IMAGE, SIZE, cache, 2, kill)
    assert all(cached_images(path) for path in cache.iterdir())


def test_cache_tells_neither_a_path_nor_a_name(untouched, made):
    images = made[0].images["ct0"]
    assert isinstance(images, CachedImages)
    assert "ct0" not in images.path.name
    content = images.path.read_bytes()
    assert b"ct0" not in content
    assert str(untouched[0].image.parent).encode() not in content


def test_jobs_are_at_least_one_and_no_more_than_cores():
    assert 1 <= default_jobs() <= (os.cpu_count() or 1)
