"""Losses against torch (a golden file), Optax, hand computation, and their own gradients."""

import doctest
from pathlib import Path

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import optax
import pytest
from jax.test_util import check_grads

from cxr_jax import losses, mixup
from cxr_jax.labels import smooth_one_hot
from cxr_jax.losses import (
    cross_entropy,
    dice_loss,
    focal_loss,
    sigmoid_cross_entropy,
    smoothed_cross_entropy,
)

WEIGHTS = np.array([0.9, 1.1, 2.5], np.float32)


@pytest.fixture(scope="module")
def golden():
    with np.load(Path(__file__).with_name("goldens") / "losses.npz") as file:
        return {name: jnp.asarray(file[name]) for name in file.files if name != "versions"}


def elementwise():
    """Each loss of logits [8, 3] and targets of the same shape, by name."""
    return {
        "cross_entropy": lambda z, q: cross_entropy(z, q, class_weights=WEIGHTS),
        "sigmoid_cross_entropy": lambda z, q: sigmoid_cross_entropy(z, q, positive_weights=WEIGHTS),
        "focal_loss": lambda z, q: focal_loss(z, q, gamma=2.0, alpha=0.25),
        "focal_loss_of_small_gamma": lambda z, q: focal_loss(z, q, gamma=0.5),
        "dice_loss": dice_loss,
    }


each_loss = pytest.mark.parametrize("loss", elementwise().values(), ids=elementwise().keys())


@pytest.mark.smoke
def test_cross_entropy_equals_torch(golden):
    z, q, w = golden["logits"], golden["soft"], golden["weights"]
    np.testing.assert_allclose(
        cross_entropy(z, q, class_weights=w), golden["cross_entropy"], rtol=1e-5
    )


@pytest.mark.smoke
def test_sigmoid_cross_entropy_equals_torch(golden):
    z, y, w = golden["logits"], golden["independent"], golden["weights"]
    np.testing.assert_allclose(
        sigmoid_cross_entropy(z, y, positive_weights=w), golden["sigmoid_cross_entropy"], rtol=1e-5
    )


def test_unweighted_losses_equal_optax(golden):
    z, q, y = golden["logits"], golden["soft"], golden["independent"]
    np.testing.assert_allclose(cross_entropy(z, q), optax.softmax_cross_entropy(z, q), rtol=1e-5)
    np.testing.assert_allclose(
        sigmoid_cross_entropy(z, y), optax.sigmoid_binary_cross_entropy(z, y), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("alpha", [None, 0.25])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_loss_equals_optax_on_hard_targets(golden, gamma, alpha):
    y = jnp.round(golden["independent"])
    np.testing.assert_allclose(
        focal_loss(golden["logits"], y, gamma=gamma, alpha=alpha),
        optax.sigmoid_focal_loss(golden["logits"], y, gamma=gamma, alpha=alpha),
        rtol=1e-4,
        atol=1e-6,
    )


def test_focal_loss_without_focus_is_cross_entropy(golden):
    z, y = golden["logits"], golden["independent"]
    np.testing.assert_allclose(
        focal_loss(z, y, gamma=0.0), sigmoid_cross_entropy(z, y), rtol=1e-5, atol=1e-6
    )


def test_dice_loss_equals_optax():
    rng = np.random.default_rng(0)
    z = jnp.asarray(rng.normal(size=(4, 9, 11, 1)), jnp.float32)
    y = jnp.asarray(rng.random((4, 9, 11, 1)) < 0.3, jnp.float32)
    expected = optax.losses.dice_loss(z, y, smooth=0.5)
    np.testing.assert_allclose(dice_loss(z, y), expected.reshape(4), rtol=1e-5)


def test_dice_loss_of_empty_full_and_missed_masks():
    sure = jnp.full((1, 4, 5, 1), 1e4)
    empty, full = jnp.zeros_like(sure), jnp.ones_like(sure)
    np.testing.assert_array_equal(dice_loss(-sure, empty), [0.0])
    np.testing.assert_array_equal(dice_loss(sure, full), [0.0])
    np.testing.assert_allclose(dice_loss(-sure, full), [1 - 1 / 21], rtol=1e-6)


def test_smoothed_cross_entropy_by_hand():
    """Three classes of equal probability, ε = 0.1: log 3 whatever the smoothing; weighted, less."""
    z, labels = jnp.zeros((2, 3)), jnp.array([0, 2])
    np.testing.assert_allclose(
        smoothed_cross_entropy(z, labels, smoothing=0.1), [np.log(3)] * 2, rtol=1e-6
    )
    expected = [
        (0.9 * 0.9 + 0.05 * 1.1 + 0.05 * 2.5) * np.log(3),
        (0.05 * 0.9 + 0.05 * 1.1 + 0.9 * 2.5) * np.log(3),
    ]
    np.testing.assert_allclose(
        smoothed_cross_entropy(z, labels, smoothing=0.1, class_weights=WEIGHTS),
        expected,
        rtol=1e-6,
    )


def test_smoothed_cross_entropy_equals_the_two_steps(golden):
    labels = jnp.arange(8) % 3
    targets = smooth_one_hot(jax.nn.one_hot(labels, 3), smoothing=0.2)
    np.testing.assert_array_equal(
        smoothed_cross_entropy(golden["logits"], labels, smoothing=0.2),
        cross_entropy(golden["logits"], targets),
    )


def test_a_label_that_is_no_class_gives_nan():
    loss = smoothed_cross_entropy(jnp.zeros((3, 2)), jnp.array([-1, 0, 2]), smoothing=0.1)
    np.testing.assert_array_equal(jnp.isnan(loss), [True, False, True])


@pytest.mark.parametrize("loss", [sigmoid_cross_entropy, focal_loss])
def test_a_mask_equals_the_subset_and_unknown_targets_have_no_gradient(golden, loss):
    z, y = golden["logits"], golden["independent"]
    where = jnp.asarray(np.random.default_rng(1).random((8, 3)) < 0.6)
    unknown = jnp.where(where, y, jnp.nan)
    masked = loss(z, unknown, where=where)
    np.testing.assert_array_equal(masked, jnp.where(where, loss(z, y), 0.0))
    gradient = jax.grad(lambda z: loss(z, unknown, where=where).sum())(z)
    expected = jnp.where(where, jax.grad(lambda z: loss(z, y).sum())(z), 0.0)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)


@pytest.mark.parametrize("loss", [sigmoid_cross_entropy, focal_loss])
def test_an_infinite_logit_under_the_mask_has_no_gradient(loss):
    z, y = jnp.array([[jnp.inf, 1.0]]), jnp.array([[jnp.nan, 1.0]])
    where = jnp.array([[False, True]])
    assert jnp.isfinite(jax.grad(lambda z: loss(z, y, where=where).sum())(z)).all()


@each_loss
def test_extreme_logits_have_finite_losses_and_gradients(loss):
    z = jnp.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [1e4, 1e4, 1e4]])
    for q in (jnp.zeros_like(z), jnp.ones_like(z), jnp.full_like(z, 0.3)):
        assert jnp.isfinite(loss(z, q)).all()
        assert jnp.isfinite(jax.grad(lambda z, q=q: loss(z, q).sum())(z)).all()


@each_loss
def test_gradients_equal_finite_differences(golden, loss):
    z, q = golden["logits"][:3], golden["soft"][:3]
    check_grads(
        lambda z: loss(jnp.asarray(z), q), (z,), order=1, modes=["rev"], atol=2e-2, rtol=2e-2
    )


@each_loss
def test_half_precision_logits_give_float32_losses(golden, loss):
    z = golden["logits"].astype(jnp.bfloat16)
    half = loss(z, golden["soft"])
    assert half.dtype == jnp.float32
    np.testing.assert_array_equal(half, loss(z.astype(jnp.float32), golden["soft"]))


@each_loss
def test_jit_and_vmap_equal_the_plain_call(golden, loss):
    z, q = golden["logits"], golden["soft"]
    plain = loss(z, q)
    np.testing.assert_allclose(jax.jit(loss)(z, q), plain, rtol=1e-5, atol=1e-6)
    rows = jax.vmap(lambda z, q: loss(z[None], q[None])[0])(z, q)
    np.testing.assert_allclose(rows, plain, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["cross_entropy", "sigmoid_cross_entropy", "focal_loss"])
def test_the_loss_of_mixed_targets_is_the_mixed_loss(golden, name):
    loss, z, q = elementwise()[name], golden["logits"], golden["soft"]
    swapped = q[jnp.arange(8) ^ 1]
    np.testing.assert_allclose(
        loss(z, mixup.mix(q, 0.3)), 0.3 * loss(z, q) + 0.7 * loss(z, swapped), rtol=1e-4
    )


def test_wrong_shapes_and_values_are_refused(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is outside of tests
    z = jnp.zeros((4, 3))
    for loss in elementwise().values():
        with pytest.raises(ValueError, match="targets must have the logits' shape"):
            loss(z, jnp.zeros((4, 2)))
    with pytest.raises(ValueError, match="class_weights must hold one weight a class"):
        cross_entropy(z, z, class_weights=jnp.ones(2))
    with pytest.raises(ValueError, match="positive_weights must hold one weight a finding"):
        sigmoid_cross_entropy(z, z, positive_weights=jnp.ones(2))
    with pytest.raises(ValueError, match="without its last axis"):
        smoothed_cross_entropy(z, jnp.zeros((4, 3), int), smoothing=0.1)
    with pytest.raises(ValueError, match="gamma"):
        focal_loss(z, z, gamma=-1.0)
    with pytest.raises(ValueError, match="alpha"):
        focal_loss(z, z, alpha=2.0)
    with pytest.raises(ValueError, match="smooth must be positive"):
        dice_loss(z, z, smooth=0.0)


def test_the_examples_of_the_docstrings():
    assert doctest.testmod(losses).failed == 0
