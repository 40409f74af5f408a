"""What training carries from one step to the next."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Key

from cxr_jax import models

Tree = Any  # a pytree of arrays, or while JAX takes one apart, of whatever it puts there


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainState:
    """The whole of a training at one moment.

    Attributes:
      step: how many updates were made; int32 scalar.
      params: the trainable weights, float32.
      batch_stats: running mean and variance of each norm layer, float32.
      opt_state: Optax's.
      key: of the training; never changed, each step derives its own from it.
      loss_sum, weight_sum: of the current epoch, so that its mean survives a restart; float32
        scalars.
    """

    step: Tree
    params: Tree
    batch_stats: Tree
    opt_state: Tree
    key: Tree
    loss_sum: Tree
    weight_sum: Tree

    @property
    def variables(self) -> dict[str, Tree]:
        """What the model's `apply` takes."""
        return {"params": self.params, "batch_stats": self.batch_stats}


def create_state(
    key: Key[Array, ""],
    model: models.NetworkConfig,
    optimizer: optax.GradientTransformation,
    image_shape: tuple[int, int, int],
) -> TrainState:
    """Initialise model and optimizer.

    Args:
      key: one half initialises the weights, the other is the training's.
      image_shape: height, width, channels.
    """

    # One program, which the compilation cache keeps, instead of one a shape.
    @jax.jit
    def create(key: Key[Array, ""]) -> TrainState:
        init_key, train_key = jax.random.split(key)
        variables = models.init(init_key, model, image_shape)
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            params=variables["params"],
            batch_stats=variables["batch_stats"],
            opt_state=optimizer.init(variables["params"]),
            key=train_key,
            loss_sum=jnp.zeros((), jnp.float32),
            weight_sum=jnp.zeros((), jnp.float32),
        )

    return create(key)
