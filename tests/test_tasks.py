"""The binary task: targets, loss and probability of two exclusive classes."""

import jax.numpy as jnp
import numpy as np
import optax

from cxr_jax.tasks import Binary


def test_targets_are_smoothed_and_unknown_labels_told():
    targets, known = Binary().targets(
        {"label": jnp.array([[0.0], [1.0], [jnp.nan]])}, smoothing=0.1
    )
    np.testing.assert_allclose(targets, [[0.9, 0.1], [0.1, 0.9], [0.9, 0.1]], rtol=1e-6)
    np.testing.assert_array_equal(known, [True, True, False])


def test_without_weights_the_loss_is_optax():
    logits = jnp.array([[0.3, -1.0], [2.0, 0.5]])
    targets = jnp.array([[0.9, 0.1], [0.0, 1.0]])
    np.testing.assert_allclose(
        Binary().loss(logits, targets), optax.softmax_cross_entropy(logits, targets), rtol=1e-6
    )


def test_weights_are_normal_then_abnormal():
    logits = jnp.zeros((2, 2))
    losses = Binary(class_weights=(0.9, 1.1)).loss(logits, jnp.eye(2))
    np.testing.assert_allclose(losses, np.log(2) * np.array([0.9, 1.1]), rtol=1e-6)


def test_the_probability_is_that_of_the_finding():
    np.testing.assert_allclose(
        Binary().predictions(jnp.array([[0.0, 0.0], [0.0, np.log(3.0)]]))["probability"],
        [[0.5], [0.75]],
        rtol=1e-6,
    )
