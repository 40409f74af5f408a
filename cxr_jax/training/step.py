"""The training step and the evaluation step: pure functions of state and batch.

A batch is {"image": uint8|uint16 [B, H, W, C], "label": float32 [B, K] (1, 0, NaN),
"weight": float32 [B]}, and where the task or the recipe needs them, "mask": uint8 [B, H, W, M] (1
inside, 0 outside). Everything static is an argument by keyword, to be bound with
`functools.partial` before `jax.jit` or `jax.pmap`; `training.parallel` does both.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Key, UInt

from cxr_jax import augment, mixup, models
from cxr_jax.augment import AugmentConfig
from cxr_jax.tasks import Task
from cxr_jax.training.accumulate import accumulated
from cxr_jax.training.state import TrainState, Tree

Batch = Mapping[str, jax.Array | np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """The static part of a step.

    Attributes:
      model: the network.
      task: what is asked of it.
      augment: ranges of the random transforms.
      label_smoothing: ε in [0, 1).
      mixup_alpha: λ ~ Beta(α, α); 0 for no mixing.
      dim_outside: what is left of the brightness outside of the mask while training; 1 for all.
      accumulate: micro-batches that a batch is cut into for the network; 1 for the whole.
    """

    model: models.NetworkConfig
    task: Task
    augment: AugmentConfig
    label_smoothing: float = 0.0
    mixup_alpha: float = 0.0
    dim_outside: float = 1.0
    accumulate: int = 1


def to_unit_range(images: UInt[Array | np.ndarray, "*shape"]) -> Float[Array, "*shape"]:
    """Grey levels of an unsigned integer type to float32 in [0, 1]."""
    return jnp.asarray(images, jnp.float32) / jnp.iinfo(images.dtype).max


def standardise(
    images: Float[Array, "*batch channel"], model: models.NetworkConfig
) -> Float[Array, "*batch expected"]:
    """[0, 1] to what the network expects: its own mean and scale.

    With one of them a channel, grey is repeated: exactly what weights of three channels saw.
    """
    mean, std = (jnp.asarray(value, jnp.float32) for value in (model.mean, model.std))
    return (images - mean) / std


def make_inputs(
    augment_key: Key[Array, ""], mixup_key: Key[Array, ""], batch: Batch, recipe: Recipe
) -> tuple[Float[Array, "..."], Tree, Float[Array, "..."]]:
    """Dim, augment, standardise, smooth and mix a batch: (images, targets, weights).

    A label that is unknown, or was mixed with an unknown one, gets weight 0. There is a weight an
    example, or one each of its findings.
    """
    images = to_unit_range(batch["image"])
    if recipe.dim_outside < 1:
        inside = jnp.any(batch["mask"], axis=-1, keepdims=True)
        images = jnp.where(inside, images, recipe.dim_outside * images)
    if recipe.task.uses_masks:
        images, masks = augment.augment(
            augment_key, images, recipe.augment, jnp.asarray(batch["mask"])
        )
        batch = {**batch, "mask": masks}
    else:
        images = augment.augment(augment_key, images, recipe.augment)
    images = standardise(images, recipe.model)
    targets, known = recipe.task.targets(batch, smoothing=recipe.label_smoothing)
    known = known.astype(jnp.float32)
    if recipe.mixup_alpha > 0:
        lam = mixup.sample_lambda(mixup_key, alpha=recipe.mixup_alpha)
        images, targets, known = mixup.mix((images, targets, known), lam)
    # Mixing two known examples gives 1 but for rounding, an unknown partner leaves λ < 1.
    of_example = batch["weight"].reshape(-1, *(1,) * (known.ndim - 1))
    weights = jnp.where(known > 1.0 - 1e-6, of_example, 0.0)
    return images, targets, weights


def train_step(
    state: TrainState,
    batch: Batch,
    *,
    recipe: Recipe,
    optimizer: optax.GradientTransformation,
    axis_name: str | None = None,
) -> tuple[TrainState, dict[str, Float[Array, ""]]]:
    """One update.

    The batch loss is Σ weightᵢ lossᵢ / Σ weightᵢ over all labels, both sums over all devices. Under
    `jit` with a sharded batch that, and the batch statistics, are global by themselves. Under
    `pmap` give its `axis_name`: then losses and gradients are summed over the devices, batch
    statistics are each device's own, and the running ones are averaged so that the replicas stay
    alike.

    With `recipe.accumulate` = n the network sees n micro-batches one after another, at the memory
    of one. Images, loss and gradients are those of the whole batch, but that each micro-batch is
    normalised with its own statistics, and the running ones are moved n times.

    Returns:
      The new state, and {"loss", "grad_norm"} of this step (float32 scalars). They are not finite
      where training has diverged; the caller must look.
    """
    key = jax.random.fold_in(state.key, state.step)
    augment_key, mixup_key, dropout_key = jax.random.split(key, 3)
    if axis_name is not None:
        device = jax.lax.axis_index(axis_name)
        augment_key, dropout_key = (
            jax.random.fold_in(k, device) for k in (augment_key, dropout_key)
        )
    images, targets, weights = make_inputs(augment_key, mixup_key, batch, recipe)
    total = (
        (lambda tree: tree) if axis_name is None else (lambda tree: jax.lax.psum(tree, axis_name))
    )
    weight_sum = total(weights.sum())

    def weighted_loss(params: Tree, batch_stats: Tree, key: Array, inputs: Tree) -> Any:
        images, targets, weights = inputs
        variables = {"params": params, "batch_stats": batch_stats}
        outputs, batch_stats = models.apply(recipe.model, variables, images, train=True, key=key)
        losses = recipe.task.loss(outputs, targets)
        return (weights * losses).sum() / jnp.maximum(weight_sum, 1e-12), batch_stats

    differentiate = jax.value_and_grad(weighted_loss, has_aux=True)
    if recipe.accumulate > 1:
        differentiate = accumulated(differentiate, recipe.accumulate)
    (loss, batch_stats), gradients = differentiate(
        state.params, state.batch_stats, dropout_key, (images, targets, weights)
    )
    loss, gradients = total((loss, gradients))
    if axis_name is not None:
        batch_stats = jax.lax.pmean(batch_stats, axis_name)
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
    new_state = TrainState(
        step=state.step + 1,
        params=optax.apply_updates(state.params, updates),
        batch_stats=batch_stats,
        opt_state=opt_state,
        key=state.key,
        loss_sum=state.loss_sum + loss * weight_sum,
        weight_sum=state.weight_sum + weight_sum,
    )
    return new_state, {"loss": loss, "grad_norm": optax.tree.norm(gradients)}


def eval_step(
    variables: Mapping[str, Tree], batch: Batch, *, recipe: Recipe
) -> dict[str, Float[Array, "batch ..."]]:
    """Predict a batch without dimming, augmentation, smoothing or mixing.

    Returns:
      "probability" [B, K] of each finding; of a segmentation also "mask" [B, H, W, M], each pixel's
      probability; and "loss", [B] or [B, K]: 0 where the label is unknown, and absent where a task
      needs masks and the batch has none.
    """
    images = standardise(to_unit_range(batch["image"]), recipe.model)
    outputs, _ = models.apply(recipe.model, variables, images, train=False)
    predictions = recipe.task.predictions(outputs)
    if recipe.task.uses_masks and "mask" not in batch:
        return predictions
    targets, known = recipe.task.targets(batch, smoothing=0.0)
    return predictions | {"loss": jnp.where(known, recipe.task.loss(outputs, targets), 0.0)}
