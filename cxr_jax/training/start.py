"""What a run takes from a file of published weights: the input that they expect, and themselves."""

import dataclasses
from pathlib import Path

import jax
import optax

from cxr_jax import models, optim
from cxr_jax.errors import CheckpointError, ConfigError
from cxr_jax.models import pretrained
from cxr_jax.models.weights import Weights, read_weights
from cxr_jax.training.checkpoint import has_checkpoint
from cxr_jax.training.config import Config
from cxr_jax.training.saved import read_config
from cxr_jax.training.step import Recipe
from cxr_jax.training.transfer import source_of
from cxr_jax.training.workdir import resumed_folder


def read_start(config: Config) -> tuple[Config, Weights | None]:
    """Read the weights that a run starts from, and note in its config the input they expect.

    So the run's directory tells it, to resume too, when the file is gone. Another run that it
    starts from, by --init_from or --from, tells it likewise, and goes before the file.

    Raises:
      CheckpointError: the file cannot be used.
      ConfigError: neither file nor flags tell the input.
    """
    run = source_of(config) or (Path(config.init_from).expanduser() if config.init_from else None)
    if config.resume and has_checkpoint(resumed_folder(config)):
        run = resumed_folder(config)
    given = config.pretrained
    if run is not None and (run / "config.json").is_file():
        there = read_config(run / "config.json").pretrained
        return _with_input(config, there.mean, there.std), None
    if run is not None or given.file is None:
        return config, None
    weights = read_weights(Path(given.file).expanduser())
    mean, std = weights.mean, weights.std
    if not given.mean and (mean is None or std is None):
        raise ConfigError(
            f"{weights.path}: does not tell which grey values its weights expect; give "
            "--input_mean and --input_std, of pixels in [0, 1]"
        )
    return _with_input(config, mean or (), std or ()), weights


def start_variables(
    weights: Weights | None, config: Config, recipe: Recipe
) -> models.Variables | None:
    """Fit weights to a run's classifier; None where it starts from none.

    A head of the run's findings is kept, another replaced with a warning.

    Raises:
      CheckpointError: the weights are of another network.
    """
    if weights is None:
        return None
    key = jax.random.fold_in(jax.random.key(config.seed), 1)
    return pretrained.fit(weights, classifier_of(recipe), labels=labels_of(config), key=key)


def hold_back(
    optimizer: optax.GradientTransformation, config: Config, recipe: Recipe
) -> optax.GradientTransformation:
    """Let an optimizer leave frozen parts still, and what comes before the head slower."""
    classifier = classifier_of(recipe)
    factors = dict.fromkeys((*classifier.parts, "decoder"), 1.0)
    for part in classifier.parts[:-1]:
        factors[part] = config.pretrained.backbone_lr_scale
    factors |= dict.fromkeys(classifier.frozen, 0.0)
    if set(factors.values()) == {1.0}:
        return optimizer
    return optax.chain(optimizer, optim.by_part(models.parts, factors))


def labels_of(config: Config) -> tuple[str, ...]:
    """Name a run's outputs."""
    return tuple(config.findings) or (f"no {config.finding}", config.finding)


def classifier_of(recipe: Recipe) -> models.DenseNetConfig:
    """Tell a run's classifier; of a network that draws masks, encoder and head."""
    model = recipe.model
    if isinstance(model, models.SegmenterConfig):
        return model.encoder
    if not isinstance(model, models.DenseNetConfig):
        raise CheckpointError(f"published weights are of DenseNets, the network is a {type(model)}")
    return model


def _with_input(config: Config, mean: tuple[float, ...], std: tuple[float, ...]) -> Config:
    """Flags go before what weights tell."""
    if config.pretrained.mean or not mean:
        return config
    told = dataclasses.replace(config.pretrained, mean=mean, std=std)
    return dataclasses.replace(config, pretrained=told)
