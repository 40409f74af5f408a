"""Learning rate schedules and optimizers by name, all Optax."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from optax import schedules


def schedule(
    name: str,
    *,
    lr: float,
    total_steps: int,
    warmup_steps: int = 0,
    drops: Sequence[float] = (0.5, 0.75),
    drop_factor: float = 0.1,
) -> optax.Schedule:
    """Make a schedule: a linear warm-up, then what the name says.

    Args:
      name: "constant"; "cosine" falls to 0 at the last step along half a period; "step" is
        multiplied by drop_factor at each of the drops.
      lr: the peak, > 0.
      total_steps: of the whole training, warm-up included.
      warmup_steps: how many steps the rise takes, at most total_steps. Step 0 already has a
        learning rate, lr / (warmup_steps + 1).
      drops: for "step", fractions of total_steps in (0, 1), after the warm-up. The defaults are
        DenseNet's (Huang et al., CVPR 2017).
      drop_factor: for "step", in (0, 1).

    Returns:
      A function from the step, 0 … total_steps - 1, to the learning rate.

    Raises:
      ValueError: the name is unknown, or a number is out of its range.
    """
    _check_name("schedule", name, SCHEDULES)
    if not 0.0 < lr < math.inf:
        raise ValueError(f"lr must be positive, got {lr!r}")
    if total_steps < 1:
        raise ValueError(f"total_steps must be at least 1, got {total_steps}")
    if not 0 <= warmup_steps <= total_steps:
        raise ValueError(
            f"warmup_steps must be in 0 … total_steps = {total_steps}, got {warmup_steps}"
        )
    if name == "constant":
        after = schedules.constant_schedule(lr)
    elif name == "cosine":
        after = schedules.cosine_decay_schedule(lr, max(total_steps - warmup_steps, 1))
    else:
        after = _steps(lr, total_steps, warmup_steps, drops, drop_factor)
    if warmup_steps == 0:
        return after
    rise = schedules.linear_schedule(lr / (warmup_steps + 1), lr, warmup_steps)
    return schedules.join_schedules([rise, after], [warmup_steps])


def optimizer(
    name: str,
    learning_rate: optax.ScalarOrSchedule,
    *,
    weight_decay: float = 0.0,
    momentum: float = 0.9,
    clip_norm: float | None = None,
) -> optax.GradientTransformation:
    """Make an optimizer; gradients are clipped by their global norm before anything else.

    Args:
      name: "adam", "adamw", "rmsprop" or "sgd". Adam's constants are its paper's (β 0.9 and 0.999,
        ε 1e-8); RMSProp's are Keras' (decay 0.9, ε 1e-7 within the root, no momentum), where torch
        has 0.99 and 1e-8 beside the root.
      learning_rate: a number or a schedule.
      weight_decay: >= 0, of weights alone: arrays of two or more axes, so that biases and the
        scales of normalisation stay free. Decoupled for "adamw"; an L2 penalty, added to the
        gradient, for the others.
      momentum: of "sgd", in [0, 1).
      clip_norm: the largest global norm of the gradients, > 0; None never clips.

    Returns:
      An Optax transformation. Its update needs the parameters.

    Raises:
      ValueError: the name is unknown, or a number is out of its range.
    """
    _check_name("optimizer", name, OPTIMIZERS)
    if not 0.0 <= weight_decay < math.inf:
        raise ValueError(f"weight_decay must be at least 0, got {weight_decay!r}")
    if not 0.0 <= momentum < 1.0:
        raise ValueError(f"momentum must be in [0, 1), got {momentum!r}")
    if clip_norm is not None and not 0.0 < clip_norm < math.inf:
        raise ValueError(f"clip_norm must be positive, got {clip_norm!r}; None never clips")
    clip = optax.identity() if clip_norm is None else optax.clip_by_global_norm(clip_norm)
    decay = optax.add_decayed_weights(weight_decay, mask=_is_weight)
    step = OPTIMIZERS[name](momentum)
    scale = optax.scale_by_learning_rate(learning_rate)
    if name == "adamw":
        return optax.chain(clip, step, decay, scale)
    return optax.chain(clip, decay, step, scale)


def by_depth(
    depths: Callable[[Any], Any], *, deepest: int, decay: float = 2.6, unfreeze_every: int = 0
) -> optax.GradientTransformation:
    """Let a pretrained network change the less, and the later, the farther from its output.

    Discriminative fine-tuning and gradual unfreezing (Howard and Ruder: Universal Language Model
    Fine-tuning for Text Classification, ACL 2018). To be chained behind an optimizer: updates of
    depth d are divided by decay**d, and are 0 in the first d * unfreeze_every steps.

    Args:
      depths: parameters → a tree of integers in their structure, 0 at the output.
      deepest: the largest of them.
      decay: >= 1; 1 treats all alike.
      unfreeze_every: steps, >= 0; 0 freezes nothing.

    Returns:
      An Optax transformation of updates.

    Raises:
      ValueError: a number is out of its range.
    """
    if not 1.0 <= decay < math.inf:
        raise ValueError(f"decay must be at least 1, got {decay!r}")
    if unfreeze_every < 0:
        raise ValueError(f"unfreeze_every must be at least 0, got {unfreeze_every}")

    def factor(depth: int) -> optax.Schedule:
        return lambda step: jnp.where(step >= depth * unfreeze_every, decay**-depth, 0.0)

    scales = {depth: optax.scale_by_schedule(factor(depth)) for depth in range(deepest + 1)}
    return optax.partition(scales, depths)


def by_part(
    parts: Callable[[Any], Any], factors: Mapping[str, float]
) -> optax.GradientTransformation:
    """Scale the updates of each part of a network; to be chained behind an optimizer.

    Args:
      parts: parameters → a tree of strings in their structure.
      factors: of each of these strings; 0 keeps a part as it is, weight decay included.
    """
    return optax.partition({part: optax.scale(factor) for part, factor in factors.items()}, parts)


SCHEDULES = ("constant", "cosine", "step")

# The direction of a step from the gradient, given the momentum.
OPTIMIZERS: Mapping[str, Callable[[float], optax.GradientTransformation]] = {
    "adam": lambda momentum: optax.scale_by_adam(),
    "adamw": lambda momentum: optax.scale_by_adam(),
    "rmsprop": lambda momentum: optax.scale_by_rms(decay=0.9, eps=1e-7, eps_in_sqrt=True),
    "sgd": lambda momentum: optax.trace(decay=momentum),
}


def _steps(
    lr: float, total_steps: int, warmup_steps: int, drops: Sequence[float], drop_factor: float
) -> optax.Schedule:
    if not 0.0 < drop_factor < 1.0:
        raise ValueError(f"drop_factor must be in (0, 1), got {drop_factor!r}")
    factors: dict[int, float] = {}
    for drop in drops:
        step = math.ceil(drop * total_steps)
        if not (0.0 < drop < 1.0 and step >= warmup_steps):
            raise ValueError(
                f"drops must be fractions in (0, 1) after the warm-up of {warmup_steps} of "
                f"{total_steps} steps, got {drop!r}"
            )
        # The joined schedule counts from the end of the warm-up. Short runs may drop twice at once.
        factors[step - warmup_steps] = factors.get(step - warmup_steps, 1.0) * drop_factor
    return schedules.piecewise_constant_schedule(lr, factors)


def _is_weight(params: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


def _check_name(what: str, name: str, names: Sequence[str] | Mapping[str, Any]) -> None:
    if name not in names:
        raise ValueError(f"{what} must be one of {', '.join(names)}, got {name!r}")
