"""Stage 2 takes from the run of stage 1: its splits, and the weights of its encoder."""

import dataclasses
import functools
import warnings
from collections.abc import Mapping
from pathlib import Path

import optax

from cxr_jax import models, optim
from cxr_jax.datasets import shares_films
from cxr_jax.errors import CheckpointError
from cxr_jax.pipeline.split import read_split
from cxr_jax.training.config import Config
from cxr_jax.training.mask_config import StagesConfig
from cxr_jax.training.saved import lineage, load_run, read_finished
from cxr_jax.training.state import TrainState


def source_of(config: Config) -> Path | None:
    """The run of stage 1 that a run belongs to; None where it belongs to none."""
    if config.stages is None or config.stages.source is None:
        return None
    return Path(config.stages.source).expanduser()


def check_source(config: Config) -> None:
    """Refuse before anything is loaded what cannot be a run's stage 1.

    Raises:
      CheckpointError: it is no finished run, or of another network.
    """
    source = source_of(config)
    if source is None:
        return
    check_network(source, read_finished(source)[0], config)


def check_network(run: Path, there: Config, config: Config) -> None:
    """Refuse another run's weights before anything is loaded.

    Raises:
      CheckpointError: they are of another network.
    """
    if there.network != config.network:
        theirs, ours = (
            " ".join(f"--{name}={value}" for name, value in each.network.items())
            for each in (there, config)
        )
        raise CheckpointError(f"{run}: was trained with {theirs}, this run has {ours}")


def inherited_splits(config: Config) -> Mapping[str, str]:
    """Patient → split of stage 1, and of what it started from.

    Other data sets have nothing to inherit, as their patients are other; where two are known to
    show the same films, a warning says so.

    Raises:
      CheckpointError: the config of stage 1 cannot be read.
      DataError: a `split.csv` cannot be read.
    """
    source = source_of(config)
    splits: dict[str, str] = {}
    if source is None:
        return splits
    for folder, there in lineage(source)[0]:
        theirs, ours = there.dataset.split(","), config.dataset.split(",")
        for name in set(theirs) & set(ours):
            # In a run on several data sets a patient's name begins with that of the data set.
            before, now = (f"{name}/" if len(names) > 1 else "" for names in (theirs, ours))
            # What one run did not use is for another to train on; the nearest run decides.
            splits = {
                now + patient.removeprefix(before): "train" if split == "unused" else split
                for patient, split in read_split(folder / "split.csv").items()
                if patient.startswith(before)
            } | splits
        if any(shares_films(one, other) for one in theirs for other in ours):
            warnings.warn(
                f"{there.dataset} and {config.dataset} show the same films under other names: "
                f"test images of this run may have been seen in training by {folder}",
                stacklevel=2,
            )
    return splits


def take_encoder(config: Config, state: TrainState) -> TrainState:
    """Replace a fresh state's encoder by that of stage 1; the head stays untrained.

    Raises:
      CheckpointError: the weights are not there, or have other shapes.
    """
    source = source_of(config)
    assert source is not None
    variables = load_run(source).variables
    return dataclasses.replace(
        state,
        params={**state.params, "features": variables["params"]["features"]},
        batch_stats={**state.batch_stats, "features": variables["batch_stats"]["features"]},
    )


def fine_tuning(
    stages: StagesConfig, network: models.NetworkConfig, *, steps_per_epoch: int
) -> optax.GradientTransformation:
    """What stage 2 chains behind its optimizer: earlier blocks learn later, and less."""
    assert isinstance(network, models.DenseNetConfig)
    return optim.by_depth(
        functools.partial(models.depths, len(network.block_sizes)),
        decay=stages.lr_decay,
        unfreeze_every=round(stages.unfreeze_every * steps_per_epoch),
        deepest=len(network.block_sizes),
    )
