"""The one door: what it lists, what it loads, and everything that a new user hands to it first."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk

import CovidSeverityLib
from CovidSeverityLib import AnalysisConfig, CtVolume, InputError, NoLungsError, analyze, api, classify, pipeline
from CovidSeverityLib.classification.description import NetworkDescription

HEAVY = ("pydicom", "nibabel", "SimpleITK", "scipy", "requests", "matplotlib", "tensorflow", "psutil", "rich")
HEAVY += ("platformdirs", "numpy", "slicerio")
TURNED = (0.0, -1.0, 0.0, 0.0, 0.0, 1.0, -1.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def ct(phantom_of):
    """A chest of 36 slices: an analysis takes half a second."""
    return phantom_of(1, shape=(36, 64, 64), spacing_mm=(6.0, 6.0, 8.8)).volume


@pytest.fixture(scope="module")
def analysis(ct):
    return pipeline.analyze(ct)


@pytest.fixture(scope="module")
def ct_file(ct, tmp_path_factory):
    path = tmp_path_factory.mktemp("ct") / "ct.nii.gz"
    sitk.WriteImage(ct.to_image(), str(path))
    return path


def assert_same_result(first, second):
    for name in ("lungs", "lobes", "infection"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert first.lobe_scores == second.lobe_scores


def loaded_by(code: str) -> set[str]:
    """Which of the heavy packages are loaded after ``code``, in a process of its own."""
    report = f"import sys\n{code}\nprint('loaded:', *[name for name in {HEAVY} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return set(run.stdout.rpartition("loaded:")[2].split())


@pytest.mark.slow
def test_import_loads_nothing_heavy_and_a_name_loads_what_it_needs():
    assert loaded_by("import CovidSeverityLib; CovidSeverityLib.__version__") == set()
    needed = loaded_by("from CovidSeverityLib import analyze")
    assert needed >= {"numpy", "SimpleITK"}
    assert not needed & {"matplotlib", "tensorflow", "nibabel", "rich", "platformdirs", "psutil", "slicerio"}


def test_help_and_version_of_the_command_line_load_nothing_heavy():
    code = "from CovidSeverityLib.__main__ import main\n"
    code += "try:\n    main([{!r}])\nexcept SystemExit as end:\n    assert not end.code"
    assert loaded_by(code.format("--help")) == set()
    assert loaded_by(code.format("--version")) == set()


def test_package_gives_the_names_of_the_door():
    assert sorted(api.__all__) == api.__all__
    assert CovidSeverityLib.__all__ is api.__all__
    assert {*api.__all__, "__version__"} <= set(dir(CovidSeverityLib))
    assert all(getattr(CovidSeverityLib, name) is getattr(api, name) for name in api.__all__)
    names: dict = {}
    exec("from CovidSeverityLib import *", names)
    assert set(api.__all__) <= set(names)


@pytest.mark.parametrize("name", ["no_such_name", "_private", "sitk", "os"])
def test_package_gives_nothing_else(name):
    with pytest.raises(AttributeError, match=f"no attribute '{name}'"):
        getattr(CovidSeverityLib, name)


@pytest.mark.slow
def test_path_image_and_volume_give_the_same(ct, ct_file, analysis):
    assert_same_result(analyze(ct_file), analysis)
    assert_same_result(analyze(str(ct_file)), analysis)
    assert_same_result(analyze(sitk.ReadImage(str(ct_file))), analysis)
    assert_same_result(analyze(ct), analysis)


@pytest.mark.slow
def test_profile_by_its_name(ct):
    by_name = analyze(ct, "reference")
    assert by_name.provenance.profile == "reference"
    assert_same_result(by_name, analyze(ct, config=AnalysisConfig.for_profile("reference")))


@pytest.mark.slow
def test_stages_of_a_file_are_told_from_reading_on(ct_file):
    stages = []
    analyze(ct_file, progress=lambda stage, done, total: stages.append(stage))
    assert list(dict.fromkeys(stages)) == ["read", "lungs", "lobes", "infection", "scores"]


def test_what_is_no_ct_is_named_with_what_would_be_right(ct):
    with pytest.raises(TypeError, match=r"type ndarray; a path, .* CtVolume is needed; CtVolume\.from_array\(hu"):
        analyze(ct.hu)
    with pytest.raises(TypeError, match=r"type NoneType; a path, a SimpleITK\.Image or a CtVolume is needed$"):
        analyze(None)
    with pytest.raises(TypeError, match="config is of type dict; an AnalysisConfig or the name of a profile"):
        analyze(ct, {"profile": "default"})
    with pytest.raises(InputError, match="no profile 'fast'; there are default and reference"):
        analyze(ct, config="fast")
    with pytest.raises(InputError, match="no such file or folder"):
        analyze("no-such-file.nii.gz")


class Flat:
    """A classifier that finds every slice to be the same."""

    name, sha256, description = "flat", "0" * 64, NetworkDescription()

    def __call__(self, images):
        return np.tile(np.float32([0.1, 0.2, 0.7]), (len(images), 1))

    def explain(self, images, diagnoses):
        return np.ones((len(images), 2, 2), np.float32)


@pytest.mark.slow
def test_classify_takes_the_same(ct, ct_file):
    expected = pipeline.classify(ct, Flat())
    for given in (ct, ct_file, sitk.ReadImage(str(ct_file))):
        found = classify(given, Flat())
        assert found.diagnosis == expected.diagnosis
        np.testing.assert_array_equal(found.lungs, expected.lungs)


@pytest.mark.parametrize("function", [analyze, classify])
def test_classifier_by_its_name_is_looked_for_in_the_store(function, ct):
    with pytest.raises(InputError, match="no-such-model"):
        function(ct, classifier="no-such-model")


def test_array_becomes_the_volume_that_a_file_gives(ct):
    made = CtVolume.from_array(ct.hu.astype(np.float64), ct.geometry.spacing_mm, ct.geometry.origin_mm, name="mine")
    np.testing.assert_array_equal(made.hu, ct.hu)
    assert made.hu.dtype == np.int16
    assert made.geometry == ct.geometry
    assert made.name == "mine"


def test_array_is_checked_as_a_file_is(ct):
    raised = CtVolume.from_array(ct.hu + np.int16(1024), (6.0, 6.0, 8.8))
    np.testing.assert_array_equal(raised.hu, ct.hu)
    assert [note.code for note in raised.notes] == ["hu_offset_repaired"]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"hu": np.zeros((4, 5), np.int16)}, InputError, r"shape \(4, 5\) was given; a 3-D volume \(K, J, I\)"),
        ({"hu": np.full((8, 8, 8), "a")}, InputError, "of type <U1; integers or floats are needed"),
        ({"hu": np.full((8, 8, 8), -1000)}, NoLungsError, "nothing but air"),
        ({"hu": np.random.default_rng(0).integers(0, 255, (20, 40, 40))}, InputError, "Hounsfield units is needed"),
        ({"spacing_mm": (6.0, 8.8)}, InputError, r"spacing is \(6.0, 8.8\) mm; three numbers"),
        ({"spacing_mm": (0.006, 0.006, 0.0088)}, InputError, "edges of 0.1 to 20 mm are needed"),
        ({"spacing_mm": (6.0, 6.0, -8.8)}, InputError, "three positive numbers are needed"),
        ({"origin_mm": (0.0, 0.0)}, InputError, r"origin is \(0.0, 0.0\) mm; three numbers"),
        ({"direction": np.ones((3, 3))}, InputError, "columns must be unit vectors"),
    ],
)
def test_array_that_is_no_ct_is_refused(ct, change, error, message):
    with pytest.raises(error, match=message):
        CtVolume.from_array(**({"hu": ct.hu, "spacing_mm": (6.0, 6.0, 8.8)} | change))


@pytest.mark.parametrize("permutation", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("flips", [(False, False, False), (True, False, True)])
def test_image_in_any_order_comes_back_in_its_place(ct, permutation, flips):
    image = sitk.Flip(sitk.PermuteAxes(ct.to_image(), permutation), flips)
    made = CtVolume.from_image(image)
    np.testing.assert_array_equal(made.hu, ct.hu)
    mask = (ct.hu > 0).astype(np.uint8)
    back = made.to_image(mask)
    assert (back.GetSize(), back.GetSpacing()) == (image.GetSize(), image.GetSpacing())
    assert (back.GetOrigin(), back.GetDirection()) == (image.GetOrigin(), image.GetDirection())
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(image) > 0)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(made.to_image()), sitk.GetArrayFromImage(image))


def test_image_turned_in_space_keeps_its_geometry(ct):
    image = ct.to_image()
    image.SetDirection(TURNED)
    assert CtVolume.from_image(image).to_image().GetDirection() == TURNED


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (sitk.Image(32, 32, sitk.sitkInt16), "2-D image"),
        (sitk.Image([8, 8, 8], sitk.sitkVectorInt16, 3), "3 numbers a voxel"),
        (sitk.Image([8, 8, 8], sitk.sitkComplexFloat32), "complex"),
        (sitk.Image([8, 8, 8, 2], sitk.sitkInt16), "4-D image"),
        (sitk.Image([8, 8, 8, 1], sitk.sitkInt16), "4 dimensions; a 3-D image is needed"),
    ],
)
def test_image_that_is_no_volume_is_refused(image, message):
    with pytest.raises(InputError, match=message):
        CtVolume.from_image(image)


def test_mask_of_another_shape_has_no_place(ct):
    with pytest.raises(ValueError, match="does not match the CT"):
        ct.to_image(np.zeros((2, 2, 2), np.uint8))
