"""Smoothing by its definition."""

import doctest

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cxr_jax import labels, mixup
from cxr_jax.labels import smooth_binary, smooth_one_hot


def soft_targets(batch=6, classes=4):
    weights = np.random.default_rng(0).random((batch, classes))
    return jnp.asarray(weights / weights.sum(axis=-1, keepdims=True), jnp.float32)


@pytest.mark.smoke
def test_the_table_of_the_source():
    smoothed = smooth_one_hot(jnp.eye(2), smoothing=0.1)
    np.testing.assert_allclose(smoothed, [[0.9, 0.1], [0.1, 0.9]], rtol=1e-6)


@pytest.mark.parametrize("classes", [2, 3, 14])
def test_the_true_class_gets_1_minus_epsilon_and_the_others_share_the_rest(classes):
    smoothed = np.asarray(smooth_one_hot(jnp.eye(classes), smoothing=0.3))
    expected = np.full((classes, classes), 0.3 / (classes - 1))
    np.fill_diagonal(expected, 0.7)
    np.testing.assert_allclose(smoothed, expected, rtol=1e-6)


def test_rows_still_sum_to_one():
    smoothed = smooth_one_hot(soft_targets(), smoothing=0.2)
    np.testing.assert_allclose(smoothed.sum(axis=-1), 1.0, rtol=1e-6)


def test_two_exclusive_classes_equal_one_independent_finding():
    y = jnp.array([0.0, 0.3, 1.0])
    pair = smooth_one_hot(jnp.stack([1 - y, y], axis=-1), smoothing=0.1)
    np.testing.assert_allclose(pair[:, 1], smooth_binary(y, smoothing=0.1), rtol=1e-6)


def test_no_smoothing_is_the_identity():
    targets = soft_targets()
    np.testing.assert_array_equal(smooth_one_hot(targets, smoothing=0.0), targets)
    np.testing.assert_array_equal(smooth_binary(targets, smoothing=0.0), targets)


@pytest.mark.parametrize("smooth", [smooth_one_hot, smooth_binary])
def test_smoothing_and_mixing_commute(smooth):
    targets, lam = soft_targets(), jnp.float32(0.3)
    np.testing.assert_allclose(
        smooth(mixup.mix(targets, lam), smoothing=0.1),
        mixup.mix(smooth(targets, smoothing=0.1), lam),
        atol=1e-6,
    )


def test_an_unknown_label_stays_unknown():
    smoothed = smooth_binary(jnp.array([1.0, jnp.nan]), smoothing=0.1)
    np.testing.assert_array_equal(jnp.isnan(smoothed), [False, True])


@pytest.mark.parametrize("smooth", [smooth_one_hot, smooth_binary])
def test_jit_and_vmap_equal_the_plain_call(smooth):
    targets = soft_targets()
    plain = smooth(targets, smoothing=0.1)
    np.testing.assert_allclose(
        jax.jit(smooth, static_argnames="smoothing")(targets, smoothing=0.1), plain, rtol=1e-6
    )
    rows = jax.vmap(lambda row: smooth(row, smoothing=0.1))(targets)
    np.testing.assert_allclose(rows, plain, rtol=1e-6)


@pytest.mark.parametrize("smooth", [smooth_one_hot, smooth_binary])
@pytest.mark.parametrize("smoothing", [-0.1, 1.0, float("nan")])
def test_smoothing_outside_of_its_range_is_refused(smooth, smoothing):
    with pytest.raises(ValueError, match=r"smoothing must be in \[0, 1\)"):
        smooth(soft_targets(), smoothing=smoothing)


def test_a_single_class_is_refused():
    with pytest.raises(ValueError, match="go to smooth_binary"):
        smooth_one_hot(jnp.ones((3, 1)), smoothing=0.1)


def test_the_examples_of_the_docstrings():
    assert doctest.testmod(labels).failed == 0
