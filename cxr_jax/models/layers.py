"""Convolutions and batch normalisation with torch's geometry, initialisation and statistics."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

# Kaiming's, not truncated: torch.nn.init.kaiming_normal_ in its default mode.
conv_initialiser = nn.initializers.variance_scaling(2.0, "fan_in", "normal")
# torch.nn.Linear's own: uniform within ±1/√fan_in.
linear_initialiser = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


def convolution(
    features: int, size: int, *, stride: int = 1, dtype: DTypeLike, name: str
) -> Callable[[Array], Array]:
    """Make a square convolution without bias that pads as torch does with padding = size // 2."""
    if size == 1 and stride == 1:
        # XLA's CPU convolutions take two to four times as long as the same product of matrices.
        return nn.Dense(
            features, use_bias=False, dtype=dtype, kernel_init=conv_initialiser, name=name
        )
    return nn.Conv(
        features,
        (size, size),
        strides=stride,
        padding=size // 2,  # explicit: XLA's "SAME" pads stride 2 elsewhere
        use_bias=False,
        dtype=dtype,
        kernel_init=conv_initialiser,
        name=name,
    )


class BatchNorm(nn.Module):
    """Normalises with the batch's statistics in training, with the running ones in evaluation.

    Equals torch.nn.BatchNorm2d(momentum=0.1, eps=1e-5): the running variance is unbiased
    (n / (n - 1), n over the global batch). Statistics are float32 whatever the input's dtype.
    """

    momentum: float = 0.1
    epsilon: float = 1e-5

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channel"], *, train: bool
    ) -> Float[Array, "batch height width channel"]:
        channels = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (channels,))
        bias = self.param("bias", nn.initializers.zeros, (channels,))
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, (channels,))
        running_var = self.variable("batch_stats", "var", jnp.ones, (channels,))
        if train:
            n = x.size // channels
            if n < 2:
                raise ValueError(
                    f"batch statistics need more than one value per channel, got shape {x.shape}; "
                    "enlarge the batch or the images"
                )
            x32 = x.astype(jnp.float32)
            mean = x32.mean((0, 1, 2))
            var = jnp.maximum(jnp.square(x32).mean((0, 1, 2)) - jnp.square(mean), 0.0)
            if not self.is_initializing():
                running_mean.value += self.momentum * (mean - running_mean.value)
                running_var.value += self.momentum * (var * (n / (n - 1)) - running_var.value)
        else:
            mean, var = running_mean.value, running_var.value
        factor = scale * jax.lax.rsqrt(var + self.epsilon)
        offset = bias - mean * factor
        return (x * factor + offset).astype(x.dtype)
