"""``covid-severity evaluate``: folders and tables in, tables, plots and a summary out."""

import csv
import io
import json
import shutil
import sys

import numpy as np
import pytest
from sklearn import metrics as oracle

from CovidSeverityLib.classification.description import NetworkDescription
from CovidSeverityLib.commands import evaluations
from CovidSeverityLib.commands.progress import progress_for
from CovidSeverityLib.evaluation import extras
from CovidSeverityLib.evaluation.paper.segmentation import evaluate_segmentation
from Testing.data_files import assert_described, assert_follows, schema_for

PNG = b"\x89PNG\r\n\x1a\n"


def rows(path):
    """The rows of a CSV file as dictionaries."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def summary(folder):
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))


def names(folder):
    return {path.name for path in folder.iterdir()}


def write_csv(path, *lines):
    path.write_text("".join(f"{','.join(map(str, line))}\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def study(chest_folder, tmp_path_factory):
    """Images, masks and lungs of a study: two chests that can be read (the same one twice), and one that cannot."""
    root = tmp_path_factory.mktemp("study")
    for kind, file in (("images", "ct"), ("masks", "infection"), ("lungs", "lungs")):
        (root / kind).mkdir()
        for name in ("study_1", "study_2", "study_10"):
            ending = {"images": "", "masks": "_mask", "lungs": "_lungs"}[kind]
            shutil.copy(chest_folder / f"{file}.nii.gz", root / kind / f"{name}{ending}.nii.gz")
    damaged = root / "images" / "study_10.nii.gz"
    damaged.write_bytes(damaged.read_bytes()[:5000])
    return root


def masked(study):
    return (
        "--images",
        study / "images",
        "--masks",
        study / "masks",
        "--lungs",
        study / "lungs",
        "--slices",
        "20-24,59-64",
    )


@pytest.fixture(scope="module")
def segmentation(program, study, tmp_path_factory):
    """The run of ``evaluate segmentation`` and its folder."""
    out = tmp_path_factory.mktemp("out") / "segmentation"
    return program("evaluate", "segmentation", *masked(study), "-o", out), out


def test_segmentation_writes_every_file(segmentation):
    run, out = segmentation
    tables = {"results.csv", "slices.csv", "failures.csv", "summary.json", "table.md", "cases.jsonl"}
    assert run.status == 0
    assert names(out) == tables | {"dice.png", "volumes.png"}
    assert all((out / name).read_bytes().startswith(PNG) for name in ("dice.png", "volumes.png"))
    assert "Dice per case" in run.out
    assert str(out) in run.out
    assert_described(out, "evaluate segmentation")


def test_case_that_fails_is_named_with_its_reason(segmentation):
    run, out = segmentation
    assert rows(out / "failures.csv") == [
        {"case": "study_10", "reason": "study_10.nii.gz is damaged or cut short: its compressed data do not decompress"}
    ]
    assert "warning: 1 case failed (study_10): failures.csv says why" in run.err
    assert (summary(out)["cases"], summary(out)["failed"]) == (2, 1)


def test_segmentation_names_its_protocol_and_counts_every_slice(segmentation):
    _, out = segmentation
    found = summary(out)
    assert found["protocol"]["name"] == "all"
    assert (found["slices"], found["slices_left_out"], found["per_slice_resampled"]) == (22, 0, "cases")
    assert "Protocol *all*: every slice counts" in (out / "table.md").read_text(encoding="utf-8")
    measures = ["dice", "sensitivity", "specificity", "precision", "jaccard", "mcc", "mae", "accuracy"]
    assert list(found["per_slice"]) == list(found["per_case"]) == measures


def test_tables_of_cases_and_slices_follow_from_the_counts(segmentation):
    _, out = segmentation
    slices, cases = rows(out / "slices.csv"), rows(out / "results.csv")
    assert [row["case"] for row in cases] == ["study_1", "study_2"]
    first = [row for row in slices if row["case"] == "study_1"]
    assert [int(row["slice"]) for row in first] == [*range(20, 25), *range(59, 65)]
    tp, fp, fn = (sum(int(row[c]) for row in first) for c in ("true_positive", "false_positive", "false_negative"))
    assert float(cases[0]["dice"]) == pytest.approx(2 * tp / (2 * tp + fp + fn), rel=1e-5)
    assert summary(out)["per_case"]["dice"]["value"] == pytest.approx(float(cases[0]["dice"]), rel=1e-5)
    mean = np.mean([float(row["dice"]) for row in slices])
    assert summary(out)["per_slice"]["dice"]["value"] == pytest.approx(mean, rel=1e-5)


def test_protocol_of_the_paper_is_taken_from_the_same_run(program, segmentation, study, tmp_path, monkeypatch):
    out = tmp_path / "paper"
    shutil.copytree(segmentation[1], out)
    monkeypatch.setattr(evaluations, "evaluate_segmentation", lambda *_, **__: pytest.fail("nothing is to be done"))
    (study / "images" / "study_10.nii.gz").rename(study / "hidden")
    try:
        run = program("evaluate", "segmentation", *masked(study), "--protocol", "paper", "-o", out, "--resume")
    finally:
        (study / "hidden").rename(study / "images" / "study_10.nii.gz")
    assert run.status == 0, run.err
    found = summary(out)
    assert_described(out, "evaluate segmentation")
    empty = [row for row in rows(out / "slices.csv") if row["true_positive"] == row["false_positive"] == "0"]
    assert found["protocol"]["name"] == "paper"
    assert found["slices_left_out"] == len(empty) > 0
    assert {row["counted"] for row in empty} == {"0"}
    assert "as the method's authors did" in (out / "table.md").read_text(encoding="utf-8")


def test_interrupted_run_goes_on_where_it_stopped(program, study, tmp_path, monkeypatch):
    seen = []

    def stopping(case, **options):
        seen.append(case.name)
        if case.name == "study_2" and seen.count("study_2") == 1:
            raise KeyboardInterrupt
        return evaluate_segmentation(case, **options)

    monkeypatch.setattr(evaluations, "evaluate_segmentation", stopping)
    command = ("evaluate", "segmentation", *masked(study), "-o", tmp_path / "out")
    stopped = program(*command)
    assert stopped.status == 1
    assert stopped.err == "covid-severity: stopped after 1 of 3 cases; --resume goes on with the rest\n"
    assert names(tmp_path / "out") == {"unfinished.jsonl"}
    again = program(*command)
    assert again.status == 2
    assert "an unfinished run is in" in again.err
    resumed = program(*command, "--resume")
    assert resumed.status == 0
    assert seen == ["study_1", "study_2", "study_2", "study_10"]
    assert summary(tmp_path / "out")["cases"] == 2
    other = program(*command, "--resume", "--profile", "reference")
    assert other.status == 2
    assert "was made with another configuration" in other.err


@pytest.mark.slow
def test_progress_tells_cases_done_and_time_left(program, study, tmp_path):
    run = program("evaluate", "segmentation", *masked(study), "-o", tmp_path / "out", "--progress", "json")
    lines = [json.loads(line) for line in run.out.splitlines()]
    for line in lines:
        assert_follows(line, schema_for("each line of output", "--progress json"))
    assert [(line["done"], line["total"]) for line in lines] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert lines[0]["seconds_left"] is None
    assert lines[1]["seconds_left"] > 0
    assert lines[3]["seconds_left"] == 0


def test_bar_tells_cases_done_and_time_left_however_slow_they_are(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    now = 1000.0
    monkeypatch.setattr("rich.console.monotonic", lambda: now)
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    with progress_for("bar", io.StringIO(), of_cases=True) as progress:
        for done in (20, 21, 22, 23):
            progress("cases", done, 100)
            now += 60.0
    drawn = sys.stderr.getvalue()
    assert "23/100" in drawn
    assert "1:17:00" in drawn  # 77 cases at a minute each; the 20 of an earlier run were not done in no time


@pytest.mark.slow
def test_json_is_the_summary_and_nothing_else(program, study, tmp_path):
    run = program("evaluate", "segmentation", *masked(study), "-o", tmp_path / "out", "--json")
    assert json.loads(run.out) == summary(tmp_path / "out")


def test_nothing_of_the_folders_reaches_the_files(segmentation, study):
    _, out = segmentation
    for name in names(out):
        assert str(study).encode() not in (out / name).read_bytes(), name


def test_run_in_which_every_case_fails_says_why(program, study, tmp_path):
    (tmp_path / "masks").mkdir()
    shutil.copy(study / "masks" / "study_10_mask.nii.gz", tmp_path / "masks" / "study_10.nii.gz")
    run = program(
        "evaluate", "segmentation", "--images", study / "images", "--masks", tmp_path / "masks", "-o", tmp_path / "out"
    )
    assert run.status == 2
    assert "none of 3 cases could be evaluated (failures.csv has the reasons)" in run.err
    assert names(tmp_path / "out") == {"failures.csv"}
    assert {row["case"] for row in rows(tmp_path / "out" / "failures.csv")} == {"study_1", "study_2", "study_10"}


@pytest.fixture(scope="module")
def beside(program, study, tmp_path_factory):
    """A run with images, masks and lungs in one folder, in both lungs, and its folder."""
    root = tmp_path_factory.mktemp("beside")
    for kind, ending in (("images", "ct"), ("masks", "lesions"), ("lungs", "lungs")):
        source = study / kind / f"study_1{ {'images': '', 'masks': '_mask', 'lungs': '_lungs'}[kind] }.nii.gz"
        for number in (1, 2):
            shutil.copy(source, root / f"{number}_{ending}.nii.gz")
    patterns = {
        "--images": root / "*_ct.nii.gz",
        "--masks": root / "*_lesions.nii.gz",
        "--lungs": root / "*_lungs.nii.gz",
    }
    options = [part for pair in patterns.items() for part in pair]
    out = root / "out"
    return program("evaluate", "segmentation", *options, "--slices", "20-24", "--in-lungs", "both", "-o", out), out


@pytest.mark.slow
def test_images_masks_and_lungs_may_lie_in_one_folder(beside):
    run, out = beside
    assert run.status == 0, run.err
    assert_described(out, "evaluate segmentation")
    assert rows(out / "failures.csv") == []
    cases = rows(out / "results.csv")
    assert [(row["case"], row["lungs"]) for row in cases] == [
        ("1_ct", "own"),
        ("2_ct", "own"),
        ("1_ct", "given"),
        ("2_ct", "given"),
    ]
    assert run.err == ""


@pytest.mark.slow
def test_both_lungs_are_shown_each_for_itself(beside):
    run, out = beside
    assert "own lungs: Dice per case" in run.out
    assert "given lungs: Dice per case" in run.out
    assert "per slice with lesions" in run.out
    assert "own lungs' Dice" in run.out
    found = summary(out)
    given = found["in_given_lungs"]
    assert (found["lungs"], given["lungs"]) == ("own", "given")
    for lungs, values in (("own", found), ("given", given)):
        own = [row for row in rows(out / "slices.csv") if row["lungs"] == lungs]
        infected = [float(row["dice"]) for row in own if int(row["true_positive"]) + int(row["false_negative"])]
        assert values["infected_slices"] == len(infected)
        assert values["per_infected_slice"]["dice"]["value"] == pytest.approx(np.mean(infected), rel=1e-4)
    (row, *_) = rows(out / "results.csv")
    assert 0.9 < float(row["own_lungs_dice"]) <= 1
    assert 90 < float(row["lesions_in_own_lungs_percent"]) <= 100
    table = (out / "table.md").read_text(encoding="utf-8")
    assert "## In our own lungs" in table
    assert "## In the given lungs" in table


def test_lungs_and_patterns_that_cannot_be_used_end_with_status_2(program, study, tmp_path):
    folders = ("--images", study / "images", "--masks", study / "masks")
    run = program("evaluate", "segmentation", *folders, "--in-lungs", "both", "-o", tmp_path / "out")
    assert run.status == 2
    assert "--in-lungs both needs lung masks: --lungs DIR" in run.err
    folders = ("--images", study / "images" / "*_t2*", "--masks", study / "masks")
    run = program("evaluate", "segmentation", *folders, "-o", tmp_path / "out")
    assert run.status == 2
    assert "images holds no image named *_t2*" in run.err
    run = program("evaluate", "segmentation", "--images", tmp_path / "no" / "*", *folders[2:], "-o", tmp_path / "out")
    assert run.status == 2
    assert "no such folder of images" in run.err


@pytest.mark.slow
def test_masks_and_lungs_may_lie_inside_the_folder_of_images(program, study, tmp_path):
    shutil.copytree(study / "images", tmp_path / "set")
    for kind in ("masks", "lungs"):
        shutil.copytree(study / kind, tmp_path / "set" / kind)
    shutil.copy(study / "masks" / "study_1_mask.nii.gz", tmp_path / "set" / "masks" / "study_4_mask.nii.gz")
    folders = ("--images", tmp_path / "set", "--masks", tmp_path / "set/masks", "--lungs", tmp_path / "set/lungs")
    run = program("evaluate", "segmentation", *folders, "--slices", "25", "-o", tmp_path / "out")
    assert run.status == 0, run.err
    assert [row["case"] for row in rows(tmp_path / "out" / "results.csv")] == ["study_1", "study_2"]
    assert [row["case"] for row in rows(tmp_path / "out" / "failures.csv")] == ["study_10"]
    assert "note: 1 mask without an image (study_4_mask)" in run.err


def test_slices_of_each_case_come_from_a_table(program, study, tmp_path):
    table = write_csv(tmp_path / "slices.csv", ("case", "slices"), ("study_2", "20-22"), ("study_5", "7"))
    folders = ("--images", study / "images", "--masks", study / "masks", "--lungs", study / "lungs")
    run = program("evaluate", "segmentation", *folders, "--slices", table, "-o", tmp_path / "out")
    assert run.status == 0, run.err
    found = [(row["case"], row["slice"]) for row in rows(tmp_path / "out" / "slices.csv")]
    assert found == [("study_2", "20"), ("study_2", "21"), ("study_2", "22")]
    assert [row["case"] for row in rows(tmp_path / "out" / "failures.csv")] == ["study_5"]
    assert summary(tmp_path / "out")["per_slice_resampled"] == "slices"
    assert "resampling the slices of the only case" in (tmp_path / "out" / "table.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_ablation_compares_every_step(program, study, tmp_path):
    out = tmp_path / "ablation"
    run = program("evaluate", "ablation", *masked(study), "-o", out)
    assert run.status == 0, run.err
    assert names(out) >= {"results.csv", "table.md", "summary.json", "segmentation.png", "classification_image.png"}
    assert_described(out, "evaluate ablation")
    found = summary(out)
    steps = ["without filling", "without smoothing", "without volume opening"]
    assert list(found["segmentation"]) == ["all steps", *steps]
    assert list(found["classification_image"])[:3] == ["as published", "without filling", "without boundary"]
    assert len(rows(out / "results.csv")) == 2 * (4 + 7)
    dice = {row["variant"]: float(row["dice"]) for row in rows(out / "results.csv") if row["of"] == "segmentation"}
    for name, value in dice.items():
        assert found["segmentation"][name]["dice"]["value"] == pytest.approx(value, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["default", "reference"])
def test_scores_of_images_are_those_of_the_analysis(
    program, study, coarse_analysis, reference_analysis, tmp_path, profile
):
    truth = write_csv(tmp_path / "truth.csv", ("study_1", 6), ("study_2.nii.gz", 9), ("study_77", 3))
    out = tmp_path / "out"
    run = program("evaluate", "ctss", "--images", study / "images", "--truth", truth, "-o", out, "--profile", profile)
    assert run.status == 0, run.err
    assert_described(out, "evaluate ctss")
    expected = coarse_analysis if profile == "default" else reference_analysis
    found = rows(out / "results.csv")
    assert [(row["case"], row["truth"]) for row in found] == [("study_1", "6"), ("study_2.nii.gz", "9")]
    assert {int(row["ctss"]) for row in found} == {expected.ctss}
    assert [int(found[0][f"lobe_{score.lobe.name}"]) for score in expected.lobe_scores] == [
        score.score for score in expected.lobe_scores
    ]
    assert ("ctss_max_variant" in found[0]) == (profile == "reference")
    if profile == "reference":
        assert int(found[0]["ctss_max_variant"]) == expected.ctss_max_variant
    assert summary(out)["variants"]["ctss"]["bias"]["value"] == pytest.approx(expected.ctss - 7.5)
    assert rows(out / "failures.csv") == [{"case": "study_77", "reason": "no image has this name"}]
    assert "note: the table does not name 1 image (study_10)" in run.err
    assert names(out) >= {"scatter.png", "bland_altman.png", "table.md"}


@pytest.mark.slow
def test_own_results_can_be_scored_again(program, tmp_path):
    truth = write_csv(tmp_path / "truth.csv", *((f"p{n}", n) for n in range(12)))
    scores = write_csv(tmp_path / "scores.csv", ("case", "ctss"), *((f"p{n}", min(n + n % 3, 25)) for n in range(12)))
    first = program("evaluate", "ctss", "--predictions", scores, "--truth", truth, "-o", tmp_path / "a")
    second = program("evaluate", "ctss", "--predictions", tmp_path / "a" / "results.csv", "-o", tmp_path / "b")
    assert (first.status, second.status) == (0, 0), second.err
    assert_described(tmp_path / "a", "evaluate ctss")
    assert summary(tmp_path / "a")["variants"] == summary(tmp_path / "b")["variants"]
    assert summary(tmp_path / "a")["variants"]["ctss"]["bias"]["value"] == pytest.approx(1.0)
    assert (tmp_path / "a" / "scatter.png").read_bytes() == (tmp_path / "b" / "scatter.png").read_bytes()


def test_diagnoses_that_exist_are_scored(program, tmp_path):
    random = np.random.default_rng(8)
    truth = random.integers(0, 3, 30)
    scores = random.dirichlet([1, 1, 1], 30) * 0.5 + 0.5 * np.eye(3)[random.permutation(truth)]
    words = ["NORMAL", "CAP", "COVID-19"]
    labels = write_csv(
        tmp_path / "final_label.csv",
        ("", "PatientName", "Labels"),
        *((n, f"T1-{n:03}", words[label]) for n, label in enumerate(truth)),
    )
    predictions = write_csv(
        tmp_path / "predictions.csv",
        ("case", "normal", "cap", "covid19"),
        *((f"T1-{n:03}", *(f"{v:.6f}" for v in row)) for n, row in enumerate(scores)),
    )
    out = tmp_path / "out"
    run = program("evaluate", "classification", "--predictions", predictions, "--labels", labels, "-o", out)
    assert run.status == 0, run.err
    assert_described(out, "evaluate classification")
    found, predicted = summary(out), scores.argmax(axis=1)
    assert found["confusion"] == oracle.confusion_matrix(truth, predicted).tolist()
    assert found["accuracy"]["value"] == pytest.approx(oracle.accuracy_score(truth, predicted))
    for n, part in enumerate(found["per_class"].values()):
        assert part["auc"]["value"] == pytest.approx(oracle.roc_auc_score(truth == n, scores[:, n]), abs=1e-6)
        assert part["sensitivity"]["value"] == pytest.approx(oracle.recall_score(truth == n, predicted == n))
        assert part["auc"]["low"] <= part["auc"]["value"] <= part["auc"]["high"]
    assert names(out) == {"results.csv", "failures.csv", "summary.json", "table.md", "confusion.png", "roc.png"}


@pytest.mark.slow
def test_images_are_classified_slice_by_slice_and_voted_on(program, study, tmp_path, monkeypatch):
    weights = tmp_path / "weights.hdf5"
    weights.touch()
    seen = []

    class Lit:
        """COVID-19 where a tenth of the image is lit."""

        name, sha256 = "lit", "ab" * 32
        description = NetworkDescription(size_px=96, image="without-filling")

        def __call__(self, images):
            seen.append(images.shape)
            lit = (images > 0).mean(axis=(1, 2))
            return np.stack([0.9 - 0.8 * (lit > 0.1), 0 * lit + 0.05, 0.05 + 0.8 * (lit > 0.1)], axis=1)

    monkeypatch.setattr("CovidSeverityLib.classification.keras.network.load_classifier", lambda *_: Lit())
    labels = write_csv(tmp_path / "l.csv", ("case", "label"), ("study_1", "COVID-19"), ("study_2", "normal"))
    options = ("--images", study / "images", "--labels", labels, "--classifier", weights, "-o", tmp_path / "out")
    run = program("evaluate", "classification", *options)
    assert run.status == 0, run.err
    assert_described(tmp_path / "out", "evaluate classification")
    first, second = rows(tmp_path / "out" / "results.csv")
    assert (first["truth"], second["truth"]) == ("COVID-19", "normal")
    assert first["predicted"] == second["predicted"]  # the same chest twice
    scores = [float(first[f"score_{name}"]) for name in ("normal", "cap", "covid19")]
    assert sum(scores) == pytest.approx(1, abs=1e-5)
    assert int(first["slices"]) == sum(shape[0] for shape in seen) / 2 > 20
    assert {shape[1:] for shape in seen} == {(96, 96)}
    assert summary(tmp_path / "out")["accuracy"]["value"] == 0.5
    again = program("evaluate", "classification", *options, "--image", "without-filling", "--resume")
    assert again.status == 0, again.err
    other = program("evaluate", "classification", *options, "--image", "as-published", "--resume")
    assert other.status == 2
    assert "was made with another configuration" in other.err


def test_prediction_without_label_or_with_an_unclear_name_is_named(program, tmp_path):
    labels = write_csv(
        tmp_path / "l.csv", ("case", "label"), ("./P001", "COVID-19"), ("P002", "CAP"), ("P003", "normal")
    )
    predictions = write_csv(
        tmp_path / "p.csv", ("case", "label"), ("P001", "COVID-19"), ("a/P002", "CAP"), ("b/P002", "CAP")
    )
    run = program("evaluate", "classification", "--predictions", predictions, "--labels", labels, "-o", tmp_path / "o")
    assert run.status == 0, run.err
    reasons = {row["case"]: row["reason"] for row in rows(tmp_path / "o" / "failures.csv")}
    assert reasons == {
        "P002": "more than one prediction may be meant: a/P002, b/P002",
        "P003": "no prediction has this name",
    }
    assert summary(tmp_path / "o")["cases"] == 1


def test_diagnoses_without_probabilities_have_no_roc_curve(program, tmp_path):
    labels = write_csv(tmp_path / "l.csv", ("study_id", "category"), ("study_1", "CT-0"), ("study_2", "CT-3"))
    predictions = write_csv(tmp_path / "p.csv", ("case", "label"), ("study_1", "normal"), ("study_2", "CAP"))
    run = program("evaluate", "classification", "--predictions", predictions, "--labels", labels, "-o", tmp_path / "o")
    assert run.status == 0, run.err
    assert "roc.png" not in names(tmp_path / "o")
    assert_described(tmp_path / "o", "evaluate classification")
    assert summary(tmp_path / "o")["confusion"] == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]
    assert summary(tmp_path / "o")["per_class"]["COVID-19"]["auc"]["value"] is None


@pytest.mark.parametrize(
    ("what", "options", "expected"),
    [
        ("segmentation", ("--images", "nowhere", "--masks", "masks"), "no such folder of images: nowhere"),
        ("segmentation", ("--images", "images", "--masks", "images"), "same"),
        (
            "segmentation",
            ("--images", "images", "--masks", "masks", "--mask-labels", "one"),
            "--mask-labels 'one' is no",
        ),
        ("segmentation", ("--images", "images", "--masks", "masks", "--mask-labels", "0,1"), "whole numbers from 1 on"),
        ("segmentation", ("--images", "images", "--masks", "masks", "--slices", "9-3"), "9-3"),
        ("segmentation", ("--images", "images", "--masks", "masks", "--profile", "best"), "no profile 'best'"),
        ("ablation", ("--images", "images", "--masks", "masks", "--profile", "best"), "no profile 'best'"),
        ("ctss", ("--images", "images"), "--images needs the radiologists' scores: --truth CSV"),
        ("ctss", ("--predictions", "nowhere.csv"), "no such table of scores: nowhere.csv"),
        ("ctss", ("--predictions", "labels.csv", "--resume"), "labels.csv"),
        ("classification", ("--images", "images", "--labels", "labels.csv"), "--classifier NAME or FILE"),
        (
            "classification",
            ("--images", "images", "--labels", "labels.csv", "--classifier", "w.h5"),
            "the classifier w.h5 is not there",
        ),
    ],
)
def test_options_that_cannot_be_used_end_with_status_2_and_leave_nothing(
    program, study, tmp_path, monkeypatch, what, options, expected
):
    monkeypatch.chdir(tmp_path)
    for kind in ("images", "masks"):
        (tmp_path / kind).symlink_to(study / kind)
    write_csv(tmp_path / "labels.csv", ("case", "label"), ("study_1", "CAP"))
    run = program("evaluate", what, *options, "-o", "out")
    assert run.status == 2
    assert expected in run.err
    assert run.err.startswith("covid-severity: ")
    assert run.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_missing_library_is_named_with_the_command_that_installs_it(program, tmp_path, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "pingouin" else object())
    run = program("evaluate", "ctss", "--predictions", tmp_path / "p.csv", "-o", tmp_path / "out")
    assert run.status == 2
    assert 'this needs pingouin, which is missing: pip install "covid-severity[evaluate]"' in run.err
