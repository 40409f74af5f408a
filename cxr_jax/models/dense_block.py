"""The layers of a dense block as one function, with a backward pass of its own.

Each layer reads all maps before it. They lie in one array, into which each layer writes its own, so
that nothing is copied to be concatenated, and so do their gradients. The backward pass keeps that
array and the maps between a layer's two convolutions; what norm and ReLU make of them it computes
again, as the memory-efficient DenseNet does (Pleiss et al. 2017, https://arxiv.org/abs/1707.06990).
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from cxr_jax.models.layers import (
    Moments,
    activate,
    activate_gradient,
    convolve,
    convolve_gradient,
    moments,
    moments_gradient,
    multiply,
    multiply_gradient,
)

Layer = Mapping[str, Any]


class Options(NamedTuple):
    """What is fixed when a block is compiled.

    Attributes:
      dropout: rate, in [0, 1).
      recompute: compute the maps between the two convolutions again instead of keeping them.
    """

    dropout: float = 0.0
    recompute: bool = False


def initial_params(channels: int, between: int, growth: int) -> Layer:
    """Make a layer's parameters before they are drawn; it reads `channels`."""
    norms = {"norm1": channels, "norm2": between}
    kernels = {"conv1": (channels, between), "conv2": (3, 3, between, growth)}
    return {name: {"kernel": jnp.zeros(shape)} for name, shape in kernels.items()} | {
        name: {"scale": jnp.ones(n), "bias": jnp.zeros(n)} for name, n in norms.items()
    }


def initial_moments(channels: int, between: int) -> Layer:
    """Make a layer's running moments."""
    norms = {"norm1": channels, "norm2": between}
    return {name: {"mean": jnp.zeros(n), "var": jnp.ones(n)} for name, n in norms.items()}


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def dense_block(
    options: Options,
    x: Float[Array, "batch height width channel"],
    layers: Sequence[Layer],
    running: Sequence[Layer] | None,
    keys: Key[Array, "layer"] | None,
) -> tuple[Array, Moments | None, Sequence[Mapping[str, Moments]]]:
    """Apply dense layers: norm, ReLU, 1x1 convolution, norm, ReLU, 3x3 convolution, dropout.

    Args:
      layers: parameters, by torchvision's names.
      running: the moments that each layer's norms use; None for those of the batch.
      keys: for dropout; None for none.

    Returns:
      All maps, concatenated along their channels; their moments, None where the running ones are
      used; and the moments that each layer's norms have used, which are not differentiated.
    """
    return _forward(options, x, layers, running, keys)[0]


def _forward(options: Options, x: Array, layers: Any, running: Any, keys: Any) -> tuple[Any, Any]:
    """Give the outputs, and what the backward pass needs."""
    channels, growth = x.shape[-1], layers[0]["conv2"]["kernel"].shape[-1]
    maps = jnp.pad(x, ((0, 0),) * 3 + ((0, growth * len(layers)),))
    batch = moments(x) if running is None else None
    used, kept = [], []
    for i, layer in enumerate(layers):
        first = Moments(**running[i]["norm1"]) if batch is None else batch
        reduced = _reduce(maps[..., :channels], first, layer)
        second = Moments(**running[i]["norm2"]) if batch is None else moments(reduced)
        key = None if keys is None else keys[i]
        new = _drop(options, key, _grow(reduced, second, layer))
        maps = jax.lax.dynamic_update_slice_in_dim(maps, new, channels, axis=-1)
        if batch is not None:
            batch = batch.and_of(moments(new))
        channels += growth
        used.append({"norm1": first, "norm2": second})
        kept.append(None if options.recompute else reduced)
    return (maps, batch, used), (maps, batch, used, kept, layers, keys)


def _backward(options: Options, saved: Any, gradients: Any) -> Any:
    """Give the gradients of x, layers, running and keys, from the last layer to the first."""
    maps, batch, used, kept, layers, keys = saved
    d_maps, d_batch, _ = gradients
    channels, growth = maps.shape[-1], layers[0]["conv2"]["kernel"].shape[-1]
    d_layers, d_used = [], []
    for i in reversed(range(len(layers))):
        layer, first, second = layers[i], used[i]["norm1"], used[i]["norm2"]
        # Otherwise XLA computes again for all layers first, and needs the memory of all.
        maps, reduced, d_maps = jax.lax.optimization_barrier((maps, kept[i], d_maps))
        end, channels = channels, channels - growth
        x, new, d_new = maps[..., :channels], maps[..., channels:end], d_maps[..., channels:end]
        if batch is not None:
            d_new += moments_gradient(new, batch.cut(channels, end), d_batch.cut(channels, end))
        if reduced is None:
            reduced = _reduce(x, first, layer)
        active = activate(reduced, second, layer["norm2"])
        d_new = _drop(options, None if keys is None else keys[i], d_new)
        d_active, d_conv2 = convolve_gradient(active, layer["conv2"]["kernel"], d_new)
        d_reduced, d_second, d_norm2 = activate_gradient(reduced, second, layer["norm2"], d_active)
        if batch is not None:
            d_reduced += moments_gradient(reduced, second, d_second)
        d_reduced = d_reduced.astype(reduced.dtype)
        active = activate(x, first, layer["norm1"])
        d_active, d_conv1 = multiply_gradient(active, layer["conv1"]["kernel"], d_reduced)
        d_x, d_first, d_norm1 = activate_gradient(x, first, layer["norm1"], d_active)
        d_maps = (d_maps[..., :channels] + d_x).astype(maps.dtype)
        # A TPU then sums the gradients of the norm, and of the maps, while it multiplies.
        d_maps, d_first, d_norm1 = jax.lax.optimization_barrier((d_maps, d_first, d_norm1))
        if batch is not None:
            d_batch = jax.tree.map(jnp.add, d_batch.cut(0, channels), d_first)
        d_convs = {"conv1": {"kernel": d_conv1}, "conv2": {"kernel": d_conv2}}
        d_layers.append({"norm1": d_norm1, "norm2": d_norm2, **d_convs})
        d_used.append({"norm1": d_first._asdict(), "norm2": d_second._asdict()})
    if batch is None:
        return d_maps, d_layers[::-1], d_used[::-1], None
    d_x = d_maps + moments_gradient(maps[..., :channels], batch.cut(0, channels), d_batch)
    return d_x, d_layers[::-1], None, None


dense_block.defvjp(_forward, _backward)


def _reduce(x: Array, batch: Moments, layer: Layer) -> Array:
    """Norm, ReLU, 1x1 convolution."""
    return multiply(activate(x, batch, layer["norm1"]), layer["conv1"]["kernel"])


def _grow(x: Array, batch: Moments, layer: Layer) -> Array:
    """Norm, ReLU, 3x3 convolution."""
    return convolve(activate(x, batch, layer["norm2"]), layer["conv2"]["kernel"])


def _drop(options: Options, key: Array | None, x: Array) -> Array:
    """Drop out: its own gradient."""
    if key is None:
        return x
    kept = jax.random.bernoulli(key, 1 - options.dropout, x.shape)
    return jnp.where(kept, x / (1 - options.dropout), 0)
