"""Smooth labels: give a share of the certainty to the other classes.

Targets are soft labels in [0, 1]. Both functions are linear in them, so that smoothing and mixing
(`cxr_jax.mixup`) commute, and both let NaN (unknown) through.
"""

from jaxtyping import Array, Float


def smooth_one_hot(
    targets: Float[Array, "*batch class"], *, smoothing: float
) -> Float[Array, "*batch class"]:
    """Smooth the targets of exclusive classes.

        q (1 - ε) + (1 - q) ε / (K - 1)

    The true one of K classes gets 1 - ε and every other ε / (K - 1): 0.90 and 0.10 for ε = 0.1 and
    K = 2. A row that sums to 1 still does.

    >>> import jax.numpy as jnp
    >>> smooth_one_hot(jnp.array([0.0, 1.0]), smoothing=0.1)
    Array([0.1, 0.9], dtype=float32)

    Args:
      targets: q, rows sum to 1 (one-hot or mixed).
      smoothing: ε in [0, 1).

    Returns:
      Targets of the same shape and dtype.

    Raises:
      ValueError: ε is outside [0, 1), or there are fewer than two classes.

    Not optax.smooth_labels, which gives the true class 1 - ε + ε / K.
    """
    _check_smoothing(smoothing)
    classes = targets.shape[-1]
    if classes < 2:
        raise ValueError(
            f"targets must have at least 2 classes on the last axis, got {classes}; "
            "independent findings go to smooth_binary"
        )
    return targets * (1.0 - smoothing) + (1.0 - targets) * (smoothing / (classes - 1))


def smooth_binary(targets: Float[Array, "*shape"], *, smoothing: float) -> Float[Array, "*shape"]:
    """Smooth the targets of independent findings, each present or absent by itself.

        y (1 - ε) + (1 - y) ε

    >>> import jax.numpy as jnp
    >>> smooth_binary(jnp.array([0.0, 1.0, jnp.nan]), smoothing=0.1)
    Array([0.1, 0.9, nan], dtype=float32)

    Args:
      targets: y, 1 where the finding is present.
      smoothing: ε in [0, 1).

    Returns:
      Targets of the same shape and dtype.

    Raises:
      ValueError: ε is outside [0, 1).
    """
    _check_smoothing(smoothing)
    return targets * (1.0 - smoothing) + (1.0 - targets) * smoothing


def _check_smoothing(smoothing: float) -> None:
    if not 0.0 <= smoothing < 1.0:
        raise ValueError(f"smoothing must be in [0, 1), got {smoothing!r}; 0 switches it off")
