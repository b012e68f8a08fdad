"""Where the network looked (Grad-CAM), against the definition worked out by hand."""

import numpy as np
import pytest

from CovidSeverityLib.classification.description import NetworkDescription
from CovidSeverityLib.classification.keras.architecture import dense_layers, feature_network
from CovidSeverityLib.classification.keras.network import KerasClassifier, build_network
from CovidSeverityLib.types import Diagnosis

SIZE, CELLS = 160, 5
DESCRIPTION = NetworkDescription("EfficientNetB0", SIZE, (24, 12))
STEP = 1e-5
"""Of the mean features, for numeric derivatives in double precision."""


@pytest.fixture(scope="module")
def classifier(keras24):
    model = build_network(DESCRIPTION)
    keras24.fill(model, "EfficientNetB0", 64)
    return KerasClassifier(model, DESCRIPTION, "own", "0" * 64)


def patch(row, column):
    """A grey image with noise in one of 5 x 5 cells."""
    image = np.full((SIZE, SIZE), 116, dtype=np.uint8)
    edge = SIZE // CELLS
    noise = np.random.default_rng(0).integers(0, 256, (edge, edge))
    image[row * edge : (row + 1) * edge, column * edge : (column + 1) * edge] = noise
    return image


def features_of(classifier, images):
    return np.asarray(feature_network(classifier.model)(np.repeat(images[..., None], 3, axis=-1).astype(np.float32)))


def logits(weights, mean):
    """The dense layers without the softmax, in double precision."""
    for kernel, bias in weights[:-1]:
        mean = np.maximum(mean @ kernel + bias, 0)
    kernel, bias = weights[-1]
    return mean @ kernel + bias


def test_map_is_the_features_weighted_by_the_numeric_gradient_of_the_output(classifier):
    images = np.stack([patch(0, 1), patch(4, 2), patch(1, 3) // 2])
    asked = [Diagnosis.COVID19, Diagnosis.NORMAL, Diagnosis.CAP]
    weights = [[w.astype(np.float64) for w in layer.get_weights()] for layer in dense_layers(classifier.model)]
    wanted = []
    for features, diagnosis in zip(features_of(classifier, images).astype(np.float64), asked, strict=True):
        mean = features.mean(axis=(0, 1))
        steps = STEP * np.eye(mean.size)
        change = logits(weights, mean + steps)[:, diagnosis] - logits(weights, mean - steps)[:, diagnosis]
        evidence = np.maximum((features * change).sum(axis=-1), 0)
        wanted.append(evidence / max(evidence.max(), 1e-30))
    found = classifier.explain(images, asked)
    assert found.shape == (3, CELLS, CELLS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=1e-3)
    assert any((m > 0).any() and (m < 0.9).any() for m in wanted)


CORNERS = [(0, 0), (0, CELLS - 1), (CELLS - 1, 0), (CELLS - 1, CELLS - 1)]


@pytest.fixture
def noise_seeker(classifier):
    """The head put so that COVID-19 follows from the cells that noise in a corner is in, and from no others."""
    seen = features_of(classifier, np.stack([patch(*corner) for corner in CORNERS])).astype(np.float64)
    wanted = np.zeros(seen.shape[:-1])
    for n, corner in enumerate(CORNERS):
        wanted[n][corner] = 1
    direction = np.linalg.lstsq(seen.reshape(wanted.size, -1), wanted.ravel(), rcond=None)[0]
    first, second, last = dense_layers(classifier.model)
    kept = [layer.get_weights() for layer in (first, second, last)]
    for layer in (first, second, last):
        layer.set_weights([np.zeros_like(w) for w in layer.get_weights()])
    kernel, bias = first.get_weights()
    kernel[:, 0], bias[0] = direction, 10
    first.set_weights([kernel, bias])
    for layer, output in ((second, 0), (last, Diagnosis.COVID19)):
        kernel, bias = layer.get_weights()
        kernel[0, output] = 1
        layer.set_weights([kernel, bias])
    yield classifier
    for layer, weights in zip((first, second, last), kept, strict=True):
        layer.set_weights(weights)


@pytest.mark.parametrize("corner", CORNERS)
def test_corner_that_holds_the_evidence_is_the_one_that_lights_up(noise_seeker, corner):
    (found,) = noise_seeker.explain(patch(*corner)[None], [Diagnosis.COVID19])
    assert np.unravel_index(found.argmax(), found.shape) == corner
    assert found[corner] == 1
    opposite = tuple(CELLS - 1 - n for n in corner)
    assert found[opposite] < 0.01


def test_diagnosis_that_nothing_speaks_for_has_a_map_of_zeros(noise_seeker):
    found = noise_seeker.explain(patch(0, 0)[None], [Diagnosis.NORMAL])
    np.testing.assert_array_equal(found, np.zeros((1, CELLS, CELLS), dtype=np.float32))


def test_map_of_an_image_is_the_same_bits_whatever_else_is_asked_with_it(classifier):
    images = np.stack([patch(n // 3, n % 3) for n in range(6)])
    asked = [Diagnosis(n % 3) for n in range(6)]
    found = classifier.explain(images, asked)
    one_by_one = [classifier.explain(i[None], [d])[0] for i, d in zip(images, asked, strict=True)]
    np.testing.assert_array_equal(found, one_by_one)
    assert classifier.explain(images[:0], []).shape == (0, CELLS, CELLS)


def test_number_of_diagnoses_has_to_be_that_of_the_images(classifier):
    with pytest.raises(ValueError, match="1 diagnoses for 2 images"):
        classifier.explain(np.stack([patch(0, 0)] * 2), [Diagnosis.CAP])
