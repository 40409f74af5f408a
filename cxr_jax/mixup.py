"""Mixup: train on convex mixes of two examples and of their targets.

Source: Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
"""

from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, Real

from cxr_jax.device_image import check_key, check_number

Tree = TypeVar("Tree")


def sample_lambda(key: PRNGKeyArray, *, alpha: float) -> Float[Array, ""]:
    """Draw λ ~ Beta(α, α), the weight of the first of two examples.

    Args:
      key: consumed.
      alpha: α >= 0; static. 0 gives λ = 1 exactly (nothing is mixed), small ones λ near 0 or 1.

    Returns:
      λ in [0, 1], float32.

    Raises:
      TypeError: key is no typed key, or α no number.
      ValueError: α is negative or not finite.
    """
    check_key(key)
    check_number(alpha, name="alpha", within="[0, inf)")
    if alpha == 0.0:
        return jnp.ones((), jnp.float32)
    return jax.random.beta(key, alpha, alpha, dtype=jnp.float32)


def mix(tree: Tree, lam: Real[ArrayLike, ""]) -> Tree:
    """Mix each example with its neighbour: example 2k with 2k + 1, and the other way round.

        λ x + (1 - λ) x'        x' = x₁, x₀, x₃, x₂, …

    Neighbours, because exchanging them needs no communication between devices as long as each holds
    an even number of examples. The batch must have been shuffled.

    Unknown targets (NaN) make a mix unknown, unless they enter it with weight 0.

    Args:
      tree: arrays of floats [batch, ...]: images, targets, masks together.
      lam: λ in [0, 1].

    Returns:
      The mixes, in the shapes and dtypes of the tree.

    Raises:
      TypeError: a leaf is no array of floats, or λ no number.
      ValueError: a batch is odd, the leaves' batches differ, or λ is out of range.
    """
    check_number(lam, name="lam", within="[0, 1]")
    leaves = jax.tree.leaves(tree)
    for leaf in leaves:
        got = getattr(leaf, "dtype", type(leaf).__name__)
        if isinstance(got, str) or not jnp.issubdtype(got, jnp.floating):
            raise TypeError(
                f"mix needs arrays of floats, got {got}{list(np.shape(leaf))}; "
                "scale images to [0, 1] and make labels one-hot first"
            )
    sizes = {leaf.shape[0] if leaf.ndim else None for leaf in leaves}
    if len(sizes) > 1 or any(size is None or size % 2 for size in sizes):
        raise ValueError(
            "mix needs one even batch on the first axis of every array, got shapes "
            f"{[tuple(leaf.shape) for leaf in leaves]}; drop or pad the last example"
        )
    return jax.tree.map(lambda leaf: _mix(jnp.asarray(leaf), lam), tree)


def _mix(x: Float[Array, "batch ..."], lam: Real[ArrayLike, ""]) -> Float[Array, "batch ..."]:
    # A reshape, not a gather: the compiler sees that pairs never leave their device.
    pairs = x.reshape(x.shape[0] // 2, 2, *x.shape[1:])
    swapped = pairs[:, ::-1].reshape(x.shape)
    lam = jnp.asarray(lam, x.dtype)
    return _weigh(lam, x) + _weigh(1 - lam, swapped)


def _weigh(weight: Float[Array, ""], x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Weight times x, where nothing of an unknown x is left by a weight of 0."""
    return jnp.where(weight == 0, jnp.zeros_like(x), weight * x)
