import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cxr_jax.models import DenseNetConfig, SegmenterConfig, apply, init, parts
from cxr_jax.models.parts import hold

SMALL = {"block_sizes": (1, 1), "num_classes": 2, "growth_rate": 4, "stem_features": 4}


@functools.partial(
    jax.jit, static_argnums=0, compiler_options={"xla_backend_optimization_level": 0}
)
def gradients_and_statistics(config, variables, images):
    def loss(params):
        logits, stats = apply(
            config, {**variables, "params": params}, images, train=True, key=jax.random.key(2)
        )
        return jnp.square(logits).sum(), stats

    return jax.grad(loss, has_aux=True)(variables["params"])


@pytest.mark.parametrize("frozen", [("stem", "block1"), ("block2",)])
def test_frozen_parts_get_no_gradient_and_keep_their_statistics_and_the_others_learn(frozen):
    config = DenseNetConfig(**SMALL, dropout=0.1, frozen=frozen)
    variables = init(jax.random.key(0), config, (16, 16, 1))
    images = jax.random.normal(jax.random.key(1), (4, 16, 16, 1))
    gradients, stats = gradients_and_statistics(config, variables, images)

    def moved(tree, still):
        return {
            part
            for leaf, old, part in zip(
                *map(jax.tree.leaves, (tree, still, parts(tree))), strict=True
            )
            if not np.array_equal(leaf, old)
        }

    learning = set(config.parts) - set(frozen)
    assert moved(gradients, jax.tree.map(np.zeros_like, gradients)) == learning
    assert moved(stats, variables["batch_stats"]) == learning - {"head"}


def test_a_network_that_is_all_frozen_trains_as_it_evaluates():
    config = DenseNetConfig(**SMALL)
    variables = init(jax.random.key(0), config, (16, 16, 1))
    images = jax.random.normal(jax.random.key(1), (4, 16, 16, 1))
    frozen = DenseNetConfig(**SMALL, dropout=0.5, frozen=config.parts)
    np.testing.assert_array_equal(
        apply(frozen, variables, images, train=True, key=jax.random.key(2))[0],
        apply(config, variables, images, train=False)[0],
    )


def test_every_parameter_belongs_to_a_part():
    config = SegmenterConfig(encoder=DenseNetConfig.tiny(num_classes=2))
    params = jax.eval_shape(lambda key: init(key, config, (32, 32, 1)), jax.random.key(0))
    found = parts(params["params"])
    assert set(jax.tree.leaves(found)) == {*config.encoder.parts, "decoder"}
    by_layer = {name: set(jax.tree.leaves(tree)) for name, tree in found["features"].items()}
    assert by_layer["transition1"] == {"block1"}
    assert by_layer["norm4"] == {"block3"}
    assert by_layer["norm0"] == by_layer["conv0"] == {"stem"}


def test_holding_nothing_gives_the_parameters_themselves():
    params = {"classifier": {"bias": np.zeros(2)}}
    assert hold(params, ()) is params
