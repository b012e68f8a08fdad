"""``thumbnail.jpg``: which slices it shows, the right way round, in their proportions, and small."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from CovidSeverityLib.batch.page.lettering import BOLD, font
from CovidSeverityLib.batch.page.thumbnail import (
    MARK_INSET,
    MARK_PIXELS,
    PANEL_GAP,
    THUMBNAIL_SIZE,
    write_thumbnail,
)
from CovidSeverityLib.reporting.overview_views import lung_box
from CovidSeverityLib.types import Opacity

WIDTH, HEIGHT = THUMBNAIL_SIZE
PANEL = (WIDTH - PANEL_GAP) // 2
MOST_BYTES = 20_000
SHAPE = (20, 96, 128)


@pytest.fixture
def pixels_of(tmp_path):
    """``pixels_of(analysis)``: (rows, columns, 3) of its thumbnail."""

    def pixels(analysis):
        write_thumbnail(analysis, tmp_path / "thumbnail.jpg")
        with Image.open(tmp_path / "thumbnail.jpg") as picture:
            assert picture.format == "JPEG"
            assert picture.size == THUMBNAIL_SIZE
            return np.asarray(picture).astype(int)

    return pixels


@pytest.fixture(scope="module")
def made(factory):
    """``made(infection, hu, lungs)``: the analysis of a chest whose parts these functions change."""

    def made(infected=True, change=lambda chest: None, spacing_mm=(2.0, 2.0, 8.0)):
        chest = factory.make_chest(SHAPE, infected=infected)
        change(chest)
        return factory.make_analysis(chest, factory.make_volume(chest.hu, spacing_mm))

    return made


def panels(pixels):
    return pixels[:, :PANEL], pixels[:, PANEL + PANEL_GAP :]


def coloured(pixels):
    """Where a pixel is yellow or red: its blue is far below its red."""
    return pixels[..., 0] - pixels[..., 2] > 60


def red(pixels):
    return coloured(pixels) & (pixels[..., 1] - pixels[..., 2] < 0.6 * (pixels[..., 0] - pixels[..., 2]))


def test_same_analysis_gives_the_same_small_file(made, tmp_path):
    for name in ("one.jpg", "two.jpg"):
        write_thumbnail(made(), tmp_path / name)
    content = (tmp_path / "one.jpg").read_bytes()
    assert content == (tmp_path / "two.jpg").read_bytes()
    assert len(content) < MOST_BYTES


def test_noise_does_not_make_it_large(made, tmp_path):
    def noise(chest):
        chest.hu[:] = np.random.default_rng(0).normal(-600, 500, chest.hu.shape).clip(-1024, 1000)

    write_thumbnail(made(change=noise), tmp_path / "thumbnail.jpg")
    assert (tmp_path / "thumbnail.jpg").stat().st_size < MOST_BYTES


def test_opacities_of_the_right_lung_are_on_the_left(made, pixels_of):
    def right_only(chest):
        chest.infection[..., SHAPE[2] // 2 :] = 0

    for panel in panels(pixels_of(made(change=right_only))):
        found = np.flatnonzero(coloured(panel).any(axis=0))
        assert found.size > 5
        assert found.max() < PANEL // 2


def test_anterior_and_superior_are_up(made, pixels_of):
    axial, coronal = panels(pixels_of(made()))  # the opacities are posterior and inferior
    assert np.flatnonzero(coloured(axial).any(axis=1)).mean() > HEIGHT / 2
    assert np.flatnonzero(coloured(coronal).any(axis=1)).mean() > HEIGHT / 2


def test_both_kinds_of_opacity_have_their_colour(made, pixels_of):
    pixels = pixels_of(made())
    assert red(pixels).any()
    assert (coloured(pixels) & ~red(pixels)).any()

    def glass_only(chest):
        chest.infection[chest.infection == Opacity.CONSOLIDATION] = Opacity.GROUND_GLASS
        chest.hu[chest.infection > 0] = -550

    pixels = pixels_of(made(change=glass_only))
    assert coloured(pixels).any()
    assert red(pixels).mean() < 0.001


def test_axial_slice_is_that_with_the_most_opacity(made, pixels_of):
    worst = 13

    def one_slice(chest):
        chest.infection[:] = 0
        chest.infection[worst][chest.lungs[worst] > 0] = Opacity.GROUND_GLASS
        chest.infection[4, 48, 30] = Opacity.GROUND_GLASS

    axial, coronal = panels(pixels_of(made(change=one_slice)))
    assert coloured(axial).mean() > 0.15
    assert 0 < coloured(coronal).mean() < 0.1


def test_healthy_lungs_are_shown_in_their_middle(made, pixels_of):
    def bright_middle(chest):
        lung = np.flatnonzero((chest.lungs > 0).any(axis=(1, 2)))
        chest.hu[lung[lung.size // 2]][:] = 1000

    pixels = pixels_of(made(infected=False, change=bright_middle))
    assert not coloured(pixels).any()
    axial, _ = panels(pixels)
    assert np.median(axial[HEIGHT // 2 - 10 : HEIGHT // 2 + 10]) > 245


@pytest.mark.parametrize("slice_mm", [4.0, 8.0, 12.0])
def test_proportions_are_true(made, pixels_of, slice_mm):
    def white(chest):
        chest.hu[:] = 1000
        chest.infection[:] = 0

    analysis = made(change=white, spacing_mm=(2.0, 2.0, slice_mm))
    k, j, i = (
        (part.stop - part.start) * mm
        for part, mm in zip(lung_box(analysis), analysis.volume.geometry.spacing_kji, strict=True)
    )
    for panel, height_mm in zip(panels(pixels_of(analysis)), (j, k), strict=True):
        bright = panel.min(axis=2) > 128
        height, width = (np.ptp(np.flatnonzero(bright.mean(axis=axis) > 0.3)) + 1 for axis in (1, 0))
        scale = min(PANEL / i, HEIGHT / height_mm)
        assert (height, width) == pytest.approx((height_mm * scale, i * scale), abs=1)


def test_single_slice_without_lobes_fills_the_thumbnail(factory, pixels_of):
    chest = factory.make_chest((3, 96, 128))
    parts = {name: getattr(chest, name)[1:2] for name in ("hu", "lungs", "lobes", "infection")}
    parts["lobes"] = np.zeros_like(parts["lobes"])
    parts["infection"][0, 48:60, 24:36] = Opacity.GROUND_GLASS
    analysis = factory.make_analysis(factory.Chest(**parts))
    assert analysis.ctss is None
    pixels = pixels_of(analysis)
    assert coloured(pixels)[:, : WIDTH // 2].any()
    assert not coloured(pixels)[:, WIDTH // 2 :].any()
    assert_mark(pixels, "R", 0)
    assert_mark(pixels, "L", WIDTH)


def test_ct_without_lungs_is_shown_whole(made, pixels_of):
    def no_lungs(chest):
        for mask in (chest.lungs, chest.lobes, chest.infection):
            mask[:] = 0

    assert pixels_of(made(change=no_lungs)).max() > 200


def test_r_and_l_are_on_the_patients_sides_of_both_panels(made, pixels_of):
    pixels = pixels_of(made())
    for left in (0, PANEL + PANEL_GAP):
        assert_mark(pixels, "R", left)
        assert_mark(pixels, "L", left + PANEL)


def assert_mark(pixels, letter, edge):
    """The mark at a left or right edge of a panel is ``letter``, not the other one."""
    shapes = {mark: ink(mark) for mark in "RL"}
    start = edge + MARK_INSET if letter == "R" else edge - MARK_INSET - shapes[letter].shape[1]
    part = pixels[MARK_INSET : MARK_INSET + MARK_PIXELS, start:, :].mean(axis=2)
    likeness = {}
    for mark, shape in shapes.items():
        cut = part[: shape.shape[0], : shape.shape[1]]
        rows, columns = cut.shape
        likeness[mark] = np.corrcoef(cut.ravel(), shape[:rows, :columns].ravel())[0, 1]
    assert likeness[letter] > 0.9
    assert likeness[letter] > max(value for mark, value in likeness.items() if mark != letter)


def ink(letter):
    """(rows, columns) of a white letter on black, as the thumbnail draws it."""
    picture = Image.new("L", (40, 40))
    ImageDraw.Draw(picture).text((10, 10), letter, 255, font(MARK_PIXELS, BOLD), "lt", stroke_width=1, stroke_fill=0)
    box = picture.getbbox()
    return np.asarray(picture.crop((10, 10, box[2], box[3]))).astype(float)
