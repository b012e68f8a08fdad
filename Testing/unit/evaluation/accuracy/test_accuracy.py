"""``evaluate accuracy``: every profile on the same work, beside what is asked."""

import csv
import json
import shutil
from math import nan

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from CovidSeverityLib import AnalysisConfig, analyze, read_ct
from CovidSeverityLib.commands import evaluate_accuracy
from CovidSeverityLib.ctss import score_for_percent
from CovidSeverityLib.evaluation.accuracy import measurement as accuracy
from CovidSeverityLib.evaluation.accuracy import plots as accuracy_plots
from CovidSeverityLib.evaluation.accuracy.figures import figures, volume_change, volume_is_right
from CovidSeverityLib.evaluation.accuracy.measurement import (
    AS_IT_IS,
    CHEST_SEEDS,
    FITTING_SEEDS_FROM,
    Chest,
    Work,
    Workbench,
    accuracy_cases,
    true_ctss,
)
from CovidSeverityLib.evaluation.accuracy.targets import Sense, Target
from CovidSeverityLib.evaluation.accuracy.variations import HEALTHY_VARIATIONS, Variation
from CovidSeverityLib.evaluation.accuracy.variations import VARIATIONS as ALL_VARIATIONS
from CovidSeverityLib.evaluation.synthetic.phantom import write_phantom
from CovidSeverityLib.types import Lobe
from Testing.data_files import assert_described

GRID = {"shape": (72, 128, 128), "spacing_mm": (3.0, 3.0, 4.4)}
VARIATIONS = (Variation("slices 8 mm", slice_mm=8.0), Variation("noise 20 HU", noise_hu=20.0))
LOBES = ("LLL", "LUL", "RLL", "RML", "RUL")


def ct_record(chest, what=AS_IT_IS, profile="default", **fields):
    base = {
        "ctss": 5,
        "ctss_range": [4, 5],
        "infection_percent": 2.0,
        "infection_ml": 100.0,
        "lung_ml": 5000.0,
        "seconds": 1.0,
    }
    plain = {"slices": None} if what == AS_IT_IS else {}
    return (
        {"chest": chest, "what": what, "profile": profile, "normal": False, "synthetic": False} | base | plain | fields
    )


def simulated_record(n, profile="default", **fields):
    spec = {"kind": "mixed", "position": "any", "count": 1, "burden_percent": 2.0, "seed": 1}
    lesions = {"dice": 0.9, "true_ml": 100.0, "true_percent": 2.0, "true_ctss": 5, "lungs_dice": [0.99, 0.98]}
    opacities = {"ground_glass": [54.0, 60.0], "consolidation": [36.0, 40.0]}
    return (
        ct_record("n1", f"simulated {n:03d}", profile)
        | lesions
        | {"lesions": 3, "spec": spec, "opacities_ml": opacities}
        | fields
    )


def single_record(n, kind="mixed", position="apex", **fields):
    spec = {"kind": kind, "position": position, "volume_ml": 5.0, "seed": 1}
    return simulated_record(n, what=f"single {n:03d}", spec=spec) | fields


def slices(labels, shares):
    """Rows of a record: the labels and shares of the left lower lobe are those of the slice, other lobes are empty."""
    return [
        [float(n), int(label), share, [0, 0, 0, 0, int(label)], [0.0] * 4 + [share]]
        for n, (label, share) in enumerate(zip(labels, shares, strict=True))
    ]


def by_title(found, of=None):
    return {figure.title: figure for figure in found if of is None or figure.of == of}


def test_roc_areas_are_of_each_ct_and_of_all_slices_together():
    records = [
        ct_record("a", slices=slices([0, 0, 1, 1], [0.0, 1.0, 2.0, 3.0])),
        ct_record("b", slices=slices([0, 0, 1, 1], [5.0, 6.0, 5.5, 9.0])),
    ]
    found = figures(records, ["default"])
    areas = {f.of: f.values["default"].value for f in found if f.title == "ROC area, slices"}
    # together: of 16 pairs, 5 above both of a's infected slices and 6 above all but 9 are wrong
    assert areas == pytest.approx({"a": 1.0, "b": 0.75, "all CTs": 1 - 5 / 16})
    met = {f.of: f.met("default") for f in found if f.title == "ROC area, slices"}
    assert met == {"a": True, "b": False, "all CTs": False}
    pairs = by_title(found, "a")["ROC area, slices x lobes"].values["default"]
    assert (pairs.value, pairs.n) == (1.0, 20)


def test_normal_ct_has_no_roc_area_of_its_own_but_counts_in_that_of_all():
    records = [
        ct_record("a", slices=slices([0, 1], [0.0, 1.0])),
        ct_record("n", normal=True, ctss=2, infection_percent=0.14, slices=slices([0, 0], [0.0, 2.0])),
    ]
    found = figures(records, ["default"])
    assert [f.of for f in found if f.title == "ROC area, slices"] == ["a", "all CTs"]
    assert found[1].values["default"].value == pytest.approx(2 / 3)
    normal = by_title(found, "n")
    assert normal["infected, % of the lungs"].met("default") is True
    assert normal["CTSS"].met("default") is False
    assert by_title(found, "a")["CTSS"].target is None


def test_simulated_lesions_are_summed_up_by_profile():
    records = [
        simulated_record(1, dice=0.9, infection_ml=114.0, ctss=6, ctss_range=[4, 6]),
        simulated_record(
            2,
            dice=0.6,
            infection_ml=70.0,
            ctss=3,
            ctss_range=[3, 4],
            lungs_dice=[0.99, 0.91],
            opacities_ml={"ground_glass": [20.0, 100.0], "consolidation": [0.0, 0.0]},
        ),
        simulated_record(1, "reference", dice=0.5),
    ]
    found = by_title(figures(records, ["default", "reference"]))
    values = {title: figure.values["default"].value for title, figure in found.items()}
    assert values == pytest.approx(
        {
            "Dice, mean": 0.75,
            "consolidation, recall by volume": 36 / 40,
            "ground glass, recall by volume": 74 / 160,
            "volumes right, %": 50.0,
            "CTSS within 1, %": 50.0,
            "true CTSS in the range told, %": 50.0,
            "width of the range, mean": 1.5,
            "lungs' Dice, lowest": 0.91,
        }
    )
    assert found["consolidation, recall by volume"].values["default"].n == 1
    assert found["Dice, mean"].values["reference"].value == 0.5
    assert found["volumes right, %"].met("reference") is True
    assert found["lungs' Dice, lowest"].met("default") is False


def test_single_lesions_are_summed_up_by_themselves_by_kind_and_place_and_with_the_others():
    records = [
        simulated_record(1, dice=0.9),
        single_record(1, dice=0.8, opacities_ml={"ground_glass": [1.0, 4.0], "consolidation": [1.0, 1.0]}),
        single_record(
            2,
            "consolidation",
            "hilum",
            dice=0.4,
            opacities_ml={"ground_glass": [0.0, 0.0], "consolidation": [2.0, 5.0]},
        ),
    ]
    found = figures(records, ["default"])

    def value(part, of, title):
        (figure,) = [f for f in found if (f.part, f.of, f.title) == (part, of, title)]
        return figure.values["default"].value

    assert value("several lesions", "n1", "Dice, mean") == 0.9
    assert value("single lesions", "all chests", "Dice, mean") == pytest.approx(0.6)
    assert value("single lesions", "all chests", "consolidation, recall by volume") == 0.5
    assert value("single lesions", "hilum", "Dice, mean") == 0.4
    assert value("single lesions", "hilum", "recall by volume") == pytest.approx(0.4)
    assert value("single lesions", "mixed", "recall by volume") == pytest.approx(0.4)
    assert value("all simulated lesions", "all chests", "Dice, mean") == pytest.approx(0.7)


def test_healthy_chest_is_as_good_as_its_worst_variation():
    synthetic = {"normal": True, "synthetic": True, "ctss": 0}
    records = [
        ct_record("n", normal=True, ctss=0, infection_percent=0.02),
        ct_record("n", "tilt 10 deg, roll", normal=True, ctss=1, infection_percent=0.14),
        ct_record("n", "pixels 256", normal=True, ctss=4, infection_percent=0.4),
        ct_record("s", infection_percent=0.0, **synthetic),
        ct_record("s", "shift +30 HU", infection_percent=0.15, **synthetic),
        ct_record("p", infection_percent=9.0),
    ]
    found = figures(records, ["default"])
    values = {(f.of, f.title): f.values["default"].value for f in found if f.part == "healthy chests"}
    assert values == {
        ("n", "infected, most, %"): 0.14,
        ("n", "CTSS, highest"): 1,
        ("s", "infected, most, %"): 0.15,
        ("s", "CTSS, highest"): 0,
        ("all chests", "infected, most, %"): 0.15,
        ("all chests", "CTSS, highest"): 1,
    }
    assert [f.met("default") for f in found if (f.part, f.of) == ("healthy chests", "s")] == [False, True]
    assert {f.of for f in found if f.part in ("whole CTs", "other scanners")} == {"n", "p"}
    assert {f.part for f in figures(records, ["default"], resampling=False, healthy=False)} == {"whole CTs"}


@pytest.mark.parametrize(
    ("true_ml", "found_ml", "right"),
    [(1000, 1150, True), (1000, 1151, False), (1000, 849, False), (20, 30, True), (20, 30.1, False), (20, 0, False)],
)
def test_volume_is_right_within_15_percent_or_10_ml(true_ml, found_ml, right):
    assert volume_is_right({"true_ml": float(true_ml), "infection_ml": float(found_ml)}) is right


def test_robustness_is_the_largest_change_either_way():
    records = [
        ct_record("a"),
        ct_record("a", "slices 8 mm", ctss=3, infection_ml=130.0),
        ct_record("a", "noise 20 HU", ctss=6, infection_ml=60.0),
        ct_record("n", normal=True, infection_percent=0.1),
        ct_record("n", "noise 20 HU", normal=True, infection_percent=0.6),
    ]
    found = figures(records, ["default"])
    assert by_title(found, "a")["CTSS, largest change"].values["default"].value == 2
    assert by_title(found, "a")["volume, largest change, %"].values["default"].value == pytest.approx(40)
    assert by_title(found, "n")["infected, most, %"].met("default") is False
    assert "volume, largest change, %" not in by_title(found, "n")


def test_change_of_a_ct_that_could_not_be_analysed_is_not_told():
    assert figures([ct_record("a", "noise 20 HU")], ["default"]) == ()
    assert np.isnan(volume_change({"infection_ml": 3.0}, {"infection_ml": 0.0}))


def test_bounds_hold_at_their_edge_but_under_does_not():
    assert Target(Sense.AT_LEAST, 0.97).met(0.97) is True
    assert Target(Sense.AT_MOST, 1).met(1.0) is True
    assert Target(Sense.UNDER, 0.5).met(0.5) is False
    assert Target(Sense.UNDER, 0.5, " %").text == "under 0.5 %"
    assert Target(Sense.AT_MOST, 1).met(None) is None


def test_profiles_share_every_ct_and_lesion(tmp_path):
    chests = (Chest("p", tmp_path), Chest("n", tmp_path, normal=True), Chest("s", None, normal=True))
    work = Work(VARIATIONS, simulated=5, single_lesions=3, seed=3)
    cases = accuracy_cases(chests, ("default", "reference"), work)
    names = [case.name for case in cases]
    assert len(names) == len(set(names)) == 2 * (3 + 3 + 5 + 3)
    assert names[:3] == ["p/as it is/default", "p/as it is/reference", "p/slices 8 mm/default"]
    pairs = {case.name.rsplit("/", 1)[0]: case.spec for case in cases if case.spec}
    assert len(set(pairs.values())) == 8
    assert all(case.spec == pairs[case.name.rsplit("/", 1)[0]] for case in cases if case.spec)
    laid_in = {chest: [what for c, what in (pair.split("/") for pair in pairs) if c == chest] for chest in "ns"}
    assert laid_in["n"] == ["simulated 001", "simulated 003", "simulated 005", "single 001", "single 003"]
    assert laid_in["s"] == ["simulated 002", "simulated 004", "single 002"]


def test_healthy_chests_are_varied_once_whatever_else_is_asked_for(tmp_path):
    chests = (Chest("p", tmp_path), Chest("n", tmp_path, normal=True), Chest("s", None, normal=True))
    work = Work(healthy=True)
    whats = {
        name: [c.what for c in accuracy_cases(chests, ("default",), work) if c.chest.name == name] for name in "pns"
    }
    healthy = [AS_IT_IS, *(variation.name for variation in HEALTHY_VARIATIONS)]
    assert whats == {"p": [AS_IT_IS], "n": healthy, "s": healthy}
    both = accuracy_cases(chests, ("default",), Work(ALL_VARIATIONS, healthy=True))
    own = [case.what for case in both if case.chest.name == "n"]
    assert len(own) == len(set(own)) == 1 + len({*ALL_VARIATIONS, *HEALTHY_VARIATIONS})


def test_seeds_of_measured_chests_are_not_those_that_may_be_fitted_to():
    assert max(CHEST_SEEDS) < FITTING_SEEDS_FROM


@pytest.mark.slow
def test_chest_can_be_reduced_before_anything_is_done(monkeypatch):
    monkeypatch.setattr(accuracy, "PHANTOM_GRID", {"shape": (24, 48, 64), "spacing_mm": (6.0, 8.0, 13.0)})
    whole, reduced = (Chest("s", None, pixels=pixels).read() for pixels in (64, 32))
    assert whole.hu.shape == (24, 48, 64)
    assert reduced.hu.shape == (24, 32, 32)
    assert reduced.geometry.spacing_mm == pytest.approx((12.0, 12.0, 13.0))


def test_true_ctss_follows_from_the_lobes_shares():
    lobes = np.repeat(np.arange(6, dtype=np.uint8), 100).reshape(6, 10, 10)
    truth = np.zeros(lobes.shape, dtype=bool)
    truth[0], truth[1, 0, :4], truth[5, :8] = True, True, True  # outside, 4 % of the RUL, 80 % of the LLL
    assert true_ctss(truth, lobes) == score_for_percent(4) + score_for_percent(80) == 6


@pytest.mark.slow
@pytest.mark.parametrize("count", [0, 3])
def test_pictures_are_drawn_for_any_number_of_cases(tmp_path, count):
    laid_in = [simulated_record(n, dice=n / 4, true_percent=2.0 + n) for n in range(count)]
    rows = [
        {"chest": f"ct {n % 2}", "what": f"change {n}", "profile": "default", "normal": n % 2}
        | {"ctss_change": n, "volume_change_percent": value}
        for n, value in zip(range(count), (5.0, nan, -60.0), strict=False)
    ]
    for name, writer in (
        ("dice", accuracy_plots.dice_by_burden(laid_in, ["default", "reference"])),
        ("ctss", accuracy_plots.simulated_scores(laid_in, ["default", "reference"])),
        ("robustness", accuracy_plots.robustness(rows, ["default", "reference"])),
    ):
        writer(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture(scope="module")
def healthy(phantom_of):
    return phantom_of(1, healthy=True, **GRID)


@pytest.fixture(scope="module")
def study(chest_folder, coarse_phantom, healthy, tmp_path_factory):
    """Images of a sick and a healthy chest, and the labels of the sick one as its truth has them."""
    root = tmp_path_factory.mktemp("accuracy")
    (root / "images").mkdir()
    (root / "labels").mkdir()
    shutil.copy(chest_folder / "ct.nii.gz", root / "images" / "sick.nii.gz")
    write_phantom(healthy, root / "well")
    (root / "well" / "ct.nii.gz").rename(root / "images" / "well.nii.gz")
    lines = ["file,z_mm,infected," + ",".join(LOBES)]
    for k, z in enumerate(coarse_phantom.volume.geometry.slice_z_mm()):
        found = set(np.unique(coarse_phantom.lobes[k][coarse_phantom.infection[k] > 0]).tolist())
        cells = [int(Lobe[name] in found) for name in LOBES]
        lines.append(f"{k}.dcm,{z:.2f},{int(any(cells))},{','.join(map(str, cells))}")
    (root / "labels" / "sick_labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def run(program, study, tmp_path_factory):
    """A run with everything in it, on coarse chests, and its folder."""
    out = tmp_path_factory.mktemp("out") / "accuracy"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accuracy, "PHANTOM_GRID", GRID)
        patch.setattr(evaluate_accuracy, "VARIATIONS", VARIATIONS[:1])
        patch.setattr(accuracy, "HEALTHY_VARIATIONS", HEALTHY_VARIATIONS[-1:])
        done = program("evaluate", "accuracy", *everything(study), "-o", out)
    assert done.status == 0, done.err
    return done, out


def everything(study):
    folders = ("--images", study / "images", "--slice-labels", study / "labels", "--normal", "well")
    return *folders, "--simulated", 2, "--single-lesions", 1, "--healthy", "--resampling"


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def summary(out):
    return json.loads((out / "summary.json").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_run_writes_every_file_and_prints_the_table(run):
    done, out = run
    tables = {"results.csv", "robustness.csv", "failures.csv", "summary.json", "table.md", "cases.jsonl"}
    assert {path.name for path in out.iterdir()} == tables | {"dice.png", "ctss.png", "robustness.png"}
    assert_described(out, "evaluate accuracy")
    assert rows(out / "failures.csv") == []
    assert len(rows(out / "results.csv")) == 2 * (2 + 2 + 2 + 1 + 1 + 2)
    for text in (done.out, (out / "table.md").read_text(encoding="utf-8")):
        assert "at least 0.97" in text
        assert "default" in text
        assert "reference" in text
        assert "Dice, mean" in text
        assert "consolidation, recall by volume" in text
        assert "ingle lesions" in text
        assert "ealthy chests" in text
    assert "## Whole CTs\n" in (out / "table.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_figures_are_those_of_the_analysis(run, study, coarse_phantom):
    _, out = run
    volume = read_ct(study / "images" / "sick.nii.gz")
    found = {(f["of"], f["figure"]): f for f in summary(out)["figures"]}
    for profile in ("default", "reference"):
        expected = analyze(volume, AnalysisConfig.for_profile(profile))
        assert found["sick", "CTSS"]["values"][profile]["value"] == expected.ctss
        percent = found["sick", "infected, % of the lungs"]["values"][profile]["value"]
        assert percent == pytest.approx(expected.infection_percent, abs=1e-3)
        infected = coarse_phantom.infection.any(axis=(1, 2))
        shares = [row.infection_percent for row in expected.slices]
        area = found["sick", "ROC area, slices"]["values"][profile]
        assert area["value"] == pytest.approx(roc_auc_score(infected, shares), abs=1e-3)
        assert area["low"] <= area["value"] <= area["high"]
        assert area["n"] == volume.hu.shape[0]


@pytest.mark.slow
def test_misses_are_marked_and_counted(run):
    done, out = run
    found = summary(out)
    missed = [f for f in found["figures"] if f["met"]["reference"] is False]
    assert found["missed"]["reference"] == len(missed) > 0
    assert all(f["asked"] for f in missed)
    text = (out / "table.md").read_text(encoding="utf-8")
    assert text.count(" missed**") == sum(found["missed"].values())
    assert done.out.count(" missed\n") + done.out.count(" missed  ") == sum(found["missed"].values())


@pytest.mark.slow
def test_results_hold_the_truth_of_every_simulated_case(run):
    _, out = run
    laid_in = [row for row in rows(out / "results.csv") if row["what"].startswith(("simulated", "single"))]
    assert [row["chest"] for row in laid_in] == ["well"] * 4 + ["synthetic 0"] * 2
    for first, second in zip(laid_in[::2], laid_in[1::2], strict=True):
        assert (first["profile"], second["profile"]) == ("default", "reference")
        assert (first["true_ml"], first["true_ctss"]) == (second["true_ml"], second["true_ctss"])
        assert 0 <= float(first["dice"]) <= 1
        recalls = [
            float(first[f"{name}_recall"]) for name in ("ground_glass", "consolidation") if first[f"{name}_recall"]
        ]
        assert len(recalls) == (2 if first["kind"] == "mixed" else 1)
        assert all(0 <= recall <= 1 for recall in recalls)


@pytest.mark.slow
def test_resumed_run_does_nothing_again(program, run, study, monkeypatch):
    _, out = run
    monkeypatch.setattr(accuracy, "PHANTOM_GRID", GRID)
    monkeypatch.setattr(evaluate_accuracy, "VARIATIONS", VARIATIONS[:1])
    monkeypatch.setattr(accuracy, "HEALTHY_VARIATIONS", HEALTHY_VARIATIONS[-1:])
    monkeypatch.setattr(Workbench, "measure", lambda *_: pytest.fail("nothing is to be done"))
    before = summary(out)
    again = program("evaluate", "accuracy", *everything(study), "-o", out, "--resume")
    assert again.status == 0, again.err
    assert summary(out) == before
    other = program("evaluate", "accuracy", *everything(study), "-o", out, "--resume", "--seed", 1)
    assert other.status == 2
    assert "was made with another seed" in other.err


@pytest.mark.slow
def test_ct_and_lesions_are_made_once_for_all_profiles(healthy, monkeypatch):
    made = []

    def counted(name, function):
        return lambda *arguments, **options: made.append(name) or function(*arguments, **options)

    without_lesions = analyze(healthy.volume)
    monkeypatch.setattr(accuracy, "make_phantom", counted("make_phantom", lambda *_, **__: healthy))
    monkeypatch.setattr(accuracy, "analyze", counted("analyze", lambda *_: without_lesions))
    monkeypatch.setattr(accuracy, "simulate_lesions", counted("simulate_lesions", accuracy.simulate_lesions))
    bench = Workbench({name: AnalysisConfig() for name in ("a", "b")})
    cases = accuracy_cases((Chest("synthetic", None, normal=True, seed=1),), ("a", "b"), Work(simulated=1))
    first, second = (bench.measure(case) for case in cases)
    assert made == ["make_phantom", "analyze", "simulate_lesions", "analyze", "analyze"]
    assert first["true_ml"] == second["true_ml"] > 0
    assert first["lungs_dice"] == [1.0, 1.0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "there is nothing to measure"),
        (("--simulated", "-1"), "--simulated -1 is negative"),
        (("--simulated", "1", "--seed", "-1"), "--seed -1 is negative"),
        (("--single-lesions", "-1"), "--single-lesions -1 is negative"),
        (("--healthy", "--synthetic", "0"), "--healthy needs healthy chests"),
        (("--healthy", "--synthetic", "11"), "--synthetic 11 is not between 0 and 10"),
        (("--healthy", "--pixels", "8"), "--pixels 8 is too few"),
        (("--simulated", "1", "--resampling"), "--resampling needs CTs"),
        (("--simulated", "1", "--profiles", "best"), "no profile 'best'"),
        (("--simulated", "1", "--profiles", ","), "--profiles names nothing"),
        (("--images", "images", "--normal", "nobody"), "--normal names nobody, which is no CT of --images"),
        (("--images", "images", "--slice-labels", "images"), "has labels of no CT"),
        (("--images", "nowhere"), "no such folder of images"),
    ],
)
def test_options_that_cannot_be_used_end_with_status_2(program, study, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(study)
    done = program("evaluate", "accuracy", *options, "-o", tmp_path / "out")
    assert done.status == 2
    assert message in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_labels_of_another_ct_fail_that_case_and_no_other(program, study, tmp_path, monkeypatch):
    labels = tmp_path / "labels"
    labels.mkdir()
    (labels / "sick_labels.csv").write_text("z_mm,infected,RUL,RML,RLL,LUL,LLL\n0,0,0,0,0,0,0\n", encoding="utf-8")
    options = ("--images", study / "images", "--slice-labels", labels, "--profiles", "default")
    done = program("evaluate", "accuracy", *options, "-o", tmp_path / "out")
    assert done.status == 0, done.err
    (failure,) = rows(tmp_path / "out" / "failures.csv")
    assert failure["case"] == "sick/as it is/default"
    assert "slices have no label" in failure["reason"]
    assert "note: no labels, and not named as normal: well" in done.err
