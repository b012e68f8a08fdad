"""Inputs broken at random: exit status 0 or 2, one sentence, no traceback, no crash, no hang.

Not part of a plain run; ``pytest -m fuzz Testing/fuzz`` runs it, for COVID_SEVERITY_FUZZ_SECONDS (default: 600).
"""

from __future__ import annotations

import json
import os
import select
import shutil
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from pydicom import DataElement, dcmread
from pydicom.datadict import tag_for_keyword

pytestmark = pytest.mark.fuzz

SECONDS = float(os.environ.get("COVID_SEVERITY_FUZZ_SECONDS", "600"))
LONGEST_SECONDS = 60.0
"""An input that takes longer hangs."""

ROUND = settings(max_examples=20, deadline=None, database=None, suppress_health_check=list(HealthCheck))
"""Examples between two looks at the clock."""

WORKER = Path(__file__).with_name("worker.py")
ROOT = Path(__file__).parents[2]


class Program:
    """The command line in a process of its own, which is started again when it has died."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.outcomes = folder, Counter()
        self.process: subprocess.Popen | None = None

    def analyse(self, source: Path) -> None:
        """Analyse ``source``; fails unless it ends as promised."""
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen(
                [sys.executable, str(WORKER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
            )
        shutil.rmtree(self.folder / "out", ignore_errors=True)
        self.process.stdin.write(json.dumps([str(source), str(self.folder / "out")]) + "\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], LONGEST_SECONDS)
        if not ready:
            self.process.kill()
            pytest.fail(f"no answer within {LONGEST_SECONDS:.0f} s")
        answer = self.process.stdout.readline()
        assert answer, f"the process died: {self.process.wait()}; {self.process.stderr.read()[-500:]}"
        status, err = json.loads(answer)
        self.outcomes[status] += 1
        assert status in (0, 2), err
        assert "Traceback" not in err
        if status == 2:
            assert err.startswith("covid-severity: "), err
            assert err.count("\n") == 1, err
            assert not (self.folder / "out").exists(), "something was written"

    def end(self) -> None:
        """End the process; nothing may have been printed below Python."""
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait(30)
            assert self.process.stderr.read() == ""
            self.process.stdout.close()
            self.process.stderr.close()


def until(end: float, strategies: tuple[st.SearchStrategy, ...], run: Callable[..., None]) -> None:
    """Call ``run`` with examples until the time is over; the first ones are the same in every run."""
    number = 0
    while time.monotonic() < end:
        seed(number)(ROUND(given(*strategies)(run)))()
        number += 1


@pytest.fixture(scope="module")
def seconds(request) -> float:
    """Time for each test of this file."""
    tests = [item for item in request.session.items if item.module is request.module]
    return SECONDS / max(1, len(tests))


@pytest.fixture
def fuzzed(tmp_path, seconds):
    """The program, and when to end."""
    running = Program(tmp_path)
    yield running, time.monotonic() + seconds
    running.end()
    print(dict(running.outcomes))  # noqa: T201
    assert running.outcomes.total() >= 5


@pytest.fixture(scope="module")
def sources(tmp_path_factory, tiny_chest, write_series) -> dict[str, Path]:
    """A small chest in every form that is read."""
    folder = tmp_path_factory.mktemp("sources")
    volume = tiny_chest.volume
    image = sitk.GetImageFromArray(volume.hu)
    image.SetSpacing(volume.geometry.spacing_mm)
    image.SetOrigin(volume.geometry.origin_mm)
    image.SetDirection(volume.geometry.direction)
    found = {}
    for ending in ("nii", "nii.gz", "img", "nrrd", "mha", "nhdr", "mhd"):
        path = folder / ending.replace(".", "_") / f"ct.{ending}"
        path.parent.mkdir()
        sitk.WriteImage(image, str(path), ending in ("nrrd", "nii.gz", "mhd"))
        found[ending] = path
    tags = {"PixelSpacing": [8, 8], "PatientName": "X", "SliceThickness": 13, "AcquisitionNumber": 1}
    write_series(folder / "dicom", volume.hu, lambda k: tags, step_mm=13.0)
    found["dicom"] = folder / "dicom"
    found["zip"] = Path(shutil.make_archive(str(folder / "study"), "zip", folder / "dicom"))
    return found


def files_of(source: Path) -> list[Path]:
    return sorted(source.iterdir()) if source.is_dir() else sorted(source.parent.glob(f"{source.stem}.*"))


def copied(source: Path, folder: Path) -> Path:
    """A copy of a source, alone in a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for file in files_of(source):
        shutil.copy(file, folder)
    return folder if source.is_dir() else folder / source.name


def mutated(content: bytes, data: st.DataObject) -> bytes:
    """``content`` with bytes changed, lost, doubled or added; headers, which come first, more often than pixels."""
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        reach = data.draw(st.sampled_from([16, 400, 1000, len(changed)]))
        at = data.draw(st.integers(0, max(0, min(reach, len(changed)) - 1)))
        kind = data.draw(st.sampled_from(["set", "cut", "drop", "double", "fill"]))
        length = data.draw(st.sampled_from([1, 2, 4, 16, 300]))
        if kind == "set":
            some = data.draw(st.binary(min_size=1, max_size=8))
            changed[at : at + len(some)] = some
        elif kind == "cut":
            del changed[at:]
        elif kind == "drop":
            del changed[at : at + length]
        elif kind == "double":
            changed[at:at] = changed[at : at + length]
        else:
            changed[at : at + length] = bytes([data.draw(st.sampled_from([0, 32, 255]))]) * length
    return bytes(changed)


@pytest.mark.parametrize("form", ["nii", "nii.gz", "img", "nrrd", "mha", "nhdr", "mhd", "dicom", "zip"])
def test_bytes(form, sources, fuzzed, tmp_path):
    program, end = fuzzed

    def run(data):
        source = copied(sources[form], tmp_path / "input")
        files = sorted(path for path in (tmp_path / "input").iterdir())
        for file in data.draw(st.lists(st.sampled_from(files), min_size=1, max_size=3, unique=True)):
            file.write_bytes(mutated(file.read_bytes(), data))
        program.analyse(source)

    until(end, (st.data(),), run)


WORDS = st.sampled_from(
    ["", " ", "0", "-1", "nan", "inf", "1e308", "0,7", "IM7", "1\\2", "1\\2\\3\\4\\5\\6\\7", "ORIGINAL"]
)
NUMBERS = st.floats(width=32).map(lambda value: f"{value:.6g}")
LISTS = st.lists(NUMBERS, min_size=1, max_size=7).map("\\".join)
TEXTS = st.one_of(WORDS, NUMBERS, LISTS, st.text(st.characters(max_codepoint=255), max_size=12))
KEYWORDS = (
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "Rows", "Columns"),
    *("RescaleSlope", "RescaleIntercept", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "ImageType", "Modality", "SOPClassUID"),
    *(
        "AcquisitionNumber",
        "InstanceNumber",
        "PixelPaddingValue",
        "SeriesInstanceUID",
        "ConvolutionKernel",
        "PatientID",
    ),
)


def test_dicom_headers(sources, fuzzed, tmp_path):
    program, end = fuzzed
    tags = st.dictionaries(st.sampled_from(KEYWORDS), TEXTS, min_size=1, max_size=3)

    def run(changes, slices):
        source = copied(sources["dicom"], tmp_path / "input")
        for file in sorted(source.iterdir())[:slices]:
            dataset = dcmread(file)
            for keyword, text in changes.items():
                tag = tag_for_keyword(keyword)
                dataset[tag] = DataElement(tag, "UT", text.replace("\0", ""))
            dataset.save_as(file)
        program.analyse(source)

    until(end, (tags, st.sampled_from([1, 2, 24])), run)


def test_nifti_headers(sources, fuzzed, tmp_path):
    program, end = fuzzed
    fields = st.one_of(
        st.tuples(st.sampled_from(range(40, 56, 2)), st.just("h"), st.integers(-32768, 32767)),
        st.tuples(st.sampled_from((70, 72, 252, 254)), st.just("h"), st.integers(-32768, 32767)),
        st.tuples(st.sampled_from((*range(76, 120, 4), *range(256, 328, 4))), st.just("f"), st.floats(width=32)),
        st.tuples(st.just(123), st.just("B"), st.integers(0, 255)),
    )

    def run(changes):
        source = copied(sources["nii"], tmp_path / "input")
        content = bytearray(source.read_bytes())
        for offset, kind, value in changes:
            struct.pack_into("<" + kind, content, offset, value)
        source.write_bytes(content)
        program.analyse(source)

    until(end, (st.lists(fields, min_size=1, max_size=4),), run)


@pytest.mark.parametrize("form", ["nrrd", "mha"])
def test_text_headers(form, sources, fuzzed, tmp_path):
    program, end = fuzzed
    separator = b": " if form == "nrrd" else b" = "
    texts = st.one_of(TEXTS.map(lambda text: text.replace("\\", " ")), st.text(max_size=20))

    def run(line, text):
        source = copied(sources[form], tmp_path / "input")
        lines = source.read_bytes().split(b"\n")
        key, found, _ = lines[line % len(lines)].partition(separator)
        if found:
            lines[line % len(lines)] = key + separator + text.encode(errors="replace")
        source.write_bytes(b"\n".join(lines))
        program.analyse(source)

    until(end, (st.integers(0, 20), texts), run)
