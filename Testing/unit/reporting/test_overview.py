"""``overview.png``: what it shows, and that no case breaks it."""

from __future__ import annotations

import dataclasses
import io
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from contourpy import contour_generator
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from CovidSeverityLib.reporting import overview
from CovidSeverityLib.reporting import overview_panels as panels
from CovidSeverityLib.reporting import overview_views as views
from CovidSeverityLib.reporting.outlines import _extended, outline
from CovidSeverityLib.reporting.overview import write_overview
from CovidSeverityLib.reporting.overview_text import clean, elided, note_lines, signed
from CovidSeverityLib.reporting.page import PAGE_INCHES
from CovidSeverityLib.reporting.palette import LOBE_COLOURS, OPACITY_COLOURS
from CovidSeverityLib.types import LOBE_NAMES, Lobe, NoteSeverity, Opacity, QualityNote, Side

TILES = (slice(155, 900), slice(None))
"""Rows of the page that hold the axial slices."""


def page(analysis) -> np.ndarray:
    file = io.BytesIO()
    write_overview(analysis, file)
    return np.asarray(Image.open(io.BytesIO(file.getvalue())).convert("RGB"))


def texts_of(analysis) -> list[str]:
    """Every text that is put on the page itself, not into one of its panels."""
    figure = Figure(figsize=PAGE_INCHES, dpi=20)
    FigureCanvasAgg(figure)
    overview._draw_page(figure, analysis)
    return [text.get_text() for text in figure.texts]


def test_legend_names_every_outline_in_its_colour(factory):
    figure = Figure(figsize=PAGE_INCHES, dpi=20)
    FigureCanvasAgg(figure)
    overview._draw_page(figure, factory.make_analysis())
    (legend,) = (axes.get_legend() for axes in figure.axes if axes.get_legend() and len(axes.lines) == 7)
    shown = {text.get_text(): line.get_color() for text, line in zip(legend.texts, legend.get_lines(), strict=True)}
    lobes = {LOBE_NAMES[lobe]: LOBE_COLOURS[lobe] for lobe in Lobe}
    glass, solid = (OPACITY_COLOURS[opacity] for opacity in Opacity)
    assert shown == {**lobes, "ground-glass opacity": glass, "consolidation": solid}


def without_lobes(analysis):
    """The same where no lobe is known, as in a single slice."""
    scores = tuple(dataclasses.replace(score, voxels=0, infected_voxels=0) for score in analysis.lobe_scores)
    return dataclasses.replace(analysis, lobes=np.zeros_like(analysis.lobes), lobe_scores=scores, ctss_range=None)


def test_page_without_lobes_says_so_and_shows_no_score(factory):
    found = without_lobes(factory.make_analysis())
    texts = texts_of(found)
    assert "No CTSS" in texts
    assert "the lobes are not known" in texts
    assert "Infection by lobe" not in texts
    assert not any("None" in text for text in [*texts, *(value for _, value, _ in panels.number_rows(found))])


def pixels_of(colour, picture) -> int:
    distance = np.abs(picture.astype(int) - np.round(255 * np.array(colour)).astype(int)).max(axis=-1)
    return int((distance < 12).sum())


def long_notes(count):
    return tuple(QualityNote(f"n{n}", NoteSeverity.WARNING, f"slice {n} is odd, " * 30) for n in range(count))


@pytest.mark.slow
def test_score_is_headed_with_its_range_and_alone_where_there_is_none(factory):
    analysis = factory.make_analysis()
    assert any(text.startswith(f"CTSS {analysis.ctss} / 25") for text in texts_of(analysis))
    ranged = dataclasses.replace(analysis, ctss_range=(3, 9))
    assert any(text.startswith(f"CTSS {analysis.ctss} (3–9) / 25") for text in texts_of(ranged))


def test_range_of_a_lobe_stands_behind_its_score(factory):
    (score, *_) = factory.make_analysis().lobe_scores
    axes = Figure().add_subplot()
    near = dataclasses.replace(score, score_range=(0, 2), involvement_range_percent=(0.0, 6.1))
    panels.draw_lobes(axes, (score, near))
    assert [text.get_text() for text in axes.texts].count("(0–2)") == 1
    assert [line.get_xdata().tolist() for line in axes.lines] == [pytest.approx([0.0, 6.1**0.5])]


def unusual(factory, case):
    chest = factory.make_chest((8, 24, 32))
    if case == "no infection":
        return factory.make_analysis(factory.make_chest((8, 24, 32), infected=False))
    if case == "one lung":
        return factory.make_analysis(factory.make_chest((8, 24, 32), sides=(Side.LEFT,)))
    if case == "three slices":
        return factory.make_analysis(factory.make_chest((3, 24, 32)))
    if case == "no mixture":
        analysis = factory.make_analysis(chest)
        return dataclasses.replace(analysis, densitometry=dataclasses.replace(analysis.densitometry, mixture=None))
    if case == "no lobes":
        return factory.make_analysis(dataclasses.replace(chest, lobes=np.zeros_like(chest.lobes)))
    name = "患者_" + "a_very_long_name_" * 20 + "$x^2$.nii.gz"
    volume = factory.make_volume(chest.hu, spacing_mm=(0.7, 0.7, 8.0), name=name)
    return factory.make_analysis(chest, volume, quality=long_notes(30))


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", ["no infection", "one lung", "three slices", "no mixture", "no lobes", "long texts and thick slices"]
)
def test_unusual_cases_give_a_page(factory, case):
    picture = page(unusual(factory, case))
    assert 1800 <= picture.shape[1] <= 2400
    assert picture.std() > 20


@pytest.mark.slow
def test_same_analysis_gives_the_same_bytes_without_a_date(factory):
    analysis = factory.make_analysis(factory.make_chest((4, 24, 32)))
    first, second = io.BytesIO(), io.BytesIO()
    write_overview(analysis, first)
    write_overview(analysis, second)
    assert first.getvalue() == second.getvalue()
    assert Image.open(first).info.keys() <= {"dpi"}


@pytest.mark.slow
def test_opacities_and_lobes_are_outlined_on_the_slices(factory):
    infected = page(factory.make_analysis())[TILES]
    healthy = page(factory.make_analysis(factory.make_chest(infected=False)))[TILES]
    assert pixels_of(OPACITY_COLOURS[Opacity.CONSOLIDATION], infected) > 50
    assert pixels_of(OPACITY_COLOURS[Opacity.CONSOLIDATION], healthy) == 0
    assert all(pixels_of(LOBE_COLOURS[lobe], healthy) > 50 for lobe in Lobe)


def test_patients_right_is_on_the_left_of_the_page(factory):
    tiles = page(factory.make_analysis(factory.make_chest(infected=False)))[TILES]
    first_tile = tiles[:, : tiles.shape[1] // 4]
    half = first_tile.shape[1] // 2
    assert pixels_of(LOBE_COLOURS[Lobe.RUL], first_tile[:, :half]) > 50
    assert pixels_of(LOBE_COLOURS[Lobe.RUL], first_tile[:, half:]) == 0


@pytest.mark.slow
def test_the_image_is_turned_like_its_letters(factory):
    chest = factory.make_chest(infected=False)
    chest.hu[chest.lungs == Side.RIGHT] = -500
    tiles = page(factory.make_analysis(chest))[TILES].mean(axis=-1)
    height, width = tiles.shape[0] // 2, tiles.shape[1] // 4
    middle = tiles[height * 4 // 10 : height * 6 // 10, 3 * width :]  # of the fourth tile
    left, right = middle[:, width * 15 // 100 : width * 35 // 100], middle[:, width * 65 // 100 : width * 85 // 100]
    assert np.median(left) > np.median(right) + 40


@pytest.mark.slow
def test_settings_of_matplotlib_stay_as_they_were(factory):
    before = dict(mpl.rcParams)
    page(factory.make_analysis(factory.make_chest((3, 24, 32))))
    assert dict(mpl.rcParams) == before


@pytest.mark.slow
def test_settings_of_the_user_do_not_reach_the_page(factory):
    analysis = factory.make_analysis(factory.make_chest((3, 24, 32)))
    plain = page(analysis)
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "savefig.dpi": 50, "lines.linewidth": 9}):
        assert np.array_equal(page(analysis), plain)


@pytest.mark.slow
def test_importing_brings_neither_matplotlib_nor_slicerio():
    code = (
        "import sys, CovidSeverityLib.reporting; "
        "sys.exit(sum(m in sys.modules for m in ('matplotlib', 'slicerio', 'nrrd')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_slices_are_spread_and_the_most_infected_is_among_them(factory):
    analysis = factory.make_analysis(factory.make_chest((60, 24, 32)))
    chosen = views.axial_indices(analysis)
    worst = int(np.argmax([row.infected_voxels for row in analysis.slices]))
    assert len(chosen) == 8
    assert list(chosen) == sorted(chosen, reverse=True)
    assert worst in chosen
    assert min(-np.diff(chosen)) >= 3


def test_few_slices_are_all_shown_once(factory):
    analysis = factory.make_analysis(factory.make_chest((5, 24, 32)))
    with_lung = [row.index for row in analysis.slices if row.lung_voxels]
    assert list(views.axial_indices(analysis)) == with_lung[::-1]


@pytest.mark.slow
def test_slices_that_were_not_acquired_are_left_out_and_the_others_keep_their_index(factory):
    """An interpolated slice has no row: from there on a row's place among the rows is not its slice."""
    chest = factory.make_chest((20, 24, 32))
    analysis = factory.make_analysis(chest)
    acquired = tuple(row for row in analysis.slices if row.index not in (2, 3, 9))
    gap = dataclasses.replace(analysis, slices=acquired)
    worst = max(acquired, key=lambda row: row.infected_voxels)
    assert views.most_infected_index(gap) == worst.index
    assert set(views.axial_indices(gap)) <= {row.index for row in acquired if row.lung_voxels}
    assert worst.index in views.axial_indices(gap)
    assert page(gap).std() > 20


def test_infection_outside_the_lungs_is_not_drawn(factory):
    """The published mask is dilated beyond them; no number of the page counts that."""
    chest = factory.make_chest()
    spilled = dataclasses.replace(chest, infection=np.where(chest.lungs == 0, np.uint8(2), chest.infection))
    analysis = factory.make_analysis(spilled)
    box = views.lung_box(analysis)
    assert views.coronal_index(analysis, box) == views.coronal_index(factory.make_analysis(chest), box)
    for view in (views.axial_view(analysis, 10, box), views.coronal_view(analysis, 24, box)):
        assert not view.infection[view.lungs == 0].any()
    inside = views.axial_view(analysis, 6, box)
    np.testing.assert_array_equal(inside.infection, views.axial_view(factory.make_analysis(chest), 6, box).infection)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("configuration", "said"),
    [
        ({"infection": None, "lesions": {}}, "it marks no infection"),
        ({"infection": {"window_sds": 1.5}, "lesions": None}, "each slice has its own"),
    ],
)
def test_page_says_that_the_drawn_mixture_marks_nothing(factory, configuration, said):
    analysis = factory.make_analysis()
    provenance = dataclasses.replace(analysis.provenance, configuration=configuration)
    texts = texts_of(dataclasses.replace(analysis, provenance=provenance))
    assert f"Fitted mixture, for orientation: {said}" in texts
    without = dataclasses.replace(analysis.densitometry, mixture=None)
    assert not any("mixture" in text for text in texts_of(dataclasses.replace(analysis, densitometry=without)))


def test_views_are_turned_as_radiologists_have_them(factory):
    analysis = factory.make_analysis()
    box = views.lung_box(analysis)
    axial = views.axial_view(analysis, 10, box)
    coronal = views.coronal_view(analysis, views.coronal_index(analysis, box), box)
    assert axial.lungs[:, : axial.lungs.shape[1] // 3].max() == Side.RIGHT
    assert coronal.lobes[: len(coronal.lobes) // 4].max() == Lobe.LUL  # the apex is on top
    assert coronal.infection[: len(coronal.infection) // 2].max() == 0  # and the opacities are at the bases
    assert coronal.infection.max() > 0


@pytest.mark.parametrize("infected", [True, False])
def test_coronal_plane_has_the_largest_area(factory, infected):
    analysis = factory.make_analysis(factory.make_chest(infected=infected))
    mask = analysis.lungs > 0
    if infected:
        mask &= analysis.infection > 0
    largest = np.count_nonzero(mask, axis=(0, 2)).argmax()
    for box in (views.lung_box(analysis), tuple(slice(0, n) for n in mask.shape)):
        assert views.coronal_index(analysis, box) == largest


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_outline_in_the_box_of_a_mask_is_that_of_the_whole_view(share):
    mask = np.zeros((30, 40), dtype=bool)
    mask[:9, 12:40] = np.random.default_rng(4).random((9, 28)) < share
    empty = np.zeros(mask.shape, dtype=np.uint8)
    view = views.View(empty.astype(np.int16), empty, empty, empty, (3.0, 23.0, 64.0, 4.0))
    x, y = (_extended(centres) for centres in (view.columns_mm(), view.rows_mm()))
    expected = contour_generator(x, y, np.pad(mask, 1).astype(np.float32)).lines(0.5)
    found = outline(view, mask)
    assert (len(found) > 0) == (share > 0)
    assert [line.tolist() for line in found] == [line.tolist() for line in expected]


def test_views_keep_millimetres(factory):
    chest = factory.make_chest()
    analysis = factory.make_analysis(chest, factory.make_volume(chest.hu, spacing_mm=(0.5, 0.5, 8.0)))
    view = views.coronal_view(analysis, 24, views.lung_box(analysis))
    left, right, bottom, top = view.extent_mm
    assert (right - left) / view.hu.shape[1] == pytest.approx(0.5)
    assert (top - bottom) / view.hu.shape[0] == pytest.approx(8.0)
    assert np.diff(view.rows_mm()) == pytest.approx(-8.0)


def test_fine_images_are_thinned(factory):
    chest = factory.make_chest((2, 900, 1400))
    view = views.axial_view(factory.make_analysis(chest), 0, (slice(0, 2), slice(0, 900), slice(0, 1400)))
    assert max(view.hu.shape) <= views.MAX_PIXELS
    assert view.columns_mm()[-1] == pytest.approx(2800, abs=10)


def test_text_is_cut_and_cleaned():
    assert elided("abcdefghij", 7) == "abcd…ij"
    assert elided("short", 7) == "short"
    assert clean("患\n x") == "? x"
    assert (signed(-1.25), signed(-0.01), signed(3)) == ("−1.2", "0.0", "3.0")


def test_notes_that_do_not_fit_are_counted():
    notes = (QualityNote("info", NoteSeverity.INFO, "fine"), *long_notes(5))
    lines = note_lines(notes, columns=60, most=4)
    assert len(lines) <= 4
    assert lines[-1] == ("+5 more, see report.json", False)
    assert note_lines((), columns=60, most=4) == []
    assert note_lines(notes[:1], columns=60, most=4) == [("Note: fine", False)]
