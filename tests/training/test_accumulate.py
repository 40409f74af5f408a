"""Gradients of a batch by micro-batches: those of the whole, at the memory of one."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_step
from tiny_step import BATCH, MODEL, SGD, close, compiled, fresh

from cxr_jax import models
from cxr_jax.training import Config
from cxr_jax.training.accumulate import accumulated
from cxr_jax.training.parallel import check_batch_size, make_parallel
from cxr_jax.training.step import make_inputs

PARTS = 2
RECIPE = dataclasses.replace(tiny_step.RECIPE, accumulate=PARTS)
PLAIN = dataclasses.replace(tiny_step.PLAIN, accumulate=PARTS)
# Norms that use their running statistics: then nothing depends on who is in a micro-batch.
FROZEN = dataclasses.replace(MODEL, frozen=("stem", "block1"))


def recipe(**changes):
    return dataclasses.replace(RECIPE, **changes)


def batch():
    """Images of different weights, some without a label."""
    data = tiny_step.batch()
    data["label"][5] = np.nan
    data["weight"] = np.random.default_rng(1).uniform(0.2, 1.0, BATCH).astype(np.float32)
    return data


def step(a_recipe):
    return compiled(a_recipe)(fresh(), batch())


def test_without_batch_statistics_a_step_is_that_of_the_whole_batch():
    """Augmentation, mixing, weights, unknown labels, loss and gradients."""
    parts, whole = step(recipe(model=FROZEN)), step(recipe(model=FROZEN, accumulate=1))
    (state, metrics), (expected, expected_metrics) = parts, whole
    close(metrics, expected_metrics, rtol=1e-5)
    close(state.params, expected.params, rtol=1e-5, atol=1e-6)
    close((state.loss_sum, state.weight_sum), (expected.loss_sum, expected.weight_sum), rtol=1e-5)


def test_each_micro_batch_has_its_statistics_and_moves_the_running_ones():
    state, metrics = step(PLAIN)
    start = fresh()
    keys = jax.random.split(jax.random.fold_in(start.key, start.step), 3)
    inputs = make_inputs(keys[0], keys[1], batch(), PLAIN)
    total = inputs[2].sum()

    def loss(params, stats, part):
        images, targets, weights = part
        variables = {"params": params, "batch_stats": stats}
        logits, stats = models.apply(MODEL, variables, images, train=True)
        return (weights * PLAIN.task.loss(logits, targets)).sum() / total, stats

    differentiate = jax.jit(jax.value_and_grad(loss, has_aux=True))
    stats, losses, moved = start.batch_stats, 0.0, jax.tree.map(np.zeros_like, start.params)
    for i in range(PARTS):
        part = tuple(x[i::PARTS] for x in inputs)
        (share, stats), gradient = differentiate(start.params, stats, part)
        losses += share
        moved = jax.tree.map(np.add, moved, gradient)
    assert float(metrics["loss"]) == pytest.approx(float(losses), rel=1e-5)
    close(state.batch_stats, stats, rtol=1e-4, atol=1e-5)
    close(jax.tree.map(np.subtract, start.params, state.params), moved, rtol=1e-3, atol=1e-5)


def test_eight_devices_equal_one():
    """The statistics of a micro-batch are of all its devices."""
    many = make_parallel("jit", PLAIN, SGD)
    found, metrics = many.train_step(many.place(fresh()), batch())
    expected, expected_metrics = step(PLAIN)
    close(metrics, expected_metrics, rtol=1e-4)
    close(found.batch_stats, expected.batch_stats, rtol=1e-3, atol=1e-5)
    close(found.params, expected.params, rtol=1e-3, atol=1e-5)


def test_pmap_cuts_the_batch_of_each_device():
    frozen = dataclasses.replace(PLAIN, model=FROZEN)
    many = make_parallel("pmap", frozen, SGD)
    found, _ = many.train_step(many.place(fresh()), batch())
    expected, _ = step(dataclasses.replace(frozen, accumulate=1))
    close(many.collect(found).params, expected.params, rtol=1e-4, atol=1e-6)


def test_each_part_has_a_key_of_its_own():
    def differentiate(params, drawn, key, inputs):
        return (inputs.sum(), jnp.roll(drawn, 1).at[0].set(jax.random.uniform(key))), params

    inputs = jnp.arange(8.0)
    step = accumulated(differentiate, 4)
    (loss, drawn), gradients = step(jnp.ones(()), jnp.zeros(4), jax.random.key(0), inputs)
    assert (loss, gradients) == (28.0, 4.0)
    assert len(set(drawn.tolist())) == 4


def test_a_batch_that_cannot_be_cut_is_refused():
    check_batch_size("jit", RECIPE, batch_size=32)
    message = r"batch_size must be a multiple of the 8 devices times accumulate=2, got 24"
    with pytest.raises(ValueError, match=message):
        check_batch_size("jit", RECIPE, batch_size=24)
    with pytest.raises(ValueError, match="accumulate must be > 0, got 0"):
        Config(accumulate=0)
