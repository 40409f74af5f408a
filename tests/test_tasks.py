"""The tasks: targets, loss and predictions of a finding, of several, and of masks beside them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cxr_jax.tasks import Binary, MaskLoss, MultiLabel, Segmentation


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


LABELS = jnp.array([[0.0, 1.0, jnp.nan], [jnp.nan, 0.7, 1.0]])


def test_findings_are_smoothed_each_by_itself_and_unknown_ones_told():
    targets, known = MultiLabel(num_findings=3).targets({"label": LABELS}, smoothing=0.1)
    np.testing.assert_allclose(targets, [[0.1, 0.9, 0.1], [0.1, 0.66, 0.9]], rtol=1e-5)
    np.testing.assert_array_equal(known, [[True, True, False], [False, True, True]])


def test_without_weights_the_loss_of_findings_is_optax():
    logits = jnp.array([[0.3, -1.0, 2.0], [2.0, 0.5, -3.0]])
    targets = jnp.array([[0.0, 1.0, 0.9], [0.1, 0.66, 1.0]])
    losses = MultiLabel(num_findings=3).loss(logits, targets)
    np.testing.assert_allclose(losses, optax.sigmoid_binary_cross_entropy(logits, targets), 1e-6)


def test_weights_of_findings_are_absent_then_present():
    task = MultiLabel(num_findings=2, class_weights=(0.5, 3.0))
    losses = task.loss(jnp.zeros((1, 2)), jnp.array([[0.0, 1.0]]))
    np.testing.assert_allclose(losses, np.log(2) * np.array([[0.5, 3.0]]), rtol=1e-6)


def test_each_findings_probability_is_the_sigmoid_of_its_own_logit():
    task = MultiLabel(num_findings=3)
    logits = jnp.array([[0.0, np.log(3.0), -np.log(3.0)]])
    np.testing.assert_allclose(task.predictions(logits)["probability"], [[0.5, 0.75, 0.25]], 1e-6)
    assert [task.logit(finding) for finding in range(3)] == [0, 1, 2]
    assert Binary().logit(0) == Segmentation(label=Binary()).logit(0) == 1


MASK = jnp.zeros((2, 4, 4, 2)).at[0, :2, :2].set(1.0)


def outlines(logits, **parts):
    task = Segmentation(label=Binary(), mask_loss=MaskLoss(**parts))
    batch = {"label": jnp.array([[1.0], [0.0]]), "mask": MASK.astype(jnp.uint8)}
    targets, known = task.targets(batch, smoothing=0.1)
    assert known.all()
    return task.loss({"label": jnp.zeros((2, 2)), "mask": logits}, targets)


def test_a_segmentations_loss_is_the_weighted_sum_of_its_parts():
    logits = jax.random.normal(jax.random.key(0), MASK.shape)
    alone = {
        "dice": 1 - _dice(jax.nn.sigmoid(logits), MASK),
        "cross_entropy": optax.sigmoid_binary_cross_entropy(logits, MASK).mean((1, 2, 3)),
        "focal": optax.sigmoid_focal_loss(logits, MASK, gamma=2.0).mean((1, 2, 3)),
    }
    none = {"dice": 0.0, "cross_entropy": 0.0, "focal": 0.0, "classification": 0.0}
    for name, expected in alone.items():
        found = outlines(logits, **{**none, name: 1.0})
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    both = outlines(logits, dice=2.0, cross_entropy=0.0, focal=0.5, classification=3.0)
    expected = 2 * alone["dice"] + 0.5 * alone["focal"] + 3 * np.log(2)
    np.testing.assert_allclose(both, expected, rtol=1e-5)


def _dice(p, y):
    """Each mask's own, of V-Net without squares, then their mean."""
    overlap, size = (p * y).sum((1, 2)), p.sum((1, 2)) + y.sum((1, 2))
    return ((2 * overlap + 1) / (size + 1)).mean(-1)


def test_an_empty_prediction_of_an_empty_mask_costs_nothing():
    certain = jnp.where(MASK > 0, 50.0, -50.0)
    losses = outlines(certain, classification=0.0)
    np.testing.assert_allclose(losses, 0.0, atol=1e-6)


def test_masks_are_predicted_pixel_by_pixel_beside_the_label():
    task = Segmentation(label=Binary())
    logits = {"label": jnp.zeros((2, 2)), "mask": jnp.full((2, 4, 4, 1), np.log(3.0))}
    found = task.predictions(logits)
    np.testing.assert_allclose(found["mask"], 0.75, rtol=1e-6)
    np.testing.assert_allclose(found["probability"], 0.5, rtol=1e-6)


def test_a_loss_that_learns_no_mask_is_refused():
    with pytest.raises(ValueError, match="one of dice, cross_entropy and focal must be > 0"):
        MaskLoss(dice=0.0, cross_entropy=0.0)
    with pytest.raises(ValueError, match=r"dice must be >= 0, got -1"):
        MaskLoss(dice=-1.0)
