"""Convolutions and batch normalisation as torch does them, and their initial values."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike, DTypeLike
from jaxtyping import Array, Float, Key, UInt32


def convolution(
    features: int, size: int, *, stride: int = 1, dtype: DTypeLike, name: str
) -> Callable[[Array], Array]:
    """Make a square convolution without bias that pads as torch's does with padding = size // 2."""
    if size == stride == 1:
        # XLA's CPU convolutions take two to four times as long as the same product of matrices.
        return nn.Dense(features, use_bias=False, dtype=dtype, name=name)
    return nn.Conv(
        features,
        (size, size),
        strides=stride,
        padding=size // 2,  # explicit, because XLA's "SAME" differs at stride 2
        use_bias=False,
        dtype=dtype,
        name=name,
    )


class Moments(NamedTuple):
    """What batch normalisation needs to know of a feature map, one value a channel."""

    mean: Float[Array, "channel"]
    var: Float[Array, "channel"]  # biased

    def and_of(self, other: "Moments") -> "Moments":
        """Give the moments of two maps that are concatenated along their channels."""
        return Moments(*(jnp.concatenate(pair) for pair in zip(self, other, strict=True)))


def moments(x: Float[Array, "batch height width channel"]) -> Moments:
    """Compute mean and variance over batch, height and width, in float32 whatever x is.

    Under `jit` with a sharded batch they are those of the global batch.

    Raises:
      ValueError: there is a single value per channel, whose variance is nothing to divide by.
    """
    if x.size == x.shape[-1]:
        raise ValueError(
            f"batch statistics need more than one value per channel, got a map of shape {x.shape}; "
            "enlarge the batch or the images"
        )
    x = x.astype(jnp.float32)
    mean = x.mean((0, 1, 2))
    # x * x, because the derivative of `jnp.square` would keep 2 x beside x.
    return Moments(mean, jnp.maximum((x * x).mean((0, 1, 2)) - mean * mean, 0.0))


class BatchNorm(nn.Module):
    """Normalises with the moments of the batch, or with the running ones where none are given.

    Equals torch.nn.BatchNorm2d(momentum=0.1, eps=1e-5): what it adds to the running variance is
    unbiased, n / (n - 1) of the batch's, n over the global batch. It does not compute the moments
    itself because all layers that read a feature map share them.
    """

    momentum: float = 0.1
    epsilon: float = 1e-5

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channel"], batch: Moments | None
    ) -> Float[Array, "batch height width channel"]:
        channels = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (channels,))
        bias = self.param("bias", nn.initializers.zeros, (channels,))
        mean = self.variable("batch_stats", "mean", jnp.zeros, (channels,))
        var = self.variable("batch_stats", "var", jnp.ones, (channels,))
        if batch is None:
            batch = Moments(mean.value, var.value)
        else:
            n = x.size // channels
            mean.value += self.momentum * (batch.mean - mean.value)
            var.value += self.momentum * (batch.var * (n / (n - 1)) - var.value)
        factor = scale * jax.lax.rsqrt(batch.var + self.epsilon)
        return (x * factor + (bias - batch.mean * factor)).astype(x.dtype)


def draw(key: Key[Array, ""] | UInt32[Array, "2"], shapes: Any) -> Any:
    """Draw initial values for a tree of variables, as torchvision draws them for its DenseNet.

    Kernels of convolutions are normal with variance 2 / fan-in (Kaiming's, not truncated), that of
    the classifier is uniform within ±1/√fan-in; scales and variances are 1, the rest is 0.

    Args:
      shapes: a tree of dicts of `jax.ShapeDtypeStruct`, by the layers' names.

    Returns:
      The same tree of float32 arrays.
    """
    convolution_key, classifier_key = jax.random.split(key)
    leaves, structure = jax.tree.flatten_with_path(shapes)
    # One draw for all kernels, cut up: compiling 121 draws would take 20 seconds.
    noise = jax.random.normal(convolution_key, (sum(x.size for _, x in leaves),))
    values, start = [], 0
    for path, x in leaves:
        layer, name = path[-2].key, path[-1].key
        fan_in = math.prod(x.shape[:-1])
        if layer == "classifier" and name == "kernel":
            bound = 1 / math.sqrt(fan_in)
            values.append(jax.random.uniform(classifier_key, x.shape, minval=-bound, maxval=bound))
        elif name == "kernel":
            values.append(_cut(noise, start, math.sqrt(2 / fan_in), shape=x.shape))
            start += x.size
        else:
            value = np.ones if name in ("scale", "var") else np.zeros
            values.append(jnp.asarray(value(x.shape, np.float32)))
    return jax.tree.unflatten(structure, values)


@functools.partial(jax.jit, static_argnames="shape")
def _cut(
    noise: Float[Array, "total"], start: ArrayLike, factor: ArrayLike, *, shape: tuple[int, ...]
) -> Float[Array, "..."]:
    return jax.lax.dynamic_slice(noise, (start,), (math.prod(shape),)).reshape(shape) * factor
