"""Initialise and apply any network; its config says which.

A config is frozen and knows its module (`config.module()`); variables are a tree of arrays apart.
"""

import functools
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, UInt32

from cxr_jax.models.layers import draw
from cxr_jax.models.parts import hold

Variables = dict[str, Any]  # {"params": ..., "batch_stats": ...}, trees of arrays


@runtime_checkable
class NetworkConfig(Protocol):
    """What training asks of a network's config.

    `mean` and `std` are of the standardisation that it expects, `frozen` the parts that training
    leaves alone, `smallest_image` is a side in pixels, `module()` the Linen module: (images, *,
    train) -> outputs.
    """

    @property
    def in_channels(self) -> int: ...

    @property
    def dropout(self) -> float: ...

    @property
    def mean(self) -> float | tuple[float, ...]: ...

    @property
    def std(self) -> float | tuple[float, ...]: ...

    @property
    def frozen(self) -> tuple[str, ...]: ...

    @property
    def smallest_image(self) -> int: ...

    def module(self) -> nn.Module: ...


def check_image_shape(config: NetworkConfig, image_shape: tuple[int, int, int]) -> None:
    """Raise ValueError where a network cannot take such images: (height, width, channels)."""
    height, width, channels = image_shape
    if channels != config.in_channels:
        raise ValueError(
            f"images must have {config.in_channels} channels (config.in_channels), got {channels}"
        )
    if min(height, width) < config.smallest_image:
        raise ValueError(
            f"images must be at least {config.smallest_image} x {config.smallest_image} pixels for "
            f"this network's halvings, got {height} x {width}; enlarge the images"
        )


def init(
    key: Key[Array, ""] | UInt32[Array, "2"],
    config: NetworkConfig,
    image_shape: tuple[int, int, int],
) -> dict[str, Any]:
    """Draw the variables of an untrained network.

    As torchvision does: convolutions Kaiming normal (fan-in), the classifier uniform within
    ±1/√fan-in, scales and running variances 1, biases and running means 0.

    Args:
      image_shape: (height, width, channels) of one image.

    Returns:
      {"params": ..., "batch_stats": ...}, nested by torchvision's names, all float32.

    Raises:
      ValueError: the image is too small, or has other than config.in_channels channels.
    """
    check_image_shape(config, image_shape)
    images = jnp.zeros((1, *image_shape), jnp.float32)
    shapes = jax.eval_shape(functools.partial(config.module().init, train=False), key, images)
    return draw(key, shapes)


def apply(
    config: NetworkConfig,
    variables: Mapping[str, Any],
    images: Float[Array, "batch height width channel"],
    *,
    train: bool,
    key: Key[Array, ""] | UInt32[Array, "2"] | None = None,
) -> tuple[Any, dict[str, Any]]:
    """Compute a network's outputs, and the running statistics after them.

    Args:
      variables: {"params": ..., "batch_stats": ...} as `init` makes them.
      images: float, standardised: (x - config.mean) / config.std of x in [0, 1].
      train: normalise with the statistics of this batch, update the running ones with them, and
        drop out, but in frozen parts. Otherwise normalise with the running ones.
      key: for dropout; needed where train is true and config.dropout is not 0.

    Returns:
      Outputs, float32, unnormalised: logits [batch, class] of a classifier; {"label": logits
      [batch, class], "mask": logits [batch, height, width, mask]} of a segmenter. And
      "batch_stats", updated in training, else as they came.

    Raises:
      ValueError: an image too small for the network's halvings, a wrong number of channels, a
        missing key, or batch statistics of a single value.
    """
    _, height, width, channels = images.shape
    check_image_shape(config, (height, width, channels))
    module = config.module()
    if not train:
        return module.apply(variables, images, train=False), variables["batch_stats"]
    if config.dropout and key is None:
        raise ValueError(f"dropout = {config.dropout} needs a key in training, got None")
    outputs, updates = module.apply(
        {**variables, "params": hold(variables["params"], config.frozen)},
        images,
        train=True,
        mutable=["batch_stats"],
        rngs={"dropout": key} if config.dropout else {},
    )
    return outputs, updates["batch_stats"]
