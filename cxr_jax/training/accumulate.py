"""Gradient accumulation: a batch's gradients at the memory of a part of it."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from cxr_jax.training.state import Tree

SCOPE = "accumulate"  # names the loop in the compiled program
Differentiate = Callable[[Tree, Tree, Key[Array, ""], Tree], Any]


def accumulated(differentiate: Differentiate, parts: int) -> Differentiate:
    """Make (params, batch_stats, key, inputs) → ((loss, batch_stats), gradients) go part by part.

    Losses and gradients of the parts are summed, so that each must be its share of the whole
    batch's. Running statistics go from part to part. Part i has the images i, i + parts, …: then
    every part of a batch that is cut over devices is cut likewise, without any communication.

    Args:
      differentiate: the function of a whole batch, as `jax.value_and_grad(has_aux=True)` gives it.
      parts: micro-batches; must divide the batch.
    """

    def by_parts(params: Tree, batch_stats: Tree, key: Key[Array, ""], inputs: Tree) -> Any:
        def add(carry: Tree, part: Tree) -> tuple[Tree, None]:
            (loss, batch_stats), gradients = carry
            (more, batch_stats), gradient = differentiate(params, batch_stats, *part)
            return ((loss + more, batch_stats), jax.tree.map(jnp.add, gradients, gradient)), None

        start = (jnp.zeros((), jnp.float32), batch_stats), jax.tree.map(jnp.zeros_like, params)
        each = jax.tree.map(
            lambda x: x.reshape(-1, parts, *x.shape[1:]).swapaxes(0, 1),
            inputs,
        )
        with jax.named_scope(SCOPE):
            return jax.lax.scan(add, start, (jax.random.split(key, parts), each))[0]

    return by_parts
