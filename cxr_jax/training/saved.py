"""Read a finished run, to put its network to use."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import jax

from cxr_jax import models
from cxr_jax.by_finding import OperatingPoint
from cxr_jax.errors import CheckpointError
from cxr_jax.training.checkpoint import check_run, load_best_variables
from cxr_jax.training.config import Config
from cxr_jax.training.config_json import from_json
from cxr_jax.training.recipe import make_recipe
from cxr_jax.training.state import Tree
from cxr_jax.training.step import Recipe


@dataclasses.dataclass(frozen=True, kw_only=True)
class SavedRun:
    """What is needed of a finished run to predict as it did.

    Attributes:
      folder: the run directory.
      config: as it was run.
      recipe: network and task, to predict with `eval_step`.
      variables: the best weights, as `models.apply` takes them.
      points: of each finding, in the order of the network's probabilities.
    """

    folder: Path
    config: Config
    recipe: Recipe
    variables: Mapping[str, Tree]
    points: Mapping[str, OperatingPoint]

    @property
    def batch_size(self) -> int:
        """The run's own, raised to a multiple of the devices that are here."""
        devices = jax.device_count()
        return -(-self.config.batch_size // devices) * devices


def load_run(folder: Path) -> SavedRun:
    """Read config, best weights, operating point and temperature of a finished run.

    Raises:
      CheckpointError: there is no such run, it has not finished, or a file of it is damaged.
    """
    config, points = read_finished(folder)
    recipe = make_recipe(config)
    size = config.preprocess.image_size
    shape = (size, size, recipe.model.in_channels)
    here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    template = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here),
        jax.eval_shape(
            lambda key: models.init(key, recipe.model, shape),
            jax.random.key(0),
        ),
    )
    return SavedRun(
        folder=folder,
        config=config,
        recipe=recipe,
        variables=load_best_variables(folder, template),
        points=points,
    )


def read_finished(folder: Path) -> tuple[Config, dict[str, OperatingPoint]]:
    """Read config and operating points of a finished run, and no weights.

    Raises:
      CheckpointError: as `load_run`.
    """
    parts = sorted(path.parents[1].name for path in folder.glob("*/checkpoints/best"))
    if parts and not (folder / "checkpoints").is_dir():
        raise CheckpointError(
            f"{folder}: holds several runs; name one of "
            f"{', '.join(str(folder / part) for part in parts)}"
        )
    check_run(folder)
    config = read_config(folder / "config.json")
    return config, _read_points(folder / "evaluation.json", config)


def read_config(path: Path) -> Config:
    """Read a run's `config.json`.

    Raises:
      CheckpointError: it is missing or damaged.
    """
    try:
        return from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise CheckpointError(f"{path}: is not a run's config: {error}") from error


def lineage(folder: Path) -> tuple[list[tuple[Path, Config]], str]:
    """A run and all that it started from, nearest first: directory and config.

    Returns:
      The runs; and of what cannot be read any more a word, else "".

    Raises:
      CheckpointError: the run's own config cannot be read.
    """
    found: list[tuple[Path, Config]] = []
    waiting = [folder]
    lost = ""
    while waiting:
        at = waiting.pop(0)
        if at in [known for known, _ in found]:
            continue
        try:
            config = read_config(at / "config.json")
        except CheckpointError as error:
            if not found:
                raise
            lost = str(error)
            continue
        found.append((at, config))
        sources = (config.stages.source if config.stages else None, config.init_from)
        waiting += [Path(source).expanduser() for source in sources if source is not None]
    return found, lost


def _whole(folder: Path) -> Path:
    """The directory to resume: of a stage that of both."""
    return folder.parent if folder.name in ("stage1", "stage2", "scratch", "ratio") else folder


def _read_points(path: Path, config: Config) -> dict[str, OperatingPoint]:
    try:
        validation = json.loads(path.read_text(encoding="utf-8"))["validation"]
        each = validation.get("findings", {config.asked[0]: validation})
        return {
            name: OperatingPoint(
                threshold=float(each[name]["threshold"]),
                temperature=float(each[name]["temperature"]),
            )
            for name in config.asked
        }
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{path}: is missing, so the run has not finished; continue it with --resume "
            f"--workdir={_whole(path.parent)}"
        ) from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{path}: has no operating point or no temperature: {error}; run the experiment again"
        ) from error
