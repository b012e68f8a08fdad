"""Small CTs of made-up patients, and images of slices without CTs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from CovidSeverityLib.classification.training.cache import cached_images, image_path, write_images
from CovidSeverityLib.classification.training.cases import TrainingCase
from CovidSeverityLib.classification.training.preparation import PreparedCases
from CovidSeverityLib.evaluation.synthetic.phantom import Phantom
from CovidSeverityLib.types import Diagnosis, Lobe

WORDS = {Diagnosis.NORMAL: "normal", Diagnosis.CAP: "CAP", Diagnosis.COVID19: "COVID-19"}
SOLID_HU, HAZE_HU = 0, -550


def write_patient(chest: Phantom, diagnosis: Diagnosis, seed: int, path: Path) -> None:
    """A normal chest with another noise, and disease: one lobe solid (CAP), or haze in all of them (COVID-19)."""
    rng = np.random.default_rng(seed)
    hu = chest.volume.hu + rng.normal(0, 10, chest.volume.hu.shape)
    patches = np.kron(rng.random([-(-n // 6) for n in hu.shape]) < 0.4, np.ones((6, 6, 6))).astype(bool)
    patches = patches[tuple(slice(n) for n in hu.shape)]
    if diagnosis == Diagnosis.CAP:
        hu[chest.lobes == rng.choice([Lobe.RLL, Lobe.LLL])] = SOLID_HU
    elif diagnosis == Diagnosis.COVID19:
        hu[(chest.lungs > 0) & patches] = HAZE_HU
    image = sitk.GetImageFromArray(np.clip(hu, -1024, 3000).astype(np.int16))
    image.SetSpacing(chest.volume.geometry.spacing_mm)
    image.SetOrigin(chest.volume.geometry.origin_mm)
    sitk.WriteImage(image, str(path))


def write_patients(chest: Phantom, folder: Path, per_class: int) -> Path:
    """CTs of ``per_class`` patients of each diagnosis in ``folder/images``, and ``folder/labels.csv``, returned."""
    (folder / "images").mkdir(parents=True)
    lines = ["case,label"]
    for n in range(per_class * len(Diagnosis)):
        diagnosis = Diagnosis(n % len(Diagnosis))
        write_patient(chest, diagnosis, n, folder / "images" / f"ct{n}.nii")
        lines.append(f"ct{n},{WORDS[diagnosis]}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder / "labels.csv"


def easy_cases(cache: Path, per_class: int, size_px: int, slices: int = 6) -> tuple[list[TrainingCase], PreparedCases]:
    """Patients whose images tell the diagnosis at a glance: dark, a bright square, or stripes; no CTs behind them."""
    cache.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    cases, images = [], {}
    for n in range(per_class * len(Diagnosis)):
        diagnosis = Diagnosis(n % len(Diagnosis))
        picture = rng.integers(0, 40, (slices, size_px, size_px)).astype(np.uint8)
        if diagnosis == Diagnosis.CAP:
            picture[:, size_px // 4 : size_px // 2, size_px // 4 : size_px // 2] += 150
        elif diagnosis == Diagnosis.COVID19:
            picture[:, ::2] += 100
        path = image_path(cache, f"{n:064x}")
        write_images(path, picture)
        images[f"case{n}"] = cached_images(path)
        cases.append(TrainingCase(f"case{n}", path, diagnosis, f"patient{n}"))
    return cases, PreparedCases(images)
