"""Grad-CAM against the class activation map that it must equal, and numerical gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cxr_jax import models
from cxr_jax.models.densenet import DenseNet
from cxr_jax.models.segmenter import SegmenterConfig
from cxr_jax.reporting.gradcam import grad_cam, overlay

CONFIG = models.DenseNetConfig.tiny(num_classes=2)
SHAPE = (64, 48, 1)


def last_maps(variables, images):
    """[3, 4, 3, channels]"""
    return DenseNet(CONFIG).apply(
        variables, images, method=lambda net, x: net.features(x, train=False)
    )


@pytest.fixture(scope="module")
def images():
    return jax.random.normal(jax.random.key(1), (3, *SHAPE))


@pytest.fixture(scope="module")
def variables(images):
    """Untrained, with a head that some places speak for and others against, for either class."""
    drawn = models.init(jax.random.key(0), CONFIG, SHAPE)
    mean = last_maps(drawn, images).mean((0, 1, 2))[:, None]
    kernel = jax.random.normal(jax.random.key(2), (mean.size, 2))
    kernel -= mean * (mean * kernel).sum(0) / (mean * mean).sum()
    drawn["params"]["classifier"]["kernel"] = kernel
    return drawn


@pytest.fixture(scope="module")
def maps(variables, images):
    return last_maps(variables, images)


def enlarged(coarse):
    fine = np.asarray(jax.image.resize(jnp.asarray(coarse), (3, *SHAPE[:2]), "linear"))
    return fine / fine.max((1, 2), keepdims=True)


@pytest.mark.parametrize("class_index", [0, 1])
def test_with_a_linear_head_it_is_the_class_activation_map(variables, images, maps, class_index):
    kernel = np.asarray(variables["params"]["classifier"]["kernel"])[:, class_index]
    expected = enlarged(np.maximum(np.asarray(maps) @ kernel, 0.0))
    got = grad_cam(CONFIG, variables, images, class_index=class_index)
    np.testing.assert_allclose(got, expected, atol=1e-5)
    assert got.shape == (3, 64, 48)
    np.testing.assert_allclose(got.max((1, 2)), 1.0)


def test_its_weights_are_the_gradients_that_differences_give(variables, images, maps):
    maps = np.asarray(maps, np.float64)
    kernel, bias = (
        np.asarray(variables["params"]["classifier"][name], np.float64)
        for name in ("kernel", "bias")
    )

    def logit(maps):
        return (maps.mean((0, 1)) @ kernel + bias)[1]

    coarse = []
    for one in maps:
        weights = np.zeros(one.shape[-1])
        for place in np.ndindex(one.shape):
            up, down = one.copy(), one.copy()
            up[place] += 1e-3
            down[place] -= 1e-3
            weights[place[-1]] += (logit(up) - logit(down)) / 2e-3 / (one.shape[0] * one.shape[1])
        coarse.append(np.maximum((one * weights).sum(-1), 0.0))
    expected = enlarged(np.stack(coarse).astype(np.float32))
    np.testing.assert_allclose(grad_cam(CONFIG, variables, images), expected, atol=1e-4)


def test_where_nothing_speaks_for_the_finding_it_is_0(variables, images):
    against = jax.tree.map(lambda leaf: leaf, variables)
    kernel = against["params"]["classifier"]["kernel"]
    against["params"]["classifier"]["kernel"] = -jnp.abs(kernel)
    heat = grad_cam(CONFIG, against, images)
    assert not heat.any()
    figure = overlay(np.zeros((64, 48), np.uint8), np.asarray(heat[0]), finding="X", title="t")
    assert "nowhere" in figure.get_supxlabel()


def test_it_works_under_jit_and_each_image_has_its_own(variables, images):
    alone = jax.jit(lambda v, x: grad_cam(CONFIG, v, x))(variables, images[:1])
    np.testing.assert_allclose(alone[0], grad_cam(CONFIG, variables, images)[0], atol=1e-5)


def test_a_segmenter_is_explained_by_its_encoder_and_head(variables, images):
    config = SegmenterConfig(encoder=CONFIG)
    segmenter = models.init(jax.random.key(2), config, SHAPE)
    segmenter["params"] |= variables["params"]
    segmenter["batch_stats"] |= variables["batch_stats"]
    np.testing.assert_allclose(
        grad_cam(config, segmenter, images), grad_cam(CONFIG, variables, images), atol=1e-5
    )


def test_the_figure_says_what_it_shows():
    image = np.full((32, 32), 40000, np.uint16)
    figure = overlay(image, np.eye(32, dtype=np.float32), finding="Cardiomegaly", title="a.png")
    assert figure.get_suptitle() == "a.png"
    assert "not a segmentation" in figure.get_supxlabel()
    assert "Cardiomegaly" in figure.get_supxlabel()
    assert figure.axes[0].images[0].norm.vmax == 65535
