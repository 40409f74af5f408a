"""Say what a training step costs: work, memory, communication. Nothing is trained.

cxr cost [--topology=v5e:2x4] [--batch_size=512] [--recipe=cardiomegaly | --run=RUN]

The step is compiled for the devices that are here, or with --topology for TPU chips (v5e, v5p, v6e)
that need not be there: `pip install 'cxr-jax[tpu]'` on any Linux machine. DenseNet-121 takes XLA
about ten minutes then.

All numbers are for one device and one step:

  FLOP, bytes accessed   as XLA counts them; for a TPU it counts a copy into the chip's fast memory
                         four times, so that the next is nearer to the truth
  memory traffic         what goes through the main memory, padded as it lies there, what XLA keeps
                         in the chip's fast memory apart; by operation below
  memory                 temporaries, and what else is there at the peak
  roofline               the least time at the chip's data-sheet figures, by either count of bytes;
                         communication goes on beside it and is left out
"""

import argparse
import dataclasses
import importlib
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from cxr_jax.commands.gallery import RECIPES
from cxr_jax.commands.output import add_run, print_table
from cxr_jax.errors import ConfigError
from cxr_jax.training.config import Config
from cxr_jax.training.cost import Chip, StepCost, step_cost, tpu_devices
from cxr_jax.training.hlo import Moved
from cxr_jax.training.recipe import checked_recipe
from cxr_jax.training.saved import read_config

# What can be changed of the recipe's or the run's config.
_FIELDS = ("model", "dtype", "remat", "batch_size", "accumulate", "parallel")
_SHOWN = 8  # operations


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--topology", help="TPU chips and their shape, such as v5e:2x4")
    whose = parser.add_mutually_exclusive_group()
    whose.add_argument(
        "--recipe", choices=RECIPES, default=RECIPES[0], help=f"default {RECIPES[0]}"
    )
    add_run(whose, required=False)
    fields = {field.name: field for field in dataclasses.fields(Config)}
    for name in _FIELDS:
        about = fields[name].metadata
        unit = f" [{about['unit']}]" if about["unit"] else ""
        parser.add_argument(
            f"--{name}",
            type=type(fields[name].default),
            choices=about["choices"],
            help=f"{about['help']}{unit}; default as the recipe or run",
        )
    parser.add_argument("--image_size", type=int, help="side [pixels]; default likewise")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(arguments: argparse.Namespace) -> int:
    """Compile, and print."""
    config = _config(arguments)
    chip, devices = _machine(arguments.topology)
    where = arguments.topology or f"{len(devices)} x {devices[0].device_kind}"
    recipe = checked_recipe(config, devices=len(devices))
    print(f"compiling {config.model} for {where}, which may take minutes", file=sys.stderr)
    cost = step_cost(config, recipe, devices)
    if arguments.json:
        print(json.dumps(_numbers(cost, chip, where, config), indent=2))
    else:
        _print(cost, chip, where, config)
    return 0


def _config(arguments: argparse.Namespace) -> Config:
    if arguments.run is None:
        config: Config = importlib.import_module(f"experiments.{arguments.recipe}").PRESET
    else:
        config = read_config(arguments.run / "config.json")
    changes: dict[str, Any] = {
        name: value for name in _FIELDS if (value := getattr(arguments, name)) is not None
    }
    try:
        if arguments.image_size is not None:
            changes["preprocess"] = dataclasses.replace(
                config.preprocess, image_size=arguments.image_size
            )
        return dataclasses.replace(config, **changes)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _machine(topology: str | None) -> tuple[Chip | None, Sequence[jax.Device]]:
    if topology is None:
        return None, jax.devices()
    jax.config.update("jax_platforms", "cpu")  # with libtpu JAX would look for a TPU
    return tpu_devices(topology)


def _numbers(cost: StepCost, chip: Chip | None, where: str, config: Config) -> dict[str, Any]:
    asked = {name: getattr(config, name) for name in _FIELDS}
    numbers = {
        "where": where,
        **asked,
        "image_size": config.preprocess.image_size,
        **dataclasses.asdict(cost),
        "memory_traffic": cost.moved,
        "memory": cost.memory,
    }
    if chip is not None:
        numbers["fits"] = cost.fits(chip)
        numbers["roofline"] = {
            name: {"seconds": seconds, "images_per_second": cost.images / seconds}
            for name, seconds in _rooflines(cost, chip).items()
        }
    return numbers


def _rooflines(cost: StepCost, chip: Chip) -> dict[str, float]:
    return {
        "bytes accessed": cost.seconds(chip, moved=cost.bytes_accessed),
        "memory traffic": cost.seconds(chip, moved=cost.moved),
    }


def _print(cost: StepCost, chip: Chip | None, where: str, config: Config) -> None:
    size = config.preprocess.image_size
    rows = {
        "step": f"{config.model}, {config.dtype}, {size} x {size} pixels, {where}, "
        f"{cost.images} images a device",
        "FLOP": f"{cost.flops / 1e9:,.1f} G",
        "bytes accessed": _per_image(cost.bytes_accessed, cost),
        "memory traffic": _per_image(cost.moved, cost),
        "temporaries": _size(cost.temporaries),
        "arguments": _size(cost.arguments),
        "memory": f"{_size(cost.memory)} with outputs and program",
    }
    if chip is not None:
        rows["fits"] = (
            f"{'yes' if cost.fits(chip) else 'no'}, {cost.memory / chip.memory:.1%} of "
            f"{_size(chip.memory)}"
        )
        for name, seconds in _rooflines(cost, chip).items():
            rows[f"roofline, {name}"] = (
                f"{1e3 * seconds:.2f} ms, {cost.images / seconds:,.0f} images/s a chip"
            )
    for name, value in rows.items():
        print(f"{name:<25}{value}")
    print_table("collectives", _table("kind", cost.collectives, cost))
    shown = dict(list(cost.traffic.items())[:_SHOWN])
    print_table("memory traffic", _table("operation", shown, cost), of=len(cost.traffic))


def _per_image(size: float | int, cost: StepCost) -> str:
    return f"{_size(size)}, {_size(size / cost.images)} an image"


def _size(size: float | int) -> str:
    return f"{size / 1e9:,.2f} GB" if size >= 1e9 else f"{size / 1e6:,.2f} MB"


def _table(what: str, moved: Mapping[str, Moved], cost: StepCost) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [(what, "count", "MB", "MB an image")]
    for name, one in moved.items():
        size = one.bytes / 1e6
        rows.append((name, f"{one.count:,}", f"{size:,.1f}", f"{size / cost.images:,.2f}"))
    return rows
