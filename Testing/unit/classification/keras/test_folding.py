"""Batch normalisation that became part of the convolutions before it: the same answers, without a normalisation."""

import numpy as np

from CovidSeverityLib.classification.keras.folding import fold_normalization


def network(keras):
    """Convolutions with and without bias, and one that treats each channel alone, each with its normalisation."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    image = keras.Input((12, 12, 3))
    kinds = [layers.Conv2D(4, 3), layers.DepthwiseConv2D(3, use_bias=False), layers.Conv2D(5, 1, use_bias=False)]
    features = image
    for convolution in kinds:
        features = layers.Activation("swish")(layers.BatchNormalization()(convolution(features)))
    backbone = keras.Model(image, features)
    rng = np.random.default_rng(0)
    for layer in backbone.layers:
        layer.set_weights([rng.uniform(0.3, 2, w.shape) for w in layer.get_weights()])
    outside = keras.Input((12, 12, 3))
    return keras.Model(outside, layers.Dense(3)(layers.GlobalAveragePooling2D()(backbone(outside))))


def test_folded_network_answers_the_same_and_no_longer_normalises(keras):
    model = network(keras)
    images = np.random.default_rng(1).normal(size=(2, 12, 12, 3)).astype(np.float32)
    wanted = np.asarray(model(images))
    fold_normalization(model)
    np.testing.assert_allclose(model(images), wanted, rtol=1e-5)
    for norm in model.layers[1].layers:
        if isinstance(norm, keras.layers.BatchNormalization):
            norm.gamma.assign(0 * norm.gamma)
            norm.moving_mean.assign(norm.moving_mean + 9)
    np.testing.assert_allclose(model(images), wanted, rtol=1e-5)
