"""A network learns to tell synthetic chests with different patterns of lesions apart, on patients that it has not seen.

Normal chests, lobar consolidation (CAP) and ground glass at the pleura of both lungs (COVID-19). Each anatomy has all
three, so that the anatomy tells nothing. The network begins at random weights and has seconds to learn: its images are
small, without the outline of the lungs, and not changed: changed ones need more epochs (10 of 12 patients after six).
"""

from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from CovidSeverityLib.classification.description import NetworkDescription
from CovidSeverityLib.classification.diagnosis import network_images
from CovidSeverityLib.classification.training.cache import cached_images, image_path, write_images
from CovidSeverityLib.classification.training.cases import Part, TrainingCase
from CovidSeverityLib.classification.training.config import TrainingConfig
from CovidSeverityLib.classification.training.preparation import PreparedCases
from CovidSeverityLib.evaluation.synthetic.phantom import make_phantom, synthesis, trees
from CovidSeverityLib.evaluation.synthetic.phantom.model import LesionSpec
from CovidSeverityLib.features.classification_image import (
    CLASSIFICATION_IMAGES,
    classification_images,
    classification_slices,
)
from CovidSeverityLib.types import Diagnosis, Lobe

pytest.importorskip("keras", reason="TensorFlow is not installed")

ANATOMIES = 18
SHAPE, SPACING_MM = (16, 48, 64), (5.5, 5.5, 13.0)
HAZY_LOBES = (*(Lobe.RUL, Lobe.LUL) * 2, Lobe.RML, Lobe.LUL, *(Lobe.RLL, Lobe.LLL) * 3)
NETWORK = NetworkDescription("EfficientNetB0", 40, (64, 32), image="without-boundary")


def lesions(diagnosis, seed):
    rng = np.random.default_rng(seed)
    if diagnosis == Diagnosis.CAP:
        lobe = (Lobe.RLL, Lobe.LLL)[rng.integers(2)]
        return [LesionSpec("consolidation", lobe, rng.uniform(90, 120)) for _ in range(3)]
    if diagnosis == Diagnosis.COVID19:
        return [LesionSpec("ground_glass", lobe, rng.uniform(55, 85)) for lobe in HAZY_LOBES]
    return []


def images_of(patient):
    """The images that are made of a patient's CT, with the true lungs of the phantom."""
    diagnosis = Diagnosis(patient % len(Diagnosis))
    chest = make_phantom(
        patient // len(Diagnosis), shape=SHAPE, spacing_mm=SPACING_MM, lesions=lesions(diagnosis, patient)
    )
    lung = chest.lungs > 0
    image = CLASSIFICATION_IMAGES[NETWORK.image]
    return network_images(
        classification_images(chest.volume.hu, lung, image, classification_slices(lung)), NETWORK.size_px
    )


def images_of_anatomy(anatomy):
    """The images of the patients of one anatomy."""
    return [images_of(anatomy * len(Diagnosis) + n) for n in range(len(Diagnosis))]


@pytest.fixture(scope="module")
def trees_of_anatomies():
    """Vessels and airways grow once for the patients of one anatomy: that takes most of the time of a phantom."""
    grown = {}

    def grow_trees(grid, cavity, rng):
        shape = cavity.lobes.tobytes()
        if shape not in grown:
            grown[shape] = trees.grow_trees(grid, cavity, rng)
        return grown[shape]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthesis, "grow_trees", grow_trees)
        yield
    assert len(grown) == ANATOMIES


@pytest.fixture(scope="module")
def patients(trees_of_anatomies, tmp_path_factory):
    """CTs and their images."""
    cache = tmp_path_factory.mktemp("cache")
    cases, images = [], {}
    with ThreadPoolExecutor(2) as pool:
        for n, found in enumerate(chain.from_iterable(pool.map(images_of_anatomy, range(ANATOMIES)))):
            path = image_path(cache, f"{n:064x}")
            write_images(path, found)
            images[f"ct{n}"] = cached_images(path)
            cases.append(TrainingCase(f"ct{n}", Path("none"), Diagnosis(n % len(Diagnosis)), f"patient{n}"))
    return cases, PreparedCases(images)


def test_patients_that_were_not_learnt_from_are_told_apart(patients, tmp_path):
    from CovidSeverityLib.classification.training.run import train

    shares = {"validation": 0.12, "test": 0.22}
    config = TrainingConfig(
        NETWORK, epochs=6, patience=6, batch_size=16, learning_rate=1e-3, augmentation=None, **shares
    )
    trained = train(*patients, config, tmp_path, tmp_path)
    assert [len(trained.of_part(part)) for part in Part] == [36, 6, 12]
    assert trained.outcomes[Part.TEST].accuracy.value >= 0.9
