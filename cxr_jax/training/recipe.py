"""From a config to the static part of its training step, and to its optimizer."""

import dataclasses

import optax

from cxr_jax import models, optim
from cxr_jax.errors import ConfigError
from cxr_jax.tasks import Binary, MultiLabel, Segmentation, Task
from cxr_jax.training.config import Config
from cxr_jax.training.parallel import check_batch_size
from cxr_jax.training.step import Recipe


def make_recipe(config: Config) -> Recipe:
    """Network, task, augmentation, smoothing, mixing."""
    label: Binary | MultiLabel = Binary(class_weights=config.class_weights)
    if config.findings:
        label = MultiLabel(num_findings=len(config.findings), class_weights=config.class_weights)
    network = dict(config.network)
    classifier = models.by_name(
        network.pop("model"),
        num_classes=label.num_outputs,
        **network,
        dropout=config.dropout,
        dtype=config.dtype,
        remat=config.remat,
        **config.pretrained.input_fields,
    )
    frozen = config.pretrained.frozen(classifier.parts)
    classifier = dataclasses.replace(classifier, frozen=frozen)
    model: models.NetworkConfig = classifier
    task: Task = label
    if config.segmentation is not None and config.outlines and isinstance(label, Binary):
        model = models.SegmenterConfig(
            encoder=classifier,
            num_masks=len(config.outlines),
            decoder_width=config.segmentation.decoder_width,
        )
        task = Segmentation(label=label, mask_loss=config.segmentation.loss)
    elif set(frozen) == set(classifier.parts):
        raise ValueError(f"freeze must leave a part to train, got all: {', '.join(frozen)}")
    return Recipe(
        model=model,
        task=task,
        augment=config.augment,
        label_smoothing=config.label_smoothing,
        mixup_alpha=config.mixup_alpha,
        accumulate=config.accumulate,
        dim_outside=config.stages.dim_outside if config.stages and config.dims else 1.0,
    )


def checked_recipe(config: Config, *, devices: int | None = None) -> Recipe:
    """Make the recipe, unless network or devices, all by default, cannot do it.

    Raises:
      ConfigError: they cannot share the batch, or the network takes no such images.
    """
    size = config.preprocess.image_size
    try:
        recipe = make_recipe(config)
        check_batch_size(config.parallel, recipe, batch_size=config.batch_size, devices=devices)
        models.check_image_shape(recipe.model, (size, size, recipe.model.in_channels))
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return recipe


def make_optimizer(config: Config, schedule: optax.Schedule) -> optax.GradientTransformation:
    """The optimizer, with all parameters at the rate of the schedule."""
    return optim.optimizer(
        config.optimizer,
        schedule,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        clip_norm=config.clip_norm or None,
    )
