"""DenseNet-121, 161, 169, 201, 264 and a tiny one: densely connected convolutional networks.

Huang, Liu, van der Maaten, Weinberger: Densely Connected Convolutional Networks, CVPR 2017
(https://arxiv.org/abs/1608.06993), table 1. Geometry, initialisation, names of the layers and
running statistics are those of torchvision's `DenseNet`; images are channels-last.
"""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cxr_jax.models.dense_block import (
    Options,
    dense_block,
    initial_moments,
    initial_params,
)
from cxr_jax.models.layers import BatchNorm, Moments, convolution, move
from cxr_jax.models.parts import part_names
from cxr_jax.models.pooling import PooledNorm
from cxr_jax.settings import check_fields, setting

REMAT = ("none", "block", "layer")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DenseNetConfig:
    """A member of the DenseNet family; take one of the constructors, or make your own.

    Attributes:
      block_sizes: dense layers in each dense block.
      num_classes: logits.
      in_channels: channels of the images.
      growth_rate: channels that each dense layer adds.
      bottleneck: a dense layer's 1x1 convolution makes bottleneck * growth_rate channels.
      compression: the part of the channels that a transition keeps, in (0, 1].
      stem_features: channels of the first convolution.
      dropout: rate after each dense layer, in [0, 1).
      dtype: "float32" or "bfloat16", of the computation. Parameters, statistics and logits are
        float32 with either.
      mean, std: the standardisation (x - mean) / std that the model expects of images in [0, 1];
        one number, or one a channel. With one a channel, images of a single channel are repeated
        by it: grey under ImageNet's three means and scales.
      frozen: names of `parts` that training leaves as they are: no gradient, no dropout, and norm
        layers that use and keep their running statistics, as in evaluation.
      remat: what the backward pass computes again instead of keeping it, with the same results:
        "none", but norms; "layer", all of a dense layer but the maps that it reads; "block", all of
        a block.
    """

    block_sizes: tuple[int, ...]
    num_classes: int
    in_channels: int = 1
    growth_rate: int = setting(32, "channels that each dense layer adds")
    bottleneck: int = setting(4, "channels between a layer's convolutions, in growth rates")
    compression: float = setting(0.5, "channels that a transition keeps", unit="fraction")
    stem_features: int = setting(64, "channels of the first convolution")
    dropout: float = setting(0.0, "dropout after each dense layer", unit="probability")
    dtype: str = setting("float32", "precision of compute", choices=("float32", "bfloat16"))
    mean: float | tuple[float, ...] = 0.5
    std: float | tuple[float, ...] = 0.25
    frozen: tuple[str, ...] = ()
    remat: str = setting("none", "what is computed again in the backward pass", choices=REMAT)

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.block_sizes or min(self.block_sizes) < 1:
            raise ValueError(f"block_sizes must be positive numbers, got {self.block_sizes}")
        for name in ("num_classes", "in_channels", "growth_rate", "bottleneck", "stem_features"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 < self.compression <= 1:
            raise ValueError(f"compression must be in (0, 1], got {self.compression}")
        channels = self.stem_features
        for i, size in enumerate(self.block_sizes[:-1], start=1):
            grown = channels + size * self.growth_rate
            channels = self.compressed(grown)
            if not channels:
                raise ValueError(
                    f"compression = {self.compression} leaves none of the {grown} channels behind "
                    f"block {i}"
                )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {self.dropout}")
        for name in ("mean", "std"):
            value = getattr(self, name)
            if isinstance(value, tuple) and len(value) != self.in_channels:
                raise ValueError(
                    f"{name} must be one number or one for each of {self.in_channels} channels, "
                    f"got {value}"
                )
            if not np.isfinite(value).all():
                raise ValueError(f"{name} must be finite, got {value}")
        if np.min(self.std) <= 0:
            raise ValueError(f"std must be positive, got {self.std}")
        for part in self.frozen:
            if part not in self.parts:
                raise ValueError(f"frozen parts must be of {', '.join(self.parts)}, got {part!r}")

    @property
    def parts(self) -> tuple[str, ...]:
        """What can be frozen, from the image to the output."""
        return part_names(len(self.block_sizes))

    @property
    def smallest_image(self) -> int:
        """Side in pixels: below it the last map would be empty."""
        return 4 * (2 ** (len(self.block_sizes) - 1) - 1) + 1

    def compressed(self, channels: int) -> int:
        """How many of so many channels a transition keeps."""
        return int(channels * self.compression)

    def module(self) -> nn.Module:
        """The network."""
        return DenseNet(self)

    @classmethod
    def densenet121(cls, **fields: Any) -> "DenseNetConfig":
        """DenseNet-121 of table 1."""
        return cls(block_sizes=(6, 12, 24, 16), **fields)

    @classmethod
    def densenet161(cls, **fields: Any) -> "DenseNetConfig":
        """DenseNet-161: the wider one of the authors' code and torchvision, not in table 1."""
        wide = {"growth_rate": 48, "stem_features": 96}
        return cls(**{"block_sizes": (6, 12, 36, 24), **wide, **fields})

    @classmethod
    def densenet169(cls, **fields: Any) -> "DenseNetConfig":
        """DenseNet-169 of table 1."""
        return cls(block_sizes=(6, 12, 32, 32), **fields)

    @classmethod
    def densenet201(cls, **fields: Any) -> "DenseNetConfig":
        """DenseNet-201 of table 1."""
        return cls(block_sizes=(6, 12, 48, 32), **fields)

    @classmethod
    def densenet264(cls, **fields: Any) -> "DenseNetConfig":
        """DenseNet-264 of table 1."""
        return cls(block_sizes=(6, 12, 64, 48), **fields)

    @classmethod
    def tiny(cls, **fields: Any) -> "DenseNetConfig":
        """Three blocks of two narrow layers: a network for tests and first tries."""
        return cls(**{"block_sizes": (2, 2, 2), "growth_rate": 8, "stem_features": 16, **fields})


VARIANTS = {
    "densenet121": DenseNetConfig.densenet121,
    "densenet161": DenseNetConfig.densenet161,
    "densenet169": DenseNetConfig.densenet169,
    "densenet201": DenseNetConfig.densenet201,
    "densenet264": DenseNetConfig.densenet264,
    "tiny": DenseNetConfig.tiny,
}


def by_name(name: str, *, num_classes: int, **fields: Any) -> DenseNetConfig:
    """Make the config of a variant by its name: a key of `VARIANTS`.

    Raises:
      ValueError: no variant has that name.
    """
    if name not in VARIANTS:
        raise ValueError(f"model must be one of {', '.join(VARIANTS)}, got {name!r}")
    return VARIANTS[name](num_classes=num_classes, **fields)


class DenseBlock(nn.Module):
    """Dense layers, each of which reads all maps that came before it in the block.

    The moments of a map are the same for every norm layer that reads it, the next transition's
    among them, so that they are computed once and handed on beside it.
    """

    config: DenseNetConfig
    size: int

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channel"], learns: bool
    ) -> tuple[Float[Array, "batch height width grown"], Moments | None]:
        config = self.config
        growth = config.growth_rate
        layers, running = [], []
        for i in range(self.size):
            name = f"denselayer{i + 1}"
            sizes = (x.shape[-1] + i * growth, config.bottleneck * growth, growth)
            layers.append(self.param(name, lambda _, sizes=sizes: initial_params(*sizes)))
            running.append(self.variable("batch_stats", name, initial_moments, *sizes[:2]))
        drops = learns and config.dropout > 0
        maps, batch, used = dense_block(
            Options(dropout=config.dropout, recompute=config.remat == "layer"),
            x,
            layers,
            None if learns else [layer.value for layer in running],
            jax.random.split(self.make_rng("dropout"), self.size) if drops else None,
        )
        if learns:
            for layer, moments_used in zip(running, used, strict=True):
                layer.value = {
                    norm: move(Moments(**layer.value[norm]), new, x.size // x.shape[-1])._asdict()
                    for norm, new in moments_used.items()
                }
        return maps, batch


class Transition(nn.Module):
    """Norm, ReLU, 1x1 convolution and average pooling of 2x2: half the size, fewer channels."""

    config: DenseNetConfig

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channel"], batch: Moments | None
    ) -> tuple[
        Float[Array, "batch height width channel"],
        Float[Array, "batch half_height half_width kept"],
    ]:
        """Return the map behind norm and ReLU too."""
        kept = self.config.compressed(x.shape[-1])
        x = nn.relu(BatchNorm(name="norm")(x, batch))
        # Pooled before the convolution, which commutes with it, at a quarter of the work.
        pooled = nn.avg_pool(x, (2, 2), (2, 2))
        return x, convolution(kept, 1, dtype=self.config.dtype, name="conv")(pooled)


class Features(nn.Module):
    """Everything before the head."""

    config: DenseNetConfig

    def __call__(
        self, images: Float[Array, "batch height width channel"], *, train: bool
    ) -> Float[Array, "batch map_height map_width feature"]:
        """Compute the map that follows the last norm and ReLU."""
        return self.pyramid(images, train=train)[-1]

    @nn.compact
    def pyramid(
        self, images: Float[Array, "batch height width channel"], *, train: bool
    ) -> list[Array]:
        """Compute the maps before each halving but the first, and the last, all behind a ReLU.

        Their sides are 1/2, 1/4, 1/8, … of the image's.
        """
        config = self.config

        def learns(part: str) -> bool:
            return train and part not in config.frozen

        block = nn.remat(DenseBlock, static_argnums=2) if config.remat == "block" else DenseBlock
        transition = Transition if config.remat == "none" else nn.remat(Transition)
        x = images.astype(config.dtype)
        x = convolution(config.stem_features, 7, stride=2, dtype=config.dtype, name="conv0")(x)
        before, x = PooledNorm(name="norm0")(x, learns("stem"))
        maps = [before]
        for i, size in enumerate(config.block_sizes, start=1):
            x, batch = block(config, size, name=f"denseblock{i}")(x, learns(f"block{i}"))
            if i < len(config.block_sizes):
                before, x = transition(config, name=f"transition{i}")(x, batch)
                maps.append(before)
        last = nn.relu(BatchNorm(name=f"norm{len(config.block_sizes) + 1}")(x, batch))
        return [*maps, last]


class DenseNet(nn.Module):
    """Features and a linear head over their mean. Use `init` and `apply`."""

    config: DenseNetConfig

    def setup(self) -> None:
        self.features = Features(self.config)
        self.classifier = nn.Dense(self.config.num_classes)

    def __call__(
        self, images: Float[Array, "batch height width channel"], *, train: bool
    ) -> Float[Array, "batch class"]:
        return self.head(self.features(images, train=train))

    def head(
        self, features: Float[Array, "batch map_height map_width feature"]
    ) -> Float[Array, "batch class"]:
        """Map features to logits, in float32."""
        return self.classifier(features.astype(jnp.float32).mean((1, 2)))
