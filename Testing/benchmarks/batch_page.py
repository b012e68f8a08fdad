"""Seconds until ``index.html`` of a batch is shown, sorted and filtered in Chromium, and what it costs to write it.

    python Testing/benchmarks/batch_page.py [--cases 2000] [--keep FOLDER]

Run from the root of the repository, with Playwright and Chromium (``pip install ".[test,browser-test]"``). The cases
are made up: their thumbnails are those of 24 synthetic results, copied. Each time is the median of five loads, from the
start of the navigation to the second frame after it, and includes layout. A benchmark, not a test: nothing is asserted.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "Testing" / "unit")]

import analysis_factory

from CovidSeverityLib.batch.page.contact_sheet import contact_sheets
from CovidSeverityLib.batch.page.index import write_index
from CovidSeverityLib.batch.page.thumbnail import write_thumbnail
from CovidSeverityLib.batch.values import CaseFailure
from CovidSeverityLib.ctss import severity_for
from CovidSeverityLib.types import DIAGNOSIS_NAMES, Diagnosis, Lobe

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
LOADS = 5
PICTURES = 24
CODES = ("pixels_coarse", "thick_slices", "lungs_cut_off", "hounsfield_shifted", "lobes_uncertain")
FRAME = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))))"
CLICK = """(heading) => new Promise(done => {
    const button = [...document.querySelectorAll('.cases thead button')].find(b => b.textContent === heading);
    const start = performance.now();
    button.click();
    requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - start)));
})"""
TYPE = """(text) => new Promise(done => {
    const field = document.getElementById('filter-case'), start = performance.now();
    field.value = text;
    field.dispatchEvent(new Event('input', {bubbles: true}));
    requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - start)));
})"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--keep", type=Path, help="folder for the page, which is removed otherwise")
    options = parser.parse_args()
    folder = options.keep or Path(tempfile.mkdtemp())
    try:
        write_batch(folder, options.cases)
        measure(folder / "index.html", options.cases)
    finally:
        if options.keep is None:
            shutil.rmtree(folder)


def write_batch(folder: Path, count: int) -> None:
    """The page, the thumbnails and the contact sheets of ``count`` made-up cases, of which one in 50 more failed."""
    rows = make_rows(count)
    pictures = make_pictures(folder)
    for n, row in enumerate(rows):
        case = folder / row["folder"]
        case.mkdir(parents=True, exist_ok=True)
        (case / "thumbnail.jpg").write_bytes(pictures[n % len(pictures)])
    failures = [CaseFailure(f"broken {n:04d}", "input", "The file is no CT.") for n in range(count // 50)]
    by_case = {row["case"]: folder / row["folder"] / "thumbnail.jpg" for row in rows}
    start = time.process_time()
    sheets = contact_sheets(rows, lambda case: by_case[case].read_bytes())
    for name, write in sheets.items():
        write(folder / name)
    print(f"{len(sheets)} contact sheets: {time.process_time() - start:.2f} s of processor time, "
          f"{sum((folder / name).stat().st_size for name in sheets) / 1e6:.1f} MB")  # fmt: skip
    start, page = time.process_time(), folder / "index.html"
    write_index(rows, failures, page, name="2026 chest CTs", version="0.1.0", profile="default", contact_sheets=sheets)
    print(f"index.html: {time.process_time() - start:.2f} s, {page.stat().st_size / 1e6:.2f} MB; peak of the process "
          f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")  # fmt: skip


def make_pictures(folder: Path) -> list[bytes]:
    """Thumbnails of made-up chests, of which each has another noise and another amount of opacity."""
    folder.mkdir(parents=True, exist_ok=True)
    random, pictures = np.random.default_rng(3), []
    for n in range(PICTURES):
        chest = analysis_factory.make_chest((32, 96, 128), infected=n % 4 > 0)
        chest.infection[: n % 20] = 0
        hu = chest.hu + random.normal(0, 60, chest.hu.shape).astype(np.int16)
        analysis = analysis_factory.make_analysis(chest, analysis_factory.make_volume(hu, (2.4, 2.4, 8.0)))
        write_thumbnail(analysis, folder / "thumbnail.jpg")
        pictures.append((folder / "thumbnail.jpg").read_bytes())
    (folder / "thumbnail.jpg").unlink()
    return pictures


def make_rows(count: int) -> list[dict[str, object]]:
    """Rows as in ``cases.csv``, the same for the same count."""
    random = np.random.default_rng(19)
    rows = []
    for n in range(count):
        scores = random.binomial(5, random.beta(0.7, 1.8), len(Lobe))
        ctss = int(scores.sum())
        codes = [code for code in CODES if random.random() < 0.12]
        label = Diagnosis(int(random.integers(3)))
        rows.append(
            {
                "case": f"CT {n + 1:05d}",
                "folder": f"cases/CT {n + 1:05d}",
                "ctss": ctss,
                "ctss_low": max(0, ctss - int(random.integers(3))),
                "ctss_high": min(25, ctss + int(random.integers(3))),
                "severity": severity_for(ctss).label,
                "total_severity_score": int(np.minimum(scores, 4).sum()),
                "lung_ml": round(float(random.normal(4600, 900)), 1),
                "opacity_percent": round(float(ctss**1.4 * random.uniform(0.4, 0.8)), 2),
                "ground_glass_ml": round(float(ctss * random.uniform(5, 60)), 1),
                "consolidation_ml": round(float(ctss * random.uniform(0, 15)), 1),
                "well_aerated_percent": round(float(random.uniform(30, 90)), 2),
                "low_attenuation_percent": round(float(random.exponential(2)), 2),
                **{f"{lobe.name.lower()}_score": int(s) for lobe, s in zip(Lobe, scores, strict=True)},
                "diagnosis": DIAGNOSIS_NAMES[label],
                "p_covid19": round(float(random.uniform()), 3),
                "warnings": len(codes),
                "warning_codes": ";".join(codes),
            }
        )
    return rows


def measure(page: Path, count: int) -> None:
    """Open the page in a browser and print the times."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        times = {"rendered": [], "sorted by a number": [], "sorted by id": [], "filtered": []}
        for _ in range(LOADS):
            tab = browser.new_page(viewport={"width": 1280, "height": 900})
            tab.goto(page.as_uri())
            times["rendered"].append(tab.evaluate(FRAME) / 1000)
            times["sorted by a number"].append(tab.evaluate(CLICK, "Opacity, %") / 1000)
            times["sorted by id"].append(tab.evaluate(CLICK, "Case") / 1000)
            times["filtered"].append(tab.evaluate(TYPE, "CT 001") / 1000)
            tab.close()
        print(f"{count} cases in Chromium {browser.version}, seconds:")
        for name, values in times.items():
            print(f"  {name:20} {statistics.median(values):.2f} (up to {max(values):.2f})")
        browser.close()


if __name__ == "__main__":
    main()
