"""Max pooling, and the norm before it."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cxr_jax.models.layers import BatchNorm, Moments, moments, move, normalise


def _max_pool(x: Array) -> Array:
    return nn.max_pool(x, (3, 3), (2, 2), padding=((1, 1), (1, 1)))


@jax.custom_vjp
def max_pool(
    x: Float[Array, "batch height width channel"],
) -> Float[Array, "batch half_height half_width channel"]:
    """Take the maxima of 3x3 windows at stride 2, as torch does with padding = 1.

    The gradient of each goes to the first of its window's equals. XLA's own, which a TPU scatters
    fast, takes four times as long on a CPU, where it keeps an index beside every value.
    """
    return _max_pool(x)


def _by_comparing(x: Array, maxima: Array, gradient: Array) -> Array:
    height, width = maxima.shape[1:3]

    def taps(x: Array) -> list[Array]:
        """Give the window's nine values, each for all windows."""
        x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-jnp.inf)
        return [
            x[:, i : i + 2 * height - 1 : 2, j : j + 2 * width - 1 : 2]
            for i in range(3)
            for j in range(3)
        ]

    found = jnp.zeros(maxima.shape, bool)
    gradients = []
    for tap in taps(x):
        first = (tap == maxima) & ~found
        found |= first
        gradients.append(jnp.where(first, gradient, 0))
    return jax.linear_transpose(taps, x)(gradients)[0]


def _by_scattering(x: Array, maxima: Array, gradient: Array) -> Array:
    return jax.vjp(_max_pool, x)[1](gradient)[0]


def _max_pool_forward(x: Array) -> tuple[Array, tuple[Array, Array]]:
    maxima = _max_pool(x)
    return maxima, (x, maxima)


def _max_pool_gradient(saved: tuple[Array, Array], gradient: Array) -> tuple[Array]:
    ways = {"cpu": _by_comparing, "default": _by_scattering}
    return (jax.lax.platform_dependent(*saved, gradient, **ways),)


max_pool.defvjp(_max_pool_forward, _max_pool_gradient)


class PooledNorm(BatchNorm):
    """Norm, ReLU and max pooling, which pools first: all three keep the order of values.

    Norm, ReLU and their gradients then go over a quarter of the map. A negative scale turns the
    order round, so that its channel is negated before and after.
    """

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channel"], learns: bool
    ) -> tuple[
        Float[Array, "batch height width channel"],
        Float[Array, "batch half_height half_width channel"],
    ]:
        """Return the map behind norm and ReLU too.

        Args:
          learns: whether to use the moments of x, and to move the running ones.
        """
        scale, bias, mean, var = self._variables(x.shape[-1])
        sign = jnp.where(scale < 0, -1, 1).astype(x.dtype)
        # All read the product, moments too: a TPU would otherwise write both maps.
        x = x * sign
        used = running = Moments(mean.value, var.value)
        if learns:
            batch = moments(x)
            used = batch._replace(mean=batch.mean * sign)
            mean.value, var.value = move(running, used, x.size // x.shape[-1])
        whole, pooled = (normalise(y * sign, used, scale, bias) for y in (x, max_pool(x)))
        return nn.relu(whole), nn.relu(pooled)
