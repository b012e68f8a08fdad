"""The fit of the lobe atlas, from made-up lungs and fissure points: what it finds, what it tells, what it refuses."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest
import SimpleITK as sitk

from CovidSeverityLib.segmentation.lobes.lobe_atlas import Fissure, atlas_from
from CovidSeverityLib.types import Side
from models.lobe_atlas.__main__ import main

ORIGIN_LPS, SPACING_MM = (-120.0, -80.0, -300.0), 2.0
SIZE_MM = (240.0, 160.0, 240.0)
"""Of the mask along I, J, K."""

CENTRE = {Side.RIGHT: (-60.0, 0.0, -180.0), Side.LEFT: (60.0, 0.0, -180.0)}
RADII_MM = (45.0, 65.0, 105.0)
REGION = {Side.RIGHT: "RIGHTLUNG", Side.LEFT: "LEFTLUNG"}
HORIZONTAL_Z = -150.0
NOISE_MM = 0.5


def oblique_z(y):
    """Height of the made-up oblique fissures, which rise backwards by 45 degrees."""
    return -180.0 + y


def write_lungs(folder, name="case00_leftLungRightLung.nrrd"):
    axes = [start + SPACING_MM * np.arange(int(mm / SPACING_MM)) for start, mm in zip(ORIGIN_LPS, SIZE_MM, strict=True)]
    z, y, x = np.meshgrid(*axes[::-1], indexing="ij")
    labels = np.zeros(z.shape, np.uint8)
    for side, label in ((Side.RIGHT, 2), (Side.LEFT, 3)):
        off = zip((x, y, z), CENTRE[side], RADII_MM, strict=True)
        labels[sum(((at - centre) / radius) ** 2 for at, centre, radius in off) <= 1] = label
    image = sitk.GetImageFromArray(labels)
    image.SetOrigin(ORIGIN_LPS)
    image.SetSpacing((SPACING_MM,) * 3)
    sitk.WriteImage(image, str(folder / name), useCompression=True)


def fissure_points(rng, raised_mm):
    """(region, type, x, y, z) of one case, whose oblique fissures lie ``raised_mm`` higher than usual."""
    rows = [("UNDEFINEDREGION", "UNDEFINEDTYPE", 0.0, 0.0, 0.0)]
    for side, region in REGION.items():
        x, y = CENTRE[side][0] + rng.uniform(-22, 22, 60), rng.uniform(-42, 42, 60)
        z = oblique_z(y) + raised_mm + rng.normal(0, NOISE_MM, 60)
        rows += [(region, "OBLIQUEFISSURE", *point) for point in zip(x, y, z, strict=True)]
    x, y = CENTRE[Side.RIGHT][0] + rng.uniform(-20, 20, 40), rng.uniform(-40, 20, 40)
    z = HORIZONTAL_Z + rng.normal(0, NOISE_MM, 40)
    return rows + [("RightSuperiorLobe", "HorizontalFissure", *point) for point in zip(x, y, z, strict=True)]


def write_case(folder, name, rows, moved_mm=None):
    """Points of a CT; with ``moved_mm`` its own coordinates are moved, and a transform says so."""
    lines = ["Region,Type,X point,Y point,Z point"]
    for region, kind, *point in rows:
        own = np.add(point, (0, 0, 0) if moved_mm is None else moved_mm)
        lines.append(",".join([region, kind, *(f"{mm:.3f}" for mm in own)]))
    (folder / f"{name}_regionAndTypePoints.csv").write_text("\n".join(lines) + "\n")
    if moved_mm is not None:  # from the atlas lungs to the case, as the real ones do
        transform = sitk.AffineTransform(3)
        transform.SetTranslation(tuple(map(float, moved_mm)))
        sitk.WriteTransform(transform, str(folder / f"{name}_TO_case00_transform.tfm"))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Eight cases, one of which the transform brings nowhere near the lungs."""
    root, rng = tmp_path_factory.mktemp("source"), np.random.default_rng(3)
    folder = root / "LungLobeAtlasData"
    folder.mkdir()
    (root / "License.txt").write_bytes("Copyright \u00a9 Somebody.\r\n".encode("latin-1"))
    write_lungs(folder)
    for n, raised_mm in enumerate((-6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0)):
        write_case(folder, f"case{n:02d}", fissure_points(rng, raised_mm), (30.0, -20.0, 500.0) if n else None)
    write_case(folder, "stray", [(r, k, x + 400.0, y, z) for r, k, x, y, z in fissure_points(rng, 0.0)])
    return root


@pytest.fixture(scope="module")
def run(call):
    return partial(call, main)


@pytest.fixture(scope="module")
def fitted(run, source, tmp_path_factory):
    """What is printed, and the folder of what is written."""
    out = tmp_path_factory.mktemp("fitted") / "new"
    result = run(source, "-o", out)
    assert result.status == 0, result.err
    return result.out, out


@pytest.fixture(scope="module")
def atlas(fitted):
    return atlas_from(json.loads((fitted[1] / "lobe_atlas.json").read_text(encoding="utf-8")))


def test_planes_are_those_of_the_points(atlas):
    assert set(atlas.fissures) == set(Fissure)
    assert atlas.fissures[Fissure.LEFT_OBLIQUE].plane.tilt_deg == pytest.approx(45.0, abs=2.0)
    assert atlas.fissures[Fissure.RIGHT_OBLIQUE].plane.tilt_deg == pytest.approx(45.0, abs=2.0)
    tilt = atlas.fissures[Fissure.RIGHT_HORIZONTAL].plane.tilt_deg
    assert min(tilt, 180 - tilt) < 2.0


def test_mean_of_flat_fissures_lies_near_their_plane(atlas):
    for model in atlas.fissures.values():
        middle = model.mean[tuple(slice(n // 2 - 1, n // 2 + 1) for n in model.mean.shape)]
        assert np.abs(middle).max() < 1.5


def test_modes_raise_and_lower_the_fissures_that_differ_between_cases(atlas):
    """Heights have a standard deviation of 4 mm along z: 2.8 mm across a plane of 45 degrees."""
    usual = {}
    for fissure, model in atlas.fissures.items():
        middle = tuple(n // 2 for n in model.mean.shape)
        usual[fissure] = np.sqrt((model.modes[(slice(None), *middle)] ** 2).sum())
    assert 2.0 < usual[Fissure.LEFT_OBLIQUE] < 6.0
    assert usual[Fissure.RIGHT_HORIZONTAL] < usual[Fissure.RIGHT_OBLIQUE]


def test_distance_of_left_out_cases_is_told_and_written(fitted, atlas):
    """|raised| is 3.4 mm on average, a little more from the mean of the others; across the plane 2.4 and more."""
    rows = [line.strip("| ").split(" | ") for line in fitted[0].splitlines() if line.startswith("|")][2:]
    points = {row[0]: int(row[1]) for row in rows}
    assert points == {"right oblique": 7 * 60, "right horizontal": 7 * 40, "left oblique": 7 * 60}
    for name, _, mean, median, p95 in rows:
        assert float(median) <= float(p95)
        assert atlas.fissures[Fissure(name)].distance_mm == pytest.approx(float(mean), abs=0.06)
    assert 2.0 < atlas.fissures[Fissure.LEFT_OBLIQUE].distance_mm < 4.0
    assert atlas.fissures[Fissure.RIGHT_HORIZONTAL].distance_mm < 1.0


def test_case_that_lies_outside_the_lungs_is_left_out(fitted):
    assert "7 of 8 cases" in fitted[0]
    assert json.loads((fitted[1] / "lobe_atlas.json").read_text(encoding="utf-8"))["cases"] == 7


def test_lungs_are_those_of_the_mask(atlas):
    for side, lung in atlas.lungs.items():
        medians = [axis[len(axis) // 2] for axis in lung.quantiles_mm]
        np.testing.assert_allclose(medians, CENTRE[side][::-1], atol=3.0)


def test_licence_of_the_source_is_kept(fitted):
    notice = (fitted[1] / "lobe_atlas_LICENSE.txt").read_text(encoding="utf-8")
    assert notice.endswith("\n\nCopyright \u00a9 Somebody.\n")
    assert "modified form" in notice


@pytest.mark.slow
def test_same_points_give_the_same_bytes(run, source, fitted, tmp_path):
    assert run(source / "LungLobeAtlasData", "-o", tmp_path).status == 0
    assert (tmp_path / "lobe_atlas.json").read_bytes() == (fitted[1] / "lobe_atlas.json").read_bytes()


@pytest.mark.parametrize(
    ("removed", "said"),
    [
        ("License.txt", "License.txt"),
        ("*.nrrd", "0 files *_leftLungRightLung.nrrd"),
        ("*.csv", "holds no files *_region"),
    ],
)
def test_folder_that_lacks_something_is_refused(run, source, tmp_path, removed, said):
    folder = tmp_path / "part"
    folder.mkdir()
    for path in source.rglob("*"):
        if path.is_file() and not path.match(removed):
            (folder / path.name).write_bytes(path.read_bytes())
    result = run(folder, "-o", tmp_path / "out")
    assert result.status == 2
    assert said in result.err
    assert not (tmp_path / "out").exists()
