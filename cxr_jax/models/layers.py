"""Convolutions and batch normalisation as torch does them, and their initial values."""

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike, DTypeLike
from jaxtyping import Array, Float, Key, UInt32

from cxr_jax.errors import ConfigError

EPSILON = 1e-5
MOMENTUM = 0.1


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


def multiply(
    x: Float[Array, "batch height width channel"], kernel: Float[Array, "channel feature"]
) -> Float[Array, "batch height width feature"]:
    """Convolve with a 1x1 kernel.

    A product of matrices, but on a TPU a convolution, in which XLA computes norm and ReLU of what
    it reads and the sums of what it writes.
    """
    return jax.lax.platform_dependent(
        x,
        kernel.astype(x.dtype),
        tpu=lambda x, kernel: convolve(x, kernel[None, None]),
        default=jnp.matmul,
    )


def multiply_gradient(
    x: Float[Array, "batch height width channel"],
    kernel: Float[Array, "channel feature"],
    gradient: Float[Array, "batch height width feature"],
) -> tuple[Array, Array]:
    """Pull a gradient back to x, in float32, and to the kernel.

    Contracts pixels in both, where what JAX derives would transpose one of them first. In float32,
    because a TPU writes what is rounded before it sums it.
    """
    pixels = x.reshape(-1, x.shape[-1]), gradient.reshape(-1, gradient.shape[-1])
    d_kernel = jax.lax.dot_general(*pixels, (((0,), (0,)), ((), ())))
    d_x = jnp.matmul(gradient, kernel.T.astype(x.dtype), preferred_element_type=jnp.float32)
    return d_x, d_kernel.astype(kernel.dtype)


def convolve(
    x: Float[Array, "batch height width channel"], kernel: Float[Array, "size size channel feature"]
) -> Float[Array, "batch height width feature"]:
    """Convolve with a kernel of odd size, with zeros around the map."""
    around = len(kernel) // 2
    return jax.lax.conv_general_dilated(
        x,
        kernel.astype(x.dtype),
        (1, 1),
        [(around, around)] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


@jax.jit  # as elsewhere here: all layers with maps of one shape share what JAX traces
def convolve_gradient(
    x: Float[Array, "batch height width channel"],
    kernel: Float[Array, "size size channel feature"],
    gradient: Float[Array, "batch height width feature"],
) -> tuple[Array, Array]:
    """Pull a gradient back to x and kernel."""
    return jax.vjp(convolve, x, kernel)[1](gradient)


class Moments(NamedTuple):
    """What batch normalisation needs to know of a feature map, one value a channel."""

    mean: Float[Array, "channel"]
    var: Float[Array, "channel"]  # biased

    def cut(self, start: int, stop: int) -> "Moments":
        """Give those of some of the channels."""
        return Moments(self.mean[start:stop], self.var[start:stop])

    def and_of(self, other: "Moments") -> "Moments":
        """Give the moments of two maps that are concatenated along their channels."""
        return Moments(*(jnp.concatenate(pair) for pair in zip(self, other, strict=True)))


@jax.jit
def moments(x: Float[Array, "batch height width channel"]) -> Moments:
    """Compute mean and variance over batch, height and width, in float32 whatever x is.

    Under `jit` with a sharded batch they are those of the global batch.

    Raises:
      ConfigError: there is a single value per channel, whose variance is nothing to divide by.
    """
    if x.size == x.shape[-1]:
        raise ConfigError(
            f"batch statistics need more than one value per channel, got a map of shape {x.shape}; "
            "enlarge the batch or the images"
        )
    x = x.astype(jnp.float32)
    mean = x.mean((0, 1, 2))
    # x * x, because the derivative of `jnp.square` would keep 2 x beside x.
    return Moments(mean, jnp.maximum((x * x).mean((0, 1, 2)) - mean * mean, 0.0))


@jax.jit
def moments_gradient(
    x: Float[Array, "batch height width channel"], batch: Moments, gradient: Moments
) -> Float[Array, "batch height width channel"]:
    """Pull the gradient of a map's `moments` back to the map."""
    n = x.size // x.shape[-1]
    slope = jnp.where(batch.var > 0, 2 * gradient.var / n, 0)
    return (x * slope + (gradient.mean / n - batch.mean * slope)).astype(x.dtype)


@jax.jit
def normalise(
    x: Float[Array, "batch height width channel"],
    batch: Moments,
    scale: Float[Array, "channel"],
    bias: Float[Array, "channel"],
) -> Float[Array, "batch height width channel"]:
    """Shift and scale to mean bias and standard deviation scale, which is computed in float32."""
    factor = scale * jax.lax.rsqrt(batch.var + EPSILON)
    return (x * factor + (bias - batch.mean * factor)).astype(x.dtype)


@jax.jit
def activate(
    x: Float[Array, "batch height width channel"], batch: Moments, norm: Mapping[str, Array]
) -> Float[Array, "batch height width channel"]:
    """Apply norm and ReLU."""
    return jax.nn.relu(normalise(x, batch, **norm))


@jax.jit
def activate_gradient(
    x: Float[Array, "batch height width channel"],
    batch: Moments,
    norm: Mapping[str, Array],
    gradient: Float[Array, "batch height width channel"],
) -> tuple[Array, Moments, Mapping[str, Array]]:
    """Pull a gradient back to x, in float32, batch and norm."""
    root = jax.lax.rsqrt(batch.var + EPSILON)
    factor = norm["scale"] * root
    gradient = jnp.where(normalise(x, batch, **norm) > 0, gradient, 0).astype(jnp.float32)
    d_bias = gradient.sum((0, 1, 2))
    d_factor = (gradient * x).sum((0, 1, 2)) - batch.mean * d_bias
    d_batch = Moments(-factor * d_bias, -0.5 * d_factor * factor * root * root)
    return gradient * factor, d_batch, {"scale": d_factor * root, "bias": d_bias}


@functools.partial(jax.jit, static_argnames="count")
def move(running: Moments, batch: Moments, count: int) -> Moments:
    """Move running moments a tenth of the way to those of a batch of `count` values a channel.

    The variance is made unbiased, n / (n - 1) of the batch's, n over the global batch.
    """
    unbiased = batch._replace(var=batch.var * (count / (count - 1)))
    return jax.tree.map(lambda old, new: old + MOMENTUM * (new - old), running, unbiased)


class BatchNorm(nn.Module):
    """Normalises with the moments of the batch, or with the running ones where none are given.

    Equals torch.nn.BatchNorm2d(momentum=0.1, eps=1e-5). It does not compute the moments itself
    because all layers that read a feature map share them.
    """

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channel"], batch: Moments | None
    ) -> Float[Array, "batch height width channel"]:
        scale, bias, mean, var = self._variables(x.shape[-1])
        running = Moments(mean.value, var.value)
        if batch is not None:
            mean.value, var.value = move(running, batch, x.size // x.shape[-1])
        return normalise(x, running if batch is None else batch, scale, bias)

    def _variables(self, channels: int) -> tuple[Array, Array, nn.Variable, nn.Variable]:
        return (
            self.param("scale", nn.initializers.ones, (channels,)),
            self.param("bias", nn.initializers.zeros, (channels,)),
            self.variable("batch_stats", "mean", jnp.zeros, (channels,)),
            self.variable("batch_stats", "var", jnp.ones, (channels,)),
        )


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
