"""The pure step: what it computes, on one device and on many."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny_step import BATCH, MODEL, PLAIN, RECIPE, SGD, SIZE, batch, close, compiled, fresh

from cxr_jax import models
from cxr_jax.augment import AugmentConfig
from cxr_jax.tasks import Binary, MultiLabel, Segmentation
from cxr_jax.training.parallel import check_batch_size, make_parallel
from cxr_jax.training.state import create_state
from cxr_jax.training.step import eval_step, make_inputs, train_step


def inputs(data, recipe):
    """Compiled, which is quicker than each operation by itself."""
    make = jax.jit(functools.partial(make_inputs, recipe=recipe))
    return make(*jax.random.split(jax.random.key(0)), data)


@pytest.mark.smoke
def test_training_lowers_the_loss():
    step = compiled(PLAIN, optax.adam(1e-2))
    state = create_state(jax.random.key(0), PLAIN.model, optax.adam(1e-2), (SIZE, SIZE, 1))
    first = None
    for _ in range(30):
        state, metrics = step(state, batch())
        first = first or float(metrics["loss"])
    assert int(state.step) == 30
    assert float(metrics["loss"]) < 0.8 * first


def test_the_step_is_traced_once():
    traces = []

    def step(state, data):  # named as that of other tests, so that it is not compiled again
        traces.append(1)
        return train_step(state, data, recipe=RECIPE, optimizer=SGD)

    counted, state = jax.jit(step), fresh()
    for seed in range(3):
        state, _ = counted(state, batch(seed))
    assert len(traces) == 1


def test_eight_devices_equal_one():
    """Statistics, gradients and augmentation are of the global batch, however it is cut."""
    one = compiled(RECIPE)
    many = make_parallel("jit", RECIPE, SGD)
    state_one, state_many = fresh(), many.place(fresh())
    for seed in range(2):
        state_one, metrics_one = one(state_one, batch(seed))
        state_many, metrics_many = many.train_step(state_many, batch(seed))
        close(metrics_one, metrics_many, rtol=1e-4)
    close(state_one.batch_stats, state_many.batch_stats, rtol=1e-3, atol=1e-5)
    close(state_one.params, state_many.params, rtol=1e-4, atol=1e-5)


def test_pmap_equals_jit_where_every_device_sees_the_same_images():
    """Then statistics of a device are statistics of all; only n / (n - 1) differs."""
    small = batch(size=BATCH // 8)
    tiled = {name: np.concatenate([value] * 8) for name, value in small.items()}
    jit, pmap = (make_parallel(kind, PLAIN, SGD) for kind in ("jit", "pmap"))
    a, loss_a = jit.train_step(jit.place(fresh(PLAIN)), tiled)
    b, loss_b = pmap.train_step(pmap.place(fresh(PLAIN)), tiled)
    close(loss_a, loss_b, rtol=1e-4)
    close(jit.collect(a).params, pmap.collect(b).params, rtol=1e-4, atol=1e-5)
    close(jit.collect(a).batch_stats, pmap.collect(b).batch_stats, rtol=0.05, atol=0.01)


def test_pmap_averages_the_gradients_of_its_devices():
    """Each device's statistics are its own, and each image counts alike."""
    data = batch()
    data["weight"][:4] = 0.5
    total = data["weight"].sum()

    def shard_loss(params, shard):
        images, targets, weights = make_inputs(jax.random.key(0), jax.random.key(0), shard, PLAIN)
        variables = {"params": params, "batch_stats": fresh(PLAIN).batch_stats}
        logits, _ = models.apply(PLAIN.model, variables, images, train=True)
        return (weights * PLAIN.task.loss(logits, targets)).sum() / total

    gradient = jax.jit(jax.grad(shard_loss))
    params = fresh(PLAIN).params
    shards = [{name: value[i : i + 4] for name, value in data.items()} for i in range(0, BATCH, 4)]
    expected = jax.tree.map(lambda *parts: sum(parts), *(gradient(params, s) for s in shards))

    pmap, start = make_parallel("pmap", PLAIN, SGD), fresh(PLAIN)
    after, _ = pmap.train_step(pmap.place(start), data)
    moved = jax.tree.map(lambda old, new: old - new, start.params, pmap.collect(after).params)
    close(moved, expected, rtol=1e-3, atol=1e-5)


def test_unknown_labels_change_nothing():
    """An image without a label neither moves the weights nor counts."""
    known, unknown = batch(), batch()
    known["weight"][3] = 0.0
    unknown["label"][3] = np.nan
    step = compiled(PLAIN)
    (a, loss_a), (b, loss_b) = step(fresh(PLAIN), known), step(fresh(PLAIN), unknown)
    close(loss_a, loss_b, rtol=0)
    close(a.params, b.params, rtol=0)


def test_an_image_mixed_with_an_unknown_one_has_no_weight():
    data = batch()
    data["label"][5] = np.nan
    _, targets, weights = inputs(data, RECIPE)
    np.testing.assert_array_equal(np.flatnonzero(weights == 0), [4, 5])
    assert np.isfinite(targets).all()


def test_bfloat16_keeps_parameters_losses_and_statistics_in_float32():
    half = dataclasses.replace(PLAIN, model=dataclasses.replace(MODEL, dtype="bfloat16"))
    state, metrics = compiled(half)(fresh(half), batch())
    assert {leaf.dtype for leaf in jax.tree.leaves((state.params, state.batch_stats, metrics))} == {
        jnp.dtype("float32")
    }
    assert np.isfinite(float(metrics["loss"]))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_evaluation_is_the_network_on_standardised_images(dtype):
    data = batch()
    data["image"] = (data["image"].astype(dtype) * (257 if dtype == "uint16" else 1)).astype(dtype)
    state = fresh(PLAIN)
    out = eval_step(state.variables, data, recipe=PLAIN)
    images = (data["image"] / np.iinfo(dtype).max - PLAIN.model.mean) / PLAIN.model.std
    logits, _ = models.apply(
        PLAIN.model, state.variables, jnp.asarray(images, jnp.float32), train=False
    )
    np.testing.assert_allclose(out["probability"][:, 0], jax.nn.softmax(logits)[:, 1], rtol=1e-4)


def test_batches_that_devices_cannot_share_are_refused():
    with pytest.raises(ValueError, match=r"batch_size must be a multiple of the 8 devices, got 12"):
        check_batch_size("jit", PLAIN, batch_size=12)
    with pytest.raises(ValueError, match=r"pmap mixes within a device"):
        check_batch_size("pmap", RECIPE, batch_size=8)


def with_masks(size=BATCH):
    masks = np.zeros((size, SIZE, SIZE, 1), np.uint8)
    masks[:, 4:20, 8:24] = 1
    return {**batch(size=size), "mask": masks}


def test_outside_of_the_mask_training_images_are_dimmed_and_evaluated_ones_are_not():
    dimmed = dataclasses.replace(PLAIN, dim_outside=0.5)
    masked = with_masks()
    plain, _, _ = inputs(masked, PLAIN)
    found, _, _ = inputs(masked, dimmed)
    mean, std = PLAIN.model.mean, PLAIN.model.std
    grey = np.asarray(plain) * std + mean
    expected = (np.where(masked["mask"] == 1, grey, grey / 2) - mean) / std
    np.testing.assert_allclose(found, expected, atol=1e-5)
    variables = fresh(PLAIN).variables
    one, other = (eval_step(variables, masked, recipe=r) for r in (PLAIN, dimmed))
    np.testing.assert_array_equal(one["probability"], other["probability"])


def test_masks_are_augmented_with_their_images_and_mixed_like_them():
    """Images that are their own masks stay so through everything but brightness."""
    task = Segmentation(label=Binary())
    masked = with_masks()
    masked["image"] = masked["mask"] * np.uint8(255)
    drawn = dataclasses.replace(
        PLAIN, task=task, augment=AugmentConfig(brightness=0.0), mixup_alpha=1.0
    )
    images, targets, _ = inputs(masked, drawn)
    grey = np.asarray(images) * PLAIN.model.std + PLAIN.model.mean
    assert targets["mask"].shape == grey.shape
    assert 0 < np.asarray(targets["mask"]).mean() < 1
    # Bilinear images and nearest-neighbour masks differ at outlines alone.
    assert (np.abs(grey - targets["mask"]) > 0.6).mean() < 0.01
    assert np.abs(grey - targets["mask"]).mean() < 0.05


def test_a_segmenter_evaluates_without_masks_but_then_without_a_loss():
    model = models.SegmenterConfig(encoder=PLAIN.model, decoder_width=2)
    segmenting = dataclasses.replace(PLAIN, model=model, task=Segmentation(label=Binary()))
    variables = fresh(segmenting).variables
    found = eval_step(variables, batch(), recipe=segmenting)
    assert found.keys() == {"probability", "mask"}
    assert found["mask"].shape == (BATCH, SIZE, SIZE, 1)
    whole = eval_step(variables, with_masks(), recipe=segmenting)
    assert np.isfinite(whole["loss"]).all()
    np.testing.assert_array_equal(found["mask"], whole["mask"])


FINDINGS = dataclasses.replace(
    PLAIN,
    model=dataclasses.replace(MODEL, num_classes=3),
    task=MultiLabel(num_findings=3),
)


def partly_labelled():
    """Three findings: half of the labels of the first are unknown, and all of the last."""
    data = batch()
    data["label"] = np.random.default_rng(1).integers(0, 2, (BATCH, 3)).astype(np.float32)
    data["label"][::2, 0] = np.nan
    data["label"][:, 2] = np.nan
    return data


def test_a_step_on_findings_is_that_on_their_known_labels_alone():
    """Loss and gradients; what is unknown reaches neither."""
    data, start = partly_labelled(), fresh(FINDINGS)
    rows, columns = np.nonzero(~np.isnan(data["label"]))

    def known_alone(params):
        images, _, _ = make_inputs(*jax.random.split(jax.random.key(0)), data, FINDINGS)
        variables = {"params": params, "batch_stats": start.batch_stats}
        logits, _ = models.apply(FINDINGS.model, variables, images, train=True)
        targets = 0.8 * data["label"][rows, columns] + 0.1
        return optax.sigmoid_binary_cross_entropy(logits[rows, columns], targets).mean()

    loss, gradients = jax.jit(jax.value_and_grad(known_alone))(start.params)
    step = compiled(FINDINGS)
    after, metrics = step(start, data)
    assert float(metrics["loss"]) == pytest.approx(float(loss), rel=1e-5)
    moved = jax.tree.map(lambda old, new: old - new, start.params, after.params)
    close(moved, gradients, rtol=1e-3, atol=1e-6)
    assert float(after.weight_sum) == len(rows)
    assert (np.asarray(moved["classifier"]["bias"]) == 0).tolist() == [False, False, True]


def test_a_finding_mixed_with_an_unknown_one_has_no_weight_and_the_others_have():
    data = partly_labelled()
    mixing = dataclasses.replace(FINDINGS, mixup_alpha=0.2)
    _, targets, weights = inputs(data, mixing)
    np.testing.assert_array_equal(weights, np.tile([0.0, 1.0, 0.0], (BATCH, 1)))
    assert np.isfinite(targets).all()


def test_findings_are_predicted_in_a_column_each():
    out = eval_step(fresh(FINDINGS).variables, partly_labelled(), recipe=FINDINGS)
    assert out["probability"].shape == out["loss"].shape == (BATCH, 3)
    assert ((out["loss"] == 0) == np.isnan(partly_labelled()["label"])).all()
