"""A dense block and its backward pass against the plain formulation, which JAX differentiates."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cxr_jax.models.dense_block import Options, dense_block, initial_moments, initial_params
from cxr_jax.models.layers import (
    Moments,
    convolve,
    moments,
    moments_gradient,
    multiply,
    multiply_gradient,
)

CHANNELS, BETWEEN, GROWTH, LAYERS = 6, 8, 4, 2
SIZES = [(CHANNELS + i * GROWTH, BETWEEN, GROWTH) for i in range(LAYERS)]


def random_like(seed, tree, *, around=0.0):
    leaves, structure = jax.tree.flatten(tree)
    keys = jax.random.split(jax.random.key(seed), len(leaves))
    drawn = [
        around + 0.3 * jax.random.normal(k, x.shape) for k, x in zip(keys, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, drawn)


X = jax.random.normal(jax.random.key(0), (3, 5, 4, CHANNELS))
PARAMS = random_like(1, [initial_params(*sizes) for sizes in SIZES], around=0.2)
RUNNING = random_like(2, [initial_moments(*sizes[:2]) for sizes in SIZES], around=1.5)
KEYS = jax.random.split(jax.random.key(3), LAYERS)


def plain(options, x, layers, running, keys):
    """Concatenate, and normalise each time with the map's own statistics."""

    def norm(x, params, running):
        mean, var = (
            (x.mean((0, 1, 2)), x.var((0, 1, 2)))
            if running is None
            else (running["mean"], running["var"])
        )
        return nn.relu((x - mean) / jnp.sqrt(var + 1e-5) * params["scale"] + params["bias"])

    for i, layer in enumerate(layers):
        stats = {"norm1": None, "norm2": None} if running is None else running[i]
        new = norm(x, layer["norm1"], stats["norm1"]) @ layer["conv1"]["kernel"]
        new = jax.lax.conv_general_dilated(
            norm(new, layer["norm2"], stats["norm2"]),
            layer["conv2"]["kernel"],
            (1, 1),
            "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        if keys is not None:
            kept = jax.random.bernoulli(keys[i], 1 - options.dropout, new.shape)
            new = kept * new / (1 - options.dropout)
        x = jnp.concatenate([x, new], axis=-1)
    return x, None if running is not None else Moments(x.mean((0, 1, 2)), x.var((0, 1, 2)))


@functools.partial(
    jax.jit, static_argnums=(0, 1), compiler_options={"xla_backend_optimization_level": 0}
)
def outputs_and_gradients(block, options, x, layers, running, keys):
    def loss(x, layers, running):
        maps, batch = block(options, x, layers, running, keys)[:2]
        total = (maps * jnp.cos(jnp.arange(maps.size)).reshape(maps.shape)).sum()
        return total + (0 if batch is None else (batch.mean**3 - batch.var**2).sum()), (maps, batch)

    return jax.value_and_grad(loss, argnums=(0, 1, 2), has_aux=True, allow_int=True)(
        x, layers, running
    )


@pytest.mark.parametrize(
    ("recompute", "running", "dropout"),
    [(False, None, 0.0), (False, None, 0.4), (True, None, 0.4), (False, RUNNING, 0.0)],
)
def test_outputs_and_gradients_equal_the_plain_formulation(recompute, running, dropout):
    options = Options(dropout=dropout, recompute=recompute)
    keys = KEYS if dropout else None
    found = outputs_and_gradients(dense_block, options, X, PARAMS, running, keys)
    expected = outputs_and_gradients(plain, options, X, PARAMS, running, keys)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=2e-4, atol=2e-3), found, expected
    )


def test_the_moments_that_each_norm_has_used_come_back():
    maps, batch, used = dense_block(Options(), X, PARAMS, None, None)
    np.testing.assert_allclose(batch.var, maps.var((0, 1, 2)), rtol=1e-4)
    for i, (channels, between, _) in enumerate(SIZES):
        np.testing.assert_array_equal(used[i]["norm1"].mean, batch.mean[:channels])
        assert used[i]["norm2"].mean.shape == (between,)


def test_the_gradient_of_moments_is_that_which_jax_derives():
    constant = X.at[..., 0].set(2.0)  # whose variance is 0, where it is clipped
    batch, pull_back = jax.vjp(moments, constant)
    gradient = Moments(jnp.arange(6.0), jnp.arange(6.0) - 2)
    expected = pull_back(gradient)[0]
    np.testing.assert_allclose(
        moments_gradient(constant, batch, gradient)[..., 1:], expected[..., 1:], atol=1e-6
    )
    assert np.isfinite(moments_gradient(constant, batch, gradient)).all()


def test_the_product_with_a_1x1_kernel_has_the_gradients_of_a_product():
    kernel = PARAMS[0]["conv1"]["kernel"]
    product, pull_back = jax.vjp(multiply, X, kernel)
    gradient = jnp.cos(jnp.arange(product.size)).reshape(product.shape)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5),
        multiply_gradient(X, kernel, gradient),
        pull_back(gradient),
    )


def test_a_tpu_convolves_where_others_multiply():
    kernel = jax.random.normal(jax.random.key(6), (CHANNELS, BETWEEN))
    np.testing.assert_allclose(convolve(X, kernel[None, None]), multiply(X, kernel), rtol=1e-5)
    traced = jax.jit(multiply).trace(X, kernel)
    for platform, convolutions in {"tpu": 1, "cpu": 0, "cuda": 0}.items():
        text = traced.lower(lowering_platforms=(platform,)).as_text()
        assert text.count("stablehlo.convolution(") == convolutions
