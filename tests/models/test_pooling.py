"""Max pooling and its gradient, alone and behind a norm."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cxr_jax.models.layers import BatchNorm, moments
from cxr_jax.models.pooling import PooledNorm, max_pool


@pytest.mark.parametrize("shape", [(2, 8, 8, 3), (2, 7, 9, 3), (1, 1, 2, 1)])
def test_max_pooling_and_its_gradient_are_xlas_also_among_equals(shape):
    """Of equals the first in a window gets the gradient."""
    for x in (
        jax.random.normal(jax.random.key(4), shape),
        jnp.round(2 * jax.random.normal(jax.random.key(5), shape)),
    ):
        expected, pull_back = jax.vjp(
            lambda x: nn.max_pool(x, (3, 3), (2, 2), padding=((1, 1), (1, 1))), x
        )
        found, own = jax.vjp(max_pool, x)
        np.testing.assert_array_equal(found, expected)
        gradient = jax.random.normal(jax.random.key(6), found.shape)
        np.testing.assert_allclose(own(gradient)[0], pull_back(gradient)[0], rtol=1e-6, atol=1e-6)


class PoolingLast(nn.Module):
    """The plain formulation."""

    @nn.compact
    def __call__(self, x, learns):
        whole = nn.relu(BatchNorm(name="norm")(x, moments(x) if learns else None))
        return whole, max_pool(whole)


class PoolingFirst(nn.Module):
    @nn.compact
    def __call__(self, x, learns):
        return PooledNorm(name="norm")(x, learns)


@pytest.mark.parametrize("learns", [True, False])
def test_pooling_before_the_norm_changes_no_map_statistic_or_gradient(learns):
    """Also where a scale is negative."""
    x = jax.random.normal(jax.random.key(0), (2, 8, 6, 4))
    params = {"scale": jnp.array([1.5, -0.7, 0.4, -2.0]), "bias": jnp.array([0.1, 0.2, 0.3, -0.4])}
    running = {"mean": jnp.array([0.3, -0.2, 0.1, 0.5]), "var": jnp.array([0.5, 1.0, 2.0, 1.5])}

    @functools.partial(jax.jit, static_argnums=0)
    def results(module, x, params):
        def loss(x, params):
            variables = {"params": {"norm": params}, "batch_stats": {"norm": running}}
            (whole, pooled), moved = module.apply(variables, x, learns, mutable=["batch_stats"])
            weights = jnp.cos(jnp.arange(pooled.size)).reshape(pooled.shape)
            return (pooled * weights).sum() + (whole**3).sum(), (whole, pooled, moved)

        return jax.grad(loss, argnums=(0, 1), has_aux=True)(x, params)

    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5),
        results(PoolingFirst(), x, params),
        results(PoolingLast(), x, params),
    )
