"""The smallest training step: recipe, batch and state, which the tests of steps share."""

import dataclasses

import jax
import numpy as np
import optax

from cxr_jax import models
from cxr_jax.augment import AugmentConfig
from cxr_jax.tasks import Binary
from cxr_jax.training.state import create_state
from cxr_jax.training.step import Recipe, train_step

BATCH, SIZE = 32, 32
MODEL = models.DenseNetConfig(block_sizes=(1,), num_classes=2, growth_rate=4, stem_features=4)
RECIPE = Recipe(
    model=MODEL,
    task=Binary(class_weights=(0.9, 1.1)),
    augment=AugmentConfig(),
    label_smoothing=0.1,
    mixup_alpha=0.2,
)
PLAIN = dataclasses.replace(RECIPE, augment=AugmentConfig(enabled=False), mixup_alpha=0.0)
# Its first step is the gradient. Adam would divide by it and lift rounding to a step's size.
SGD = optax.sgd(1.0, momentum=0.9)


def batch(seed=0, size=BATCH):
    generator = np.random.default_rng(seed)
    return {
        "image": generator.integers(0, 256, (size, SIZE, SIZE, 1), dtype=np.uint8),
        "label": generator.integers(0, 2, (size, 1)).astype(np.float32),
        "weight": np.ones(size, np.float32),
    }


def fresh(recipe=RECIPE):
    return create_state(jax.random.key(0), recipe.model, SGD, (SIZE, SIZE, 1))


def compiled(recipe, optimizer=SGD):
    def step(state, data):  # programs of another name would be compiled again
        return train_step(state, data, recipe=recipe, optimizer=optimizer)

    return jax.jit(step)


def close(one, other, **tolerance):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **tolerance), one, other)
