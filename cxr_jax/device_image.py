"""What the device's functions take for an image, a key and a number; checked when traced."""

from numbers import Real
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Image = jax.Array | Any  # also NumPy's, which JAX takes in


def check_image(image: Image, *, name: str = "image", rank: int = 3, floats: bool = True) -> None:
    """Raise where an array is no image.

    Args:
      image: whatever the caller got.
      name: what he called it.
      rank: 3 for [height, width, channel], 4 for a batch of them.
      floats: whether its values must be floats in [0, 1]; masks may be of any type.

    Raises:
      TypeError: no array, or not of floats.
      ValueError: of another rank, or empty.
    """
    if not isinstance(image, jax.Array | np.ndarray):
        raise TypeError(f"{name} must be an array of JAX or NumPy, got {type(image).__name__}")
    axes = ("batch", "height", "width", "channel")[-rank:]
    if len(image.shape) != rank or 0 in image.shape:
        raise ValueError(
            f"{name} must be [{', '.join(axes)}], none of them 0, got shape {image.shape}"
        )
    if floats and not jnp.issubdtype(image.dtype, jnp.floating):
        raise TypeError(
            f"{name} must be of floats in [0, 1], got {image.dtype}; "
            "divide it by its type's largest value"
        )


def check_key(key: Any) -> None:
    """Raise TypeError where a key is not one typed PRNG key, such as `jax.random.key(0)`."""
    dtype = getattr(key, "dtype", None)
    if dtype is None or not jnp.issubdtype(dtype, jax.dtypes.prng_key) or key.shape:
        got = type(key).__name__ if dtype is None else f"{dtype}{list(key.shape)}"
        raise TypeError(
            f"key must be one typed PRNG key, got {got}; make it with jax.random.key(seed), "
            "or of an old PRNGKey with jax.random.wrap_key_data(key)"
        )


def check_number(value: Any, *, name: str, within: str = "(-inf, inf)") -> None:
    """Raise where a parameter is not one number of an interval.

    Args:
      value: whatever the caller got. Of a traced one the shape alone is looked at.
      name: what he called it.
      within: the interval, such as "[0, 1)"; finite numbers where nothing is said.

    Raises:
      TypeError: no number.
      ValueError: several numbers, or one outside of the interval.
    """
    if not isinstance(value, Real | np.generic | np.ndarray | jax.Array):
        raise TypeError(f"{name} must be a number, got {type(value).__name__}")
    shape = getattr(value, "shape", ())
    if shape:
        raise ValueError(f"{name} must be one number, got shape {shape}; vmap over several")
    if isinstance(value, jax.core.Tracer):
        return
    low, high = map(float, within[1:-1].split(","))
    number = float(value)
    above = number > low if within[0] == "(" else number >= low
    below = number < high if within[-1] == ")" else number <= high
    if not (above and below):
        raise ValueError(f"{name} must be in {within}, got {value}")


def check_numbers(values: Any, *, name: str, parts: tuple[str, ...], within: str) -> None:
    """Raise where a parameter is not as many numbers of an interval as it has parts."""
    several = isinstance(values, tuple | list) or getattr(values, "ndim", 0) == 1
    if not several or len(values) != len(parts):
        raise ValueError(f"{name} must be ({', '.join(parts)}), got {values}")
    if isinstance(values, jax.core.Tracer):
        return
    for part, value in zip(parts, values, strict=True):
        check_number(value, name=f"{name} ({part})", within=within)
