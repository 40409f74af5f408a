"""Computing again in the backward pass changes memory, and no result."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cxr_jax.models import DenseNetConfig, apply, init

IMAGES = jax.random.normal(jax.random.key(1), (8, 32, 32, 1))


def config(remat, **changes):
    sizes = {"block_sizes": (2, 1), "growth_rate": 4, "stem_features": 8}
    return DenseNetConfig(**{**sizes, "num_classes": 2, "remat": remat, **changes})


@functools.partial(
    jax.jit,
    static_argnames="config",
    compiler_options={"xla_backend_optimization_level": 0},  # compiles in half of the time
)
def learn(config, variables, images):
    """Logits and running statistics, gradients."""

    def loss(params):
        logits, stats = apply(
            config, {**variables, "params": params}, images, train=True, key=jax.random.key(2)
        )
        return jnp.square(logits - 1).sum(), (logits, stats)

    (_, kept), gradients = jax.value_and_grad(loss, has_aux=True)(variables["params"])
    return kept, gradients


def variables_of(config):
    return init(jax.random.key(0), config, (32, 32, 1))


@pytest.mark.parametrize(
    ("remat", "changes"),
    [("block", {"dropout": 0.5}), ("layer", {"dropout": 0.5}), ("layer", {"frozen": ("block1",)})],
)
def test_logits_statistics_and_gradients_stay(remat, changes):
    """Running statistics move once, and what drops out in the first pass drops out again."""
    plain, again = config("none", **changes), config(remat, **changes)
    variables = variables_of(plain)
    expected = learn(plain, variables, IMAGES)
    found = learn(again, variables, IMAGES)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), found, expected
    )


@pytest.mark.parametrize("remat", ["block", "layer"])
def test_the_parameter_tree_and_its_values_stay(remat):
    expected, found = variables_of(config("none")), variables_of(config(remat))
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_the_backward_pass_keeps_less():
    """Of a block its input alone; of a layer the map that it adds; or the one between too."""
    deep = {"block_sizes": (8,), "growth_rate": 8}

    def kept(remat):
        """Values that the forward pass hands to the backward pass."""
        variables = variables_of(config("none", **deep))

        def backward(params):
            return jax.vjp(
                lambda p: apply(
                    config(remat, **deep), {**variables, "params": p}, IMAGES, train=True
                )[0],
                params,
            )[1]

        return sum(x.size for x in jax.tree.leaves(jax.eval_shape(backward, variables["params"])))

    # The maps of the only block are those that the last norm reads.
    assert kept("layer") == pytest.approx(kept("block"), rel=0.02)
    # Eight of 8 x 8 x 8 x 32 values.
    assert kept("none") - kept("layer") == pytest.approx(8 * 8 * 8 * 8 * 32, rel=0.01)


def test_another_word_is_refused():
    with pytest.raises(ValueError, match="remat must be one of none, block, layer, got 'all'"):
        config("all")
