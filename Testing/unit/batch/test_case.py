"""One case on a worker: its folder, its seal, and when it is done again."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from CovidSeverityLib import AnalysisConfig, InputError, parallel
from CovidSeverityLib.batch import case as module
from CovidSeverityLib.batch.case import process_case
from CovidSeverityLib.batch.config import BatchConfig
from CovidSeverityLib.batch.destination import destination_of
from CovidSeverityLib.batch.plan import BatchPlan
from CovidSeverityLib.batch.seal import read_seal
from CovidSeverityLib.batch.values import BatchCase, CaseFailure, CaseResult
from CovidSeverityLib.classification.loading import ClassifierChoice
from CovidSeverityLib.evaluation.synthetic.phantom import write_phantom
from CovidSeverityLib.formats.batch_tables import CASES
from CovidSeverityLib.reporting.files import ReportPages
from CovidSeverityLib.segmentation.engines import Engines, LungmaskLobes
from CovidSeverityLib.segmentation.lobes.command_engine import PRESETS
from CovidSeverityLib.segmentation.lobes.values import OwnLobes

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def threads():
    """A worker bounds the threads of its process; the other tests get theirs back."""
    yield
    parallel.allow_threads(parallel.MAX_THREADS)


@pytest.fixture(scope="module")
def chest(tiny_chest, tmp_path_factory):
    """A file with a tiny chest."""
    folder = tmp_path_factory.mktemp("chest")
    write_phantom(tiny_chest, folder)
    return folder / "ct.nii.gz"


@pytest.fixture(scope="module")
def done(chest, tmp_path_factory):
    """A plan, the case, and what became of it."""
    plan = BatchPlan(destination_of(str(tmp_path_factory.mktemp("out"))))
    case = BatchCase("P 1", str(chest))
    return plan, case, process_case(case, "cases/P_1", plan, 0).outcome


@pytest.fixture
def again(done, monkeypatch):
    """A function that does the case again; ``analysed`` counts how often it was read."""
    plan, case, _ = done
    analysed = []
    run = module.AnalysisRequest.run
    monkeypatch.setattr(module.AnalysisRequest, "run", lambda *args: analysed.append(1) or run(*args))

    def do(**changes):
        outcome = process_case(case, "cases/P_1", replace(plan, **changes), 0).outcome
        assert isinstance(outcome, CaseResult)
        return outcome, len(analysed)

    return do


def folder_of(done):
    return done[0].destination.folder / "cases" / "P_1"


def test_case_has_the_files_of_analyze_and_its_seal(done):
    folder, outcome = folder_of(done), done[2]
    assert isinstance(outcome, CaseResult)
    assert (outcome.reused, outcome.redone) == (False, "")
    seal = json.loads((folder / "case.json").read_text())
    assert {*seal["files"]} == {path.name for path in folder.iterdir()} - {"case.json"}
    assert {"report.json", "report.html", "segmentation.seg.nrrd", "thumbnail.jpg"} < {*seal["files"]}
    assert seal["input_sha256"] == outcome.row["input_sha256"]


def test_row_says_what_the_report_says(done):
    outcome = done[2]
    report = json.loads((folder_of(done) / "report.json").read_text())
    row = outcome.row
    assert tuple(row) == CASES.header()
    assert (row["case"], row["folder"]) == ("P 1", "cases/P_1")
    assert row["ctss"] == report["ctss"]["total"] == sum(row[f"{lobe}_score"] for lobe in LOBES)
    assert [row["ctss_low"], row["ctss_high"]] == report["ctss"]["range"]
    assert row["ground_glass_ml"] == report["infection"]["ggo_ml"]
    assert row["warnings"] == sum(note["severity"] == "warning" for note in report["quality"])
    assert CASES.faults(CASES.header(), [["" if cell is None else str(cell) for cell in row.values()]]) == []


LOBES = ("rul", "rml", "rll", "lul", "lll")


def test_whole_result_is_taken_as_it_is(done, again):
    outcome, analysed = again()
    assert (outcome.reused, analysed) == (True, 0)
    assert outcome.row == done[2].row


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda folder: (folder / "lobes.csv").unlink(), "lobes.csv is missing"),
        (lambda folder: (folder / "report.json").write_text("{}"), "report.json has 2 bytes, not "),
        (lambda folder: _flip(folder / "overview.png"), "overview.png was changed"),
        (lambda folder: (folder / "case.json").write_text("{"), "its result was not whole"),
        (lambda folder: (folder / "case.json").unlink(), "its result was not whole"),
    ],
    ids=["missing", "shorter", "a byte", "seal cut", "no seal"],
)
def test_what_is_not_whole_is_seen(done, harm, reason):
    plan, folder = done[0], folder_of(done)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    origin = read_seal(plan.destination, "cases/P_1").origin
    harm(folder)
    try:
        assert module._why_again(plan, "cases/P_1", origin).startswith(reason)
    finally:
        for path, content in before.items():
            path.write_bytes(content)
    assert module._why_again(plan, "cases/P_1", origin) is None


def test_damaged_result_is_made_again_with_the_same_bits(done, again):
    folder = folder_of(done)
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".json"}
    _flip(folder / "overview.png")
    outcome, analysed = again()
    assert (outcome.reused, analysed, outcome.redone) == (False, 1, "overview.png was changed")
    assert outcome.row == done[2].row
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".json"} == before
    assert again()[0].reused


def _flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_other_settings_masks_and_versions_are_done_again(done, monkeypatch):
    plan, _, _ = done
    before = read_seal(plan.destination, "cases/P_1").origin
    for changes, reason in (
        ({"input_sha256": "0" * 64}, "the input changed"),
        ({"settings_sha256": "0" * 64}, "the settings changed"),
        ({"version": "9.9"}, f"the version (from {before.version} to 9.9) changed"),
    ):
        assert module._why_again(plan, "cases/P_1", replace(before, **changes)) == reason


def test_settings_know_every_option_and_mask(done, chest, tmp_path):
    plan, case, _ = done
    mask = chest.with_name("lungs.nii.gz")
    inputs = module.CaseInputs(chest, None, None)
    known = {digest(case, inputs, plan)}
    for changed in (
        replace(plan, force=True),
        replace(plan, dicom=True),
        replace(plan, independent_slices=True),
        replace(plan, pages=ReportPages(html=False)),
        replace(plan, config=AnalysisConfig.for_profile("reference")),
        replace(plan, classifier=ClassifierChoice("a", sha256="1")),
        replace(plan, engines=Engines(lobes=LungmaskLobes(mask))),
        replace(plan, engines=Engines(lobes=PRESETS["moose"])),
        replace(plan, engines=Engines(compared_lobes=LungmaskLobes(mask))),
        replace(plan, engines=Engines(compared_lobes=PRESETS["moose"])),
        replace(plan, engines=Engines(compared_lobes=OwnLobes())),
    ):
        known.add(digest(case, inputs, changed))
    known.add(digest(replace(case, series="1.2"), inputs, plan))
    known.add(digest(case, replace(inputs, lungs=mask), plan))
    known.add(digest(case, replace(inputs, lobes=mask), plan))
    assert len(known) == 15
    other = replace(plan, threads=7, limits=BatchConfig(timeout_s=1), destination=destination_of(str(tmp_path)))
    assert digest(case, inputs, other) == digest(case, inputs, plan)


def digest(case, inputs, plan):
    return module._origin(module._digests(inputs), case, plan, "").settings_sha256


def test_settings_travel_with_the_plan(tmp_path):
    """Weights are read where the plan is made, once, and not for every case by every worker."""
    weights = tmp_path / "weights"
    weights.write_bytes(b"1")
    engines = Engines(lobes=LungmaskLobes(weights), compared_lobes=PRESETS["moose"])
    plan = BatchPlan(destination_of(str(tmp_path)), engines=engines)
    sent = pickle.loads(pickle.dumps(plan))
    weights.unlink()
    assert sent == plan
    assert sent.settings == plan.settings


def test_case_with_a_mask_tells_how_the_lobes_of_the_library_agree(chest, tiny_chest, tmp_path):
    mask = tmp_path / "mask.nii.gz"
    image = sitk.GetImageFromArray(np.array([0, 12, 13, 14, 10, 11], np.uint8)[tiny_chest.lobes])
    image.CopyInformation(sitk.ReadImage(str(chest)))
    sitk.WriteImage(image, str(mask))
    engines = Engines(compared_lobes=OwnLobes())
    plan = BatchPlan(destination_of(str(tmp_path)), pages=ReportPages(html=False), engines=engines)
    case = BatchCase("a", str(chest), lobes=str(mask))
    outcome = process_case(case, "cases/a", plan, 0).outcome
    assert isinstance(outcome, CaseResult), outcome
    compared = json.loads((tmp_path / "cases" / "a" / "report.json").read_text())["lobes"]["compared"]
    assert compared["method"].startswith("fissure atlas")
    assert outcome.row["compared_ctss"] == compared["ctss"]
    assert outcome.row["compared_lowest_dice"] == min(compared["dice"].values()) < 1


def test_input_that_changes_while_it_is_read_is_no_result(chest, tmp_path, monkeypatch):
    copy = tmp_path / "ct.nii.gz"
    copy.write_bytes(chest.read_bytes())
    run = module.AnalysisRequest.run

    def changed(*args):
        found = run(*args)
        copy.write_bytes(chest.read_bytes() + b"more")
        return found

    monkeypatch.setattr(module.AnalysisRequest, "run", changed)
    plan = BatchPlan(destination_of(str(tmp_path / "out")))
    outcome = process_case(BatchCase("a", str(copy)), "cases/a", plan, 0).outcome
    assert outcome == CaseFailure("a", "input", "the input changed while it was read; --resume reads it again")
    assert not (tmp_path / "out" / "cases" / "a").exists()


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (InputError("not\na CT"), "input", "not a CT"),
        (MemoryError(), "limit", "not enough memory for this volume"),
        (ZeroDivisionError("division by zero"), "error", "unexpected ZeroDivisionError: division by zero"),
    ],
)
def test_every_error_is_a_sentence(chest, tmp_path, monkeypatch, error, kind, reason):
    def fail(*_):
        raise error

    monkeypatch.setattr(module.AnalysisRequest, "run", fail)
    plan = BatchPlan(destination_of(str(tmp_path)))
    assert process_case(BatchCase("a", str(chest)), "cases/a", plan, 0).outcome == CaseFailure("a", kind, reason)


def test_case_that_needs_more_memory_than_its_worker_is_refused_before_it_is_read(chest, tmp_path):
    plan = BatchPlan(destination_of(str(tmp_path)), limits=BatchConfig(watch_every_s=1000))
    outcome = process_case(BatchCase("a", str(chest)), "cases/a", plan, 500 * 2**20).outcome
    assert isinstance(outcome, CaseFailure)
    assert outcome.kind == "limit"
    assert "this process may use 0.5 GB" in outcome.reason
    assert outcome.reason.endswith("--memory-per-worker gives a worker more memory")


def test_worker_of_another_version_is_refused(chest, tmp_path):
    plan = BatchPlan(destination_of(str(tmp_path)), version="9.9")
    outcome = process_case(BatchCase("a", str(chest)), "cases/a", plan, 0).outcome
    assert isinstance(outcome, CaseFailure)
    assert outcome.kind == "worker"
    assert outcome.reason.endswith("the batch 9.9")
