"""How well ``train`` learns from few cases: 48 synthetic chests of 48 patients, each with one diagnosis.

The images are those of a real training: lungs that the program finds, and the published image with its outline. The
opacities are in part of the slices only. No anatomy has two diagnoses, so a network can learn the patients by heart.

Run as ``python Testing/benchmarks/few_cases.py FOLDER [OPTIONS]`` from the repository. Chests and images are made once
and kept in ``FOLDER``. For every seed a network is trained on another split of the patients, and its test patients are
counted. First it is told how many patients the published vote gets right if every slice is classified by its true
opacity, the most that a network can reach, and how many logistic regression gets right from plain measures of the
images. A benchmark, not a test: nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

sys.path.insert(0, str(Path(__file__).parents[2]))

from CovidSeverityLib.classification.training.augmentation import AugmentationConfig
from CovidSeverityLib.classification.training.cases import Part, TrainingCase
from CovidSeverityLib.classification.training.config import TrainingConfig
from CovidSeverityLib.classification.training.history import best_epoch
from CovidSeverityLib.classification.training.outcome import Proportion
from CovidSeverityLib.classification.training.preparation import PreparedCases, prepare_images
from CovidSeverityLib.classification.training.run import network_for, train
from CovidSeverityLib.classification.voting import weighted_vote
from CovidSeverityLib.evaluation.synthetic.phantom import make_phantom
from CovidSeverityLib.evaluation.synthetic.phantom.model import LesionSpec
from CovidSeverityLib.features.classification_image import CLASSIFICATION_IMAGES, classification_slices
from CovidSeverityLib.types import Diagnosis, Lobe

PATIENTS = 48
GRID = {"shape": (56, 160, 160), "spacing_mm": (2.4, 2.4, 5.6)}
"""The default chest on a coarser grid."""

FIRST_SEED = 1000

BLOB = 25
"""Grey value of opacity in the published image, out of 255."""

VISIBLE_VOXELS = 20
"""Opacity in a slice that its image can show, 115 mm2."""


def lesions(diagnosis: Diagnosis, seed: int) -> list[LesionSpec]:
    """One lobe with consolidation (CAP), or ground glass at the pleura of both lungs, mostly basal (COVID-19)."""
    rng = np.random.default_rng(seed)
    if diagnosis == Diagnosis.CAP:
        lobe = list(Lobe)[rng.integers(len(Lobe))]
        kinds = ("consolidation", "mixed")
        number = int(rng.integers(2, 5))
        return [LesionSpec(kinds[rng.integers(2)], lobe, rng.uniform(75, 115)) for _ in range(number)]
    if diagnosis == Diagnosis.COVID19:
        sides = ((Lobe.RUL, Lobe.RML, Lobe.RLL, Lobe.RLL), (Lobe.LUL, Lobe.LLL, Lobe.LLL))
        kinds = ("ground_glass", "ground_glass", "ground_glass", "mixed")
        return [
            LesionSpec(kinds[rng.integers(4)], side[rng.integers(len(side))], rng.uniform(25, 60))
            for side in sides
            for _ in range(int(rng.integers(2, 6)))
        ]
    return []


def diagnosis_of(patient: int) -> Diagnosis:
    return Diagnosis(patient % len(Diagnosis))


def chest(folder: Path, patient: int) -> tuple[Path, list[int]]:
    """The CT of a patient, and the voxels of opacity in each slice that is classified."""
    path, truth = folder / f"p{patient:02d}.nii.gz", folder / f"p{patient:02d}.json"
    if not truth.exists():
        seed = FIRST_SEED + patient
        made = make_phantom(seed, lesions=lesions(diagnosis_of(patient), seed), **GRID)
        sitk.WriteImage(made.volume.to_image(), str(path))
        opacity = (made.infection > 0).sum(axis=(1, 2))[list(classification_slices(made.lungs > 0))]
        truth.write_text(json.dumps(opacity.tolist()))
    return path, json.loads(truth.read_text())


def right_by_truth(opacities: Mapping[int, Sequence[int]]) -> int:
    """Patients whose vote is right if each slice with opacity has the patient's diagnosis and the others are normal."""
    votes = {
        patient: weighted_vote([diagnosis_of(patient) if n >= VISIBLE_VOXELS else Diagnosis.NORMAL for n in slices])
        for patient, slices in opacities.items()
    }
    return sum(vote.label == diagnosis_of(patient) for patient, vote in votes.items())


def plain_measures(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(n, 8) brightness of either side, number, size and brightness of blobs, and size of the lungs, by slice."""
    rows = []
    for image in images:
        opened = ndimage.grey_opening(image, 3).astype(np.float64)  # without the outline of the lungs
        lung = 1 + np.count_nonzero(image)
        sides = [part.sum() / 255 / lung for part in np.array_split(opened, 2, axis=1)]
        blobs, count = ndimage.label(opened > BLOB)
        largest = int(np.bincount(blobs.ravel())[1:].max()) if count else 0
        bright = opened[opened > BLOB] if count else np.zeros(1)
        rows.append([max(sides), min(sides), count, largest, bright.size, bright.mean(), bright.std(), lung])
    return np.array(rows, dtype=np.float64)


def right_by_measures(measures: Mapping[int, NDArray[np.float64]], seed: int) -> tuple[int, int]:
    """Patients that logistic regression gets right in four folds: by measures of the CT, and by the vote of slices."""
    random, fold = np.random.default_rng(seed), {}
    for diagnosis in Diagnosis:
        of_it = random.permutation([n for n in measures if diagnosis_of(n) == diagnosis])
        fold |= {int(n): k % 4 for k, n in enumerate(of_it)}
    by_ct = by_slice = 0
    for k in range(4):
        known, asked = ([n for n in measures if (fold[n] == k) is part] for part in (False, True))
        whole = {n: np.r_[m.mean(axis=0), m.max(axis=0), m.std(axis=0)] for n, m in measures.items()}
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000, C=0.3))
        model.fit([whole[n] for n in known], [diagnosis_of(n) for n in known])
        by_ct += sum(int(model.predict([whole[n]])[0] == diagnosis_of(n)) for n in asked)
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000, class_weight="balanced"))
        labels = np.concatenate([np.full(len(measures[n]), diagnosis_of(n)) for n in known])
        model.fit(np.concatenate([measures[n] for n in known]), labels)
        votes = {n: weighted_vote([Diagnosis(int(d)) for d in model.predict(measures[n])]) for n in asked}
        by_slice += sum(vote.label == diagnosis_of(n) for n, vote in votes.items())
    return by_ct, by_slice


def run(options: argparse.Namespace, seed: int, cases: list[TrainingCase], prepared: PreparedCases) -> Proportion:
    """Train once, print the epochs, and return the test patients that are right."""
    config = TrainingConfig(
        network=network_for(options.backbone, options.size, options.image, options.imagenet),
        imagenet=options.imagenet,
        freeze=options.freeze,
        epochs=options.epochs,
        patience=options.patience,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        validation=options.validation,
        test=options.test,
        seed=seed,
        augmentation=None if options.no_augmentation else AugmentationConfig(copies=options.copies),
    )
    with tempfile.TemporaryDirectory() as folder:
        trained = train(cases, prepared, config, options.folder / "cache", Path(folder))
    best = best_epoch(trained.history)
    for record in trained.history:
        print(
            f"  epoch {record.epoch:2d}{'*' if record is best else ' '} loss {record.loss:.3f} "
            f"validation {record.validation_loss:.3f} patients {record.validation_patient_accuracy:.2f} "
            f"({record.seconds:.0f} s)"
        )
    outcome = trained.outcomes[Part.TEST]
    print(f"seed {seed}: test {outcome.accuracy.text}, truth by found {outcome.confusion.tolist()}", flush=True)
    return outcome.accuracy


def main() -> None:
    parser = argparse.ArgumentParser(description="How well train learns from few synthetic chests.")
    parser.add_argument("folder", type=Path)
    plain = TrainingConfig()
    parser.add_argument("--backbone", default="EfficientNetB0")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--image", choices=tuple(CLASSIFICATION_IMAGES), default=next(iter(CLASSIFICATION_IMAGES)))
    parser.add_argument("--imagenet", default="none")
    parser.add_argument("--freeze", action="store_true")
    parser.add_argument("--epochs", type=int, default=plain.epochs)
    parser.add_argument("--patience", type=int, default=plain.patience)
    parser.add_argument("--batch-size", type=int, default=plain.batch_size)
    parser.add_argument("--learning-rate", type=float, default=plain.learning_rate)
    parser.add_argument("--validation", type=float, default=0.2)
    parser.add_argument("--test", type=float, default=0.3)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--no-augmentation", action="store_true")
    parser.add_argument("--copies", type=int, default=AugmentationConfig().copies)
    options = parser.parse_args()
    for name in ("cts", "cache"):
        (options.folder / name).mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(2) as pool:
        chests = list(pool.map(chest, [options.folder / "cts"] * PATIENTS, range(PATIENTS)))
    cases = [TrainingCase(f"p{n:02d}", path, diagnosis_of(n), f"p{n:02d}") for n, (path, _) in enumerate(chests)]
    image = CLASSIFICATION_IMAGES[options.image]
    prepared = prepare_images(cases, image, options.size, options.folder / "cache", 2)
    slices = sum(images.count for images in prepared.images.values())
    print(f"{len(prepared.images)} CTs, {slices} slices; right by true slices: ", end="")
    print(right_by_truth({n: opacities for n, (_, opacities) in enumerate(chests)}), flush=True)
    found = {int(name[1:]): plain_measures(i.read(range(i.count))) for name, i in prepared.images.items()}
    by_measures = [right_by_measures(found, seed) for seed in range(5)]
    print(f"right by plain measures of (CT, slices), five splits: {by_measures}", flush=True)
    found = [run(options, seed, cases, prepared) for seed in options.seeds]
    right, total = sum(f.right for f in found), sum(f.total for f in found)
    print(f"all seeds: {right} of {total} test patients right ({right / total:.2f})")


if __name__ == "__main__":
    main()
