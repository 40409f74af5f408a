"""Where the step runs: one program over a mesh of devices, or one replica a device.

Both give the same three verbs, so the loop does not know which it drives.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.experimental import multihost_utils
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from cxr_jax.training.state import TrainState, Tree
from cxr_jax.training.step import Recipe, eval_step, train_step

AXIS = "data"
HostBatch = Mapping[str, np.ndarray]
Predict = Callable[[Mapping[str, Tree], HostBatch], dict[str, np.ndarray]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parallel:
    """How to run the pure steps on all devices.

    Attributes:
      place: a host state onto the devices.
      train_step: (placed state, host batch) → (placed state, metrics); the state is donated.
      collect: the placed state as one copy, which checkpoints and evaluation take.
      predict: (variables, host batch) → host arrays, one row an image of the global batch.
    """

    place: Callable[[TrainState], TrainState]
    train_step: Callable[[TrainState, HostBatch], tuple[TrainState, dict[str, jax.Array]]]
    collect: Callable[[TrainState], TrainState]
    predict: Predict


def make_parallel(kind: str, recipe: Recipe, optimizer: optax.GradientTransformation) -> Parallel:
    """Compile-ready steps over all devices; kind is "jit" or "pmap"."""
    return {"jit": _jit, "pmap": _pmap}[kind](recipe, optimizer)


def check_batch_size(
    kind: str, recipe: Recipe, *, batch_size: int, devices: int | None = None
) -> None:
    """Raise ValueError where the devices, all by default, cannot share a global batch evenly."""
    devices, parts = devices or jax.device_count(), recipe.accumulate
    if batch_size % (devices * parts):
        times = f" times accumulate={parts}" if parts > 1 else ""
        raise ValueError(
            f"batch_size must be a multiple of the {devices} devices{times}, got {batch_size}"
        )
    if kind == "pmap" and recipe.mixup_alpha and (batch_size // devices) % 2:
        raise ValueError(
            f"pmap mixes within a device, so batch_size must be a multiple of 2 x {devices} "
            f"devices, got {batch_size}; take such a one or mixup_alpha=0"
        )


def make_predict(recipe: Recipe) -> Predict:
    """Compile-ready evaluation over all devices, whose number must divide a batch."""
    everywhere, shared = _shardings()
    predict = jax.jit(
        functools.partial(eval_step, recipe=recipe),
        in_shardings=(everywhere, shared),
        out_shardings=shared,
    )
    return lambda variables, batch: _to_host(predict(variables, _scatter(batch, shared)))


def jit_train_step(
    recipe: Recipe,
    optimizer: optax.GradientTransformation,
    devices: Sequence[jax.Device] | None = None,
) -> Any:
    """Make the step of one program over devices, all by default, ready to be compiled."""
    everywhere, shared = _shardings(devices)
    return jax.jit(
        functools.partial(train_step, recipe=recipe, optimizer=optimizer),
        donate_argnums=0,
        in_shardings=(everywhere, shared),
        out_shardings=(everywhere, everywhere),
    )


def pmap_train_step(
    recipe: Recipe,
    optimizer: optax.GradientTransformation,
    devices: Sequence[jax.Device] | None = None,
) -> Any:
    """Make the step of one replica a device, all by default; arrays get a leading axis of them."""
    return jax.pmap(
        functools.partial(train_step, recipe=recipe, optimizer=optimizer, axis_name=AXIS),
        axis_name=AXIS,
        donate_argnums=0,
        devices=devices,
    )


def _jit(recipe: Recipe, optimizer: optax.GradientTransformation) -> Parallel:
    """State replicated, batch cut along its first axis; XLA adds what communication there is."""
    everywhere, shared = _shardings()
    step = jit_train_step(recipe, optimizer)
    return Parallel(
        place=lambda state: jax.device_put(state, everywhere),
        train_step=lambda state, batch: step(state, _scatter(batch, shared)),
        collect=lambda state: state,
        predict=make_predict(recipe),
    )


def _shardings(
    devices: Sequence[jax.Device] | None = None,
) -> tuple[NamedSharding, NamedSharding]:
    """On every device, and cut along the first axis."""
    devices = jax.devices() if devices is None else devices
    mesh = jax.make_mesh((len(devices),), (AXIS,), axis_types=(AxisType.Auto,), devices=devices)
    return NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec(AXIS))


def _scatter(batch: HostBatch, shared: NamedSharding) -> dict[str, jax.Array]:
    return {
        name: jax.make_array_from_process_local_data(shared, value) for name, value in batch.items()
    }


def _pmap(recipe: Recipe, optimizer: optax.GradientTransformation) -> Parallel:
    """One replica a device; evaluation needs no statistics of a batch and stays with `jit`."""
    step = pmap_train_step(recipe, optimizer)
    devices = jax.local_device_count()

    def scatter(batch: HostBatch) -> dict[str, np.ndarray]:
        return {name: value.reshape(devices, -1, *value.shape[1:]) for name, value in batch.items()}

    def train(state: TrainState, batch: HostBatch) -> tuple[TrainState, dict[str, jax.Array]]:
        state, metrics = step(state, scatter(batch))
        return state, _first(metrics)

    return Parallel(
        place=lambda state: jax.tree.map(
            lambda leaf: jnp.broadcast_to(_uncommitted(leaf), (devices, *leaf.shape)), state
        ),
        train_step=train,
        collect=_first,
        predict=make_predict(recipe),
    )


def _uncommitted(leaf: jax.Array) -> jax.Array:
    """Bound to no device, as what comes from a checkpoint is."""
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(_uncommitted(jax.random.key_data(leaf)))
    return jnp.asarray(np.asarray(leaf))


def _first(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf[0], tree)


def _to_host(tree: Tree) -> Tree:
    if jax.process_count() > 1:
        return multihost_utils.process_allgather(tree, tiled=True)
    return jax.tree.map(np.asarray, tree)
