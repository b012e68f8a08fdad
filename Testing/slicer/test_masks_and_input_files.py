"""Lungs and lobes found in segmentations of other modules, and the files that the library reads of them."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from CovidSeverityLib.io.masks import read_mask
from CovidSeverityLib.io.reading import read_ct
from CovidSeverityLib.types import Lobe, Side

pytest.importorskip("slicer")

from CovidSeveritySlicer.analysis.InputFiles import Inputs, UnusableInput
from CovidSeveritySlicer.nodes.Masks import findMasks
from CovidSeveritySlicer.scene.SceneBridge import importResult

pytestmark = pytest.mark.usefixtures("no_vtk_errors")

RIGHT, LEFT, NONE = "SCT^24028007^Right", "SCT^7771000^Left", "^^"
LUNG, UPPER = "SCT^39607008^Lung", "SCT^45653009^Upper lobe of lung"
MIDDLE, LOWER = "SCT^72481006^Middle lobe of right lung", "SCT^90572001^Lower lobe of lung"
LOBES_AS_CODED = {
    "RUL": (UPPER, RIGHT),
    "RML": (MIDDLE, NONE),
    "RLL": (LOWER, RIGHT),
    "LUL": (UPPER, LEFT),
    "LLL": (LOWER, LEFT),
}

TOTAL_SEGMENTATOR = "Segmentation category and type - Total Segmentator"
GENERAL_ANATOMY = "Segmentation category and type - 3D Slicer General Anatomy list"
AUTO3DSEG = "Segmentation category and type - MONAI Auto3DSeg"
STRUCTURE = "SCT^123037004^Anatomical Structure"


def write_inputs(*nodes_and_folder):
    """Write the files at once, and return their arguments."""
    inputs = Inputs(*nodes_and_folder)
    inputs.write()
    return inputs.arguments


def terminology(context, kind, modifier=NONE, region=NONE, category=STRUCTURE):
    return f"{context}~{category}~{kind}~{modifier}~Anatomic codes - DICOM master list~{region}~^^|"


def segmentation_of(slicer, segments):
    """A segmentation with segments of these names, and terminology where it is not None."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    for n, (name, entry) in enumerate(segments):
        node.GetSegmentation().AddEmptySegment(f"s{n}", name)
        segment = node.GetSegmentation().GetSegment(f"s{n}")
        if entry is None:
            segment.RemoveTag(segment.GetTerminologyEntryTagName())
        else:
            segment.SetTag(segment.GetTerminologyEntryTagName(), entry)
    return node


def found_lobes(found):
    return {name: ids for name, ids in found.lobes.items() if ids}


TOTAL_NAMES = {
    "RUL": "lung_upper_lobe_right",
    "RML": "lung_middle_lobe_right",
    "RLL": "lung_lower_lobe_right",
    "LUL": "lung_upper_lobe_left",
    "LLL": "lung_lower_lobe_left",
}
STANDARD_NAMES = {
    "RUL": "superior lobe of right lung",
    "RML": "middle lobe of right lung",
    "RLL": "inferior lobe of right lung",
    "LUL": "superior lobe of left lung",
    "LLL": "inferior lobe of left lung",
}
LUNG_CT_SEGMENTER_NAMES = {
    "RUL": "right upper lobe",
    "RML": "right middle lobe",
    "RLL": "right lower lobe",
    "LUL": "left upper lobe",
    "LLL": "left lower lobe",
}
BLOOD_VESSEL = "SCT^59820001^Blood vessel"
OTHERS = (
    ("heart", terminology(TOTAL_SEGMENTATOR, "SCT^80891009^Heart")),
    ("lung_vessels", terminology(TOTAL_SEGMENTATOR, BLOOD_VESSEL, region="SCT^39607008^Lung")),
    ("lung_nodules", None),
    ("trachea", terminology(GENERAL_ANATOMY, "SCT^44567001^Trachea")),
)


@pytest.mark.parametrize("names", [TOTAL_NAMES, STANDARD_NAMES], ids=["its own names", "standard names"])
@pytest.mark.parametrize("context", [TOTAL_SEGMENTATOR, AUTO3DSEG])
def test_lobes_of_total_segmentator_and_auto3dseg_are_found_by_their_codes(slicer, context, names):
    lobes = [(names[lobe], terminology(context, *codes)) for lobe, codes in LOBES_AS_CODED.items()]
    found = findMasks(segmentation_of(slicer, [*lobes, *OTHERS]))
    assert found_lobes(found) == {lobe: [f"s{n}"] for n, lobe in enumerate(LOBES_AS_CODED)}
    assert found.completeLobes
    assert not found.completeLungs
    assert found.bothLungs == []


def test_lungs_and_lobes_of_lung_ct_segmenter_are_found_by_their_codes(slicer):
    lungs = [
        ("right lung", terminology(GENERAL_ANATOMY, LUNG, RIGHT)),
        ("left lung", terminology(GENERAL_ANATOMY, LUNG, LEFT)),
    ]
    lobes = [
        (LUNG_CT_SEGMENTER_NAMES[lobe], terminology(GENERAL_ANATOMY, *codes)) for lobe, codes in LOBES_AS_CODED.items()
    ]
    found = findMasks(segmentation_of(slicer, [*lungs, *lobes, *OTHERS]))
    assert found.lungs == {"right": ["s0"], "left": ["s1"]}
    assert found_lobes(found) == {lobe: [f"s{n}"] for n, lobe in enumerate(LOBES_AS_CODED, 2)}
    assert found.completeLungs
    assert found.completeLobes


@pytest.mark.parametrize("names", [TOTAL_NAMES, STANDARD_NAMES, LUNG_CT_SEGMENTER_NAMES])
@pytest.mark.parametrize(
    "entry", [None, terminology(GENERAL_ANATOMY, "SCT^85756007^Tissue", category="SCT^85756007^Tissue")]
)
def test_names_tell_where_codes_do_not(slicer, names, entry):
    found = findMasks(segmentation_of(slicer, [*((name, entry) for name in names.values()), *OTHERS]))
    assert found_lobes(found) == {lobe: [f"s{n}"] for n, lobe in enumerate(names)}


@pytest.mark.parametrize("name", ["right lung", "Right Lung", "lung_right", "lung - right"])
def test_a_lung_is_told_by_its_name(slicer, name):
    assert findMasks(segmentation_of(slicer, [(name, None)])).lungs == {"right": ["s0"], "left": []}


@pytest.mark.parametrize("name", ["lungs", "both lungs", "lung left right"])
def test_both_lungs_are_told_by_their_name(slicer, name):
    found = findMasks(segmentation_of(slicer, [(name, None)]))
    assert found.bothLungs == ["s0"]
    assert found.lungs == {"right": [], "left": []}


@pytest.mark.parametrize(
    "name",
    [
        "right lung ventral",
        "right lung upper",
        "lung vessels",
        "upper lobe",
        "left middle lobe",
        "Segment_1",
        "lobe",
        "",
    ],
)
def test_other_names_are_neither_lung_nor_lobe(slicer, name):
    found = findMasks(segmentation_of(slicer, [(name, None)]))
    assert found.lungs == {"right": [], "left": []}
    assert found_lobes(found) == {}
    assert found.bothLungs == []


def test_a_code_is_believed_more_than_a_name(slicer):
    found = findMasks(segmentation_of(slicer, [("left lung", terminology(GENERAL_ANATOMY, LUNG, RIGHT))]))
    assert found.lungs == {"right": ["s0"], "left": []}


def test_a_segment_of_the_lung_that_is_something_else_is_no_lung(slicer):
    infiltrate = terminology(
        TOTAL_SEGMENTATOR,
        "SCT^47351003^Infiltrate",
        region=LUNG,
        category="SCT^49755003^Morphologically Altered Structure",
    )
    assert not findMasks(segmentation_of(slicer, [("right lung", infiltrate)])).completeLungs


@pytest.mark.parametrize(
    ("kind", "modifier", "lobe"),
    [
        ("SCT^42400003^Upper lobe of right lung", NONE, "RUL"),
        ("SCT^266005^Lower lobe of right lung", NONE, "RLL"),
        ("SCT^44714003^Upper lobe of left lung", NONE, "LUL"),
        ("SCT^41224006^Lower lobe of left lung", NONE, "LLL"),
        ("SRT^T-28820^Upper lobe of lung", "SRT^G-A101^Left", "LUL"),
        ("SRT^T-28830^Lower lobe of lung", "SRT^G-A100^Right", "RLL"),
        ("SRT^T-28300^Middle lobe of right lung", NONE, "RML"),
        (MIDDLE, RIGHT, "RML"),
    ],
)
def test_codes_with_the_side_in_them_and_old_codes_are_known(slicer, kind, modifier, lobe):
    found = findMasks(segmentation_of(slicer, [("x", terminology(GENERAL_ANATOMY, kind, modifier))]))
    assert found_lobes(found) == {lobe: ["s0"]}


@pytest.mark.parametrize(
    ("kind", "modifier", "side"),
    [
        ("SCT^3341006^Right lung", NONE, "right"),
        ("SCT^44029006^Left lung", NONE, "left"),
        ("SRT^T-28000^Lung", "SRT^G-A101^Left", "left"),
    ],
)
def test_lungs_by_such_codes(slicer, kind, modifier, side):
    assert findMasks(segmentation_of(slicer, [("x", terminology(GENERAL_ANATOMY, kind, modifier))])).lungs[side] == [
        "s0"
    ]


@pytest.mark.parametrize("modifier", [NONE, "SCT^51440002^Right and left"])
def test_one_segment_for_both_lungs_is_complete(slicer, modifier):
    found = findMasks(segmentation_of(slicer, [("x", terminology(GENERAL_ANATOMY, LUNG, modifier))]))
    assert found.bothLungs == ["s0"]
    assert found.completeLungs


def test_a_lobe_without_a_side_is_not_guessed(slicer):
    found = findMasks(segmentation_of(slicer, [("right upper lobe", terminology(GENERAL_ANATOMY, UPPER))]))
    assert found_lobes(found) == {}


@pytest.mark.parametrize("way", ["as it is", "oblique and flipped", "permuted"])
def test_the_ct_is_read_back_as_it_is(factory, ct_node, tmp_path, way):
    volume = factory.make_stored(way).volume
    arguments = write_inputs(ct_node(volume, name="DOE^JOHN"), tmp_path)
    assert arguments == [str(tmp_path / "ct.nrrd")]
    assert [path.name for path in tmp_path.iterdir()] == ["ct.nrrd"]
    read = read_ct(arguments[0])
    np.testing.assert_array_equal(read.hu, volume.hu)
    np.testing.assert_allclose(read.geometry.ijk_to_lps, volume.geometry.ijk_to_lps, atol=1e-3)
    assert read.notes == ()
    assert b"encoding: raw" in (tmp_path / "ct.nrrd").read_bytes()[:2000]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int32, np.float32, np.float64])
def test_every_number_type_of_a_volume_is_written(slicer, tmp_path, dtype):
    values = np.arange(60).reshape(3, 4, 5).astype(dtype)
    node = slicer.util.addVolumeFromArray(values, name="x")
    write_inputs(node, tmp_path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "ct.nrrd"))), values)


@pytest.mark.parametrize("way", ["as it is", "oblique and flipped", "permuted"])
def test_masks_of_a_result_are_written_on_the_grid_of_the_ct(factory, ct_node, result_folder, tmp_path, way):
    analysis = factory.make_stored(way)
    node = ct_node(analysis.volume)
    result = importResult(result_folder(analysis), node)
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    arguments = write_inputs(node, inputs, result.segmentationNode)
    assert arguments[1::2] == ["--lungs", "--lobes"]
    ct = read_ct(arguments[0])
    np.testing.assert_array_equal(read_mask(arguments[2], ct), analysis.lungs)
    lobes = read_mask(arguments[4], ct)
    labels = {Lobe.LUL: 1, Lobe.LLL: 2, Lobe.RUL: 3, Lobe.RML: 4, Lobe.RLL: 5}
    for lobe, label in labels.items():
        np.testing.assert_array_equal(lobes == label, analysis.lobes == lobe)


def test_the_command_line_takes_the_masks(slicer, coarse_phantom, program, tmp_path):
    node = slicer.util.addVolumeFromArray(
        coarse_phantom.volume.hu.copy(),
        ijkToRAS=np.diag([-1.0, -1.0, 1.0, 1.0]) @ coarse_phantom.volume.geometry.ijk_to_lps,
    )
    segments = {
        Lobe[name]: (TOTAL_NAMES[name], terminology(TOTAL_SEGMENTATOR, *codes))
        for name, codes in LOBES_AS_CODED.items()
    }
    masks = segmentation_of(slicer, segments.values())
    masks.SetReferenceImageGeometryParameterFromVolumeNode(node)
    for n, lobe in enumerate(segments):
        slicer.util.updateSegmentBinaryLabelmapFromArray(
            (coarse_phantom.lobes == lobe).astype(np.uint8), masks, f"s{n}", node
        )
    run = program("analyze", *write_inputs(node, tmp_path, masks), "-o", tmp_path / "out", "--quiet")
    assert run.status == 0, run.err
    result = importResult(tmp_path / "out", node)
    assert result.segmentationNode.GetAttribute("CovidSeverity.LobesFrom") == "file lobes.nrrd (lungmask labels)"
    voxels = {lobe: (coarse_phantom.lobes == lobe).sum() * coarse_phantom.volume.geometry.voxel_ml for lobe in Lobe}
    for lobe in Lobe:
        assert result.report["ctss"]["lobes"][lobe.name]["volume_ml"] == pytest.approx(voxels[lobe], abs=0.01)


def test_masks_of_another_grid_and_transform_are_brought_to_the_ct(slicer, factory, ct_node, tmp_path):
    analysis = factory.make_stored("as it is", shape=(10, 24, 32))
    node, elsewhere = ct_node(analysis.volume), factory.make_stored("flipped", shape=(10, 24, 32)).volume
    other = ct_node(elsewhere, name="other order")
    other.SetSpacing(*(np.array(other.GetSpacing())))
    masks = segmentation_of(slicer, [("right lung", None), ("left lung", None)])
    masks.SetReferenceImageGeometryParameterFromVolumeNode(other)
    for n, side in enumerate(Side):
        stored = elsewhere.storage.to_stored((analysis.lungs == side).astype(np.uint8)).copy()
        slicer.util.updateSegmentBinaryLabelmapFromArray(stored, masks, f"s{n}", other)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[:3, 3] = (2.0, -4.0, 5.0)  # one, two and one voxels
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    masks.SetAndObserveTransformNodeID(transform.GetID())
    arguments = write_inputs(node, tmp_path, masks)
    written = read_mask(arguments[2], read_ct(arguments[0]))
    np.testing.assert_array_equal(written, np.roll(analysis.lungs, (1, 2, -1), axis=(0, 1, 2)))


def test_one_mask_for_both_lungs_has_one_label(slicer, factory, ct_node, tmp_path):
    analysis = factory.make_analysis(factory.make_chest((10, 24, 32)))
    node = ct_node(analysis.volume)
    masks = segmentation_of(slicer, [("lungs", None)])
    masks.SetReferenceImageGeometryParameterFromVolumeNode(node)
    slicer.util.updateSegmentBinaryLabelmapFromArray((analysis.lungs > 0).astype(np.uint8), masks, "s0", node)
    arguments = write_inputs(node, tmp_path, masks)
    written = sitk.GetArrayFromImage(sitk.ReadImage(arguments[2]))
    np.testing.assert_array_equal(written, analysis.lungs > 0)


def test_a_segmentation_without_lungs_or_lobes_is_refused(slicer, factory, ct_node, tmp_path):
    node = ct_node(factory.make_analysis().volume)
    with pytest.raises(UnusableInput, match="neither both lungs nor all five lobes"):
        write_inputs(node, tmp_path, segmentation_of(slicer, [("right lung", None), *OTHERS]))
    assert list(tmp_path.iterdir()) == []


def test_empty_masks_are_refused(slicer, factory, ct_node, tmp_path):
    node = ct_node(factory.make_analysis().volume)
    masks = segmentation_of(slicer, [("right lung", None), ("left lung", None)])
    masks.SetReferenceImageGeometryParameterFromVolumeNode(node)
    with pytest.raises(UnusableInput, match="is empty inside the CT"):
        write_inputs(node, tmp_path, masks)


def test_a_volume_without_image_is_refused(slicer, tmp_path):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    for nothing in (node, None):
        with pytest.raises(UnusableInput, match="has no image data"):
            write_inputs(nothing, tmp_path)


def test_a_volume_of_colours_is_refused(slicer, tmp_path):
    node = slicer.util.addVolumeFromArray(
        np.zeros((4, 5, 6, 3), np.uint8), nodeClassName="vtkMRMLVectorVolumeNode", name="photo"
    )
    with pytest.raises(UnusableInput, match="has 3 components per voxel"):
        write_inputs(node, tmp_path)


def test_a_single_slice_is_refused(slicer, tmp_path):
    with pytest.raises(UnusableInput, match="6 x 5 x 1 voxels"):
        write_inputs(slicer.util.addVolumeFromArray(np.zeros((1, 5, 6), np.int16)), tmp_path)


def test_a_sheared_volume_is_refused(slicer, tmp_path):
    tilted = np.eye(4)
    tilted[1, 2] = 0.3
    node = slicer.util.addVolumeFromArray(np.zeros((4, 5, 6), np.int16), ijkToRAS=tilted)
    with pytest.raises(UnusableInput, match=r"at right angles\. Resample it"):
        write_inputs(node, tmp_path)


@pytest.mark.parametrize("kind", ["bends", "scales"])
def test_a_transform_that_bends_or_scales_is_refused(slicer, factory, ct_node, tmp_path, kind):
    node = ct_node(factory.make_analysis().volume)
    if kind == "bends":
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLGridTransformNode")
    else:
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(np.diag([1.0, 1.0, 1.1, 1.0])))
    node.SetAndObserveTransformNodeID(transform.GetID())
    with pytest.raises(UnusableInput, match="bends or scales it"):
        write_inputs(node, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_an_error_of_the_system(factory, ct_node, tmp_path):
    with pytest.raises(OSError, match=r"ct\.nrrd cannot be written"):
        write_inputs(ct_node(factory.make_analysis().volume), tmp_path / "gone")
