"""What a training step costs: compiled for the devices that are here, or for a TPU that is not.

Nothing is trained. XLA compiles the very program that training runs, and its own analysis tells
work and memory; https://docs.jax.dev/en/latest/aot.html.
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.experimental import topologies

from cxr_jax.errors import ConfigError
from cxr_jax.training.accumulate import SCOPE
from cxr_jax.training.config import Config
from cxr_jax.training.hlo import Instruction, Moved, Program
from cxr_jax.training.parallel import jit_train_step, pmap_train_step
from cxr_jax.training.recipe import make_optimizer
from cxr_jax.training.state import create_state
from cxr_jax.training.step import Recipe


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chip:
    """What a data sheet says of a chip.

    Attributes:
      flops: the most operations in bfloat16 a second.
      bandwidth: of the main memory, bytes a second.
      memory: its size in bytes.
      axes: of the grid or the cube in which they are connected.
    """

    flops: float
    bandwidth: float
    memory: int
    axes: int = 2


CHIPS = {
    "v5e": Chip(flops=197e12, bandwidth=819e9, memory=16 * 2**30),
    "v5p": Chip(flops=459e12, bandwidth=2765e9, memory=95 * 2**30, axes=3),
    "v6e": Chip(flops=918e12, bandwidth=1638e9, memory=32 * 2**30),
}
"""Source: https://docs.cloud.google.com/tpu/docs/v5e, …/v5p, …/v6e."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepCost:
    """The cost of one training step, for each device.

    Attributes:
      devices: how many share it.
      images: of the batch, each device's own.
      flops, bytes_accessed: as XLA counts them. It counts a copy into a TPU's fast memory four
        times, a gather by the tile, and a loop once: with accumulation they are multiplied by its
        passes, and what is outside of the loop (augmentation, the update) with them.
      temporaries, arguments, outputs, program: bytes of memory; outputs without what takes the
        place of arguments.
      collectives: by kind, what a device gets from the others.
      traffic: by operation and pass, what goes through the main memory; see `Program.traffic`.
    """

    devices: int
    images: int
    flops: float
    bytes_accessed: float
    temporaries: int
    arguments: int
    outputs: int
    program: int
    collectives: Mapping[str, Moved]
    traffic: Mapping[str, Moved]

    @property
    def memory(self) -> int:
        """All that is there at the peak, bytes."""
        return self.temporaries + self.arguments + self.outputs + self.program

    @property
    def moved(self) -> int:
        """Bytes of all traffic."""
        return sum(each.bytes for each in self.traffic.values())

    def fits(self, chip: Chip) -> bool:
        """Whether the chip's memory holds it."""
        return self.memory <= chip.memory

    def seconds(self, chip: Chip, *, moved: float | int) -> float:
        """The least time at the chip's data-sheet figures, by roofline: compute or memory.

        Communication, which goes on beside it, is left out.

        Args:
          moved: bytes through the memory: `bytes_accessed`, or this class's `moved`.
        """
        return max(self.flops / chip.flops, moved / chip.bandwidth)


def tpu_devices(topology: str) -> tuple[Chip, Sequence[jax.Device]]:
    """Describe the devices of a TPU that need not be there, to compile for them.

    Args:
      topology: chip and shape, such as "v5e:2x4"; a single chip is "v5e:1x1".

    Raises:
      ConfigError: no such chip or shape, or libtpu is not installed.
    """
    name, _, shape = topology.partition(":")
    numbers = shape.split("x")
    known = name in CHIPS and len(numbers) == CHIPS[name].axes
    if not (known and all(map(str.isdecimal, numbers))):
        raise ConfigError(
            "topology must be a chip and its shape, such as v5e:2x4, v5p:2x2x1, v6e:2x4, "
            f"got {topology!r}"
        )
    # Its hosts have 2 x 2 chips where nothing else is said.
    bounds = {"chips_per_host_bounds": (1, 1, 1)} if set(numbers) == {"1"} else {}
    # Nothing of a TPU is looked for, and two compilations do not disturb each other.
    for variable, value in {
        "TPU_SKIP_MDS_QUERY": "1",
        "TPU_WORKER_HOSTNAMES": "localhost",
        "TPU_ACCELERATOR_TYPE": "v5litepod-8",
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    }.items():
        os.environ.setdefault(variable, value)
    try:
        return CHIPS[name], topologies.get_topology_desc(topology, "tpu", **bounds).devices
    except jax.errors.JaxRuntimeError as error:
        raise ConfigError(
            f"topology {topology} is refused by libtpu, take one chip or multiples of 2 x 2; "
            f"it says: {_line(error)}"
        ) from error
    except (RuntimeError, ImportError) as error:
        raise ConfigError(
            f"topology {topology} needs libtpu, which is not installed; "
            "pip install 'cxr-jax[tpu]', on any Linux machine"
        ) from error


def step_cost(config: Config, recipe: Recipe, devices: Sequence[jax.Device]) -> StepCost:
    """Compile the training step of a config for devices, and read its cost.

    Args:
      recipe: the config's, of `checked_recipe`.
      devices: those that are here, `jax.devices()`, or `tpu_devices`.

    Raises:
      ConfigError: XLA found that the step does not fit into the chip's memory.
    """
    size = config.preprocess.image_size
    optimizer = make_optimizer(config, optax.constant_schedule(config.lr))
    shape = (size, size, recipe.model.in_channels)
    state = jax.eval_shape(
        lambda key: create_state(key, recipe.model, optimizer, shape), jax.random.key(0)
    )
    batch, n = _batch_shapes(config, recipe), len(devices)
    make = {"jit": jit_train_step, "pmap": pmap_train_step}[config.parallel]
    step = make(recipe, optimizer, devices)
    if config.parallel == "pmap":
        state = jax.tree.map(lambda x: jax.ShapeDtypeStruct((n, *x.shape), x.dtype), state)
        batch = {
            name: jax.ShapeDtypeStruct((n, len(x) // n, *x.shape[1:]), x.dtype)
            for name, x in batch.items()
        }
    try:
        compiled = step.lower(state, batch).compile()
    except jax.errors.JaxRuntimeError as error:
        raise ConfigError(_refused(error)) from error
    return _read(compiled, config, n)


def _batch_shapes(config: Config, recipe: Recipe) -> dict[str, jax.ShapeDtypeStruct]:
    size, n = config.preprocess.image_size, config.batch_size
    shapes = {
        "image": jax.ShapeDtypeStruct((n, size, size, 1), jnp.uint8),
        "label": jax.ShapeDtypeStruct((n, len(config.asked)), jnp.float32),
        "weight": jax.ShapeDtypeStruct((n,), jnp.float32),
    }
    if recipe.task.uses_masks or recipe.dim_outside < 1:
        masks = max(1, len(config.outlines))
        shapes["mask"] = jax.ShapeDtypeStruct((n, size, size, masks), jnp.uint8)
    return shapes


def _read(compiled: jax.stages.Compiled, config: Config, devices: int) -> StepCost:
    memory: Any = compiled.memory_analysis()
    counted: Any = compiled.cost_analysis()
    program = Program.parse(compiled.as_text() or "")

    def passes(loop: Instruction) -> int:
        return config.accumulate if loop.source.endswith(f"/{SCOPE}/while") else 1

    return StepCost(
        devices=devices,
        images=config.batch_size // devices,
        flops=config.accumulate * counted["flops"],
        bytes_accessed=config.accumulate * counted["bytes accessed"],
        temporaries=memory.temp_size_in_bytes,
        arguments=memory.argument_size_in_bytes,
        outputs=memory.output_size_in_bytes - memory.alias_size_in_bytes,
        program=memory.generated_code_size_in_bytes,
        collectives=program.collectives(passes),
        traffic=program.traffic(passes),
    )


def _refused(error: Exception) -> str:
    if "RESOURCE_EXHAUSTED" not in str(error):
        return f"XLA cannot compile this step: {_line(error)}"
    return (
        "the step does not fit into the chip's memory; take a smaller --batch_size, "
        f"--dtype=bfloat16, --remat=layer, or --accumulate; XLA says: {_line(error)}"
    )


def _line(error: Exception) -> str:
    return str(error).splitlines()[0].strip()
