"""A segmenter: a DenseNet as encoder, a U-Net's decoder over its maps, and its classifier's head.

Ronneberger, Fischer, Brox: U-Net: Convolutional Networks for Biomedical Image Segmentation, MICCAI
2015 (https://arxiv.org/abs/1505.04597); here with padded convolutions, and upsampling by the
nearest neighbour instead of transposed convolutions. Encoder and head bear a classifier's names, so
that `params["features"]` of one is that of the other.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from cxr_jax.models.densenet import DenseNetConfig, Features
from cxr_jax.models.layers import BatchNorm, convolution, moments
from cxr_jax.settings import check_fields


@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmenterConfig:
    """A segmenter.

    Attributes:
      encoder: the DenseNet, and with its num_classes the head.
      num_masks: masks an image, each of its own sigmoid.
      decoder_width: channels at full resolution; twice as many at each halving, up to 256.
    """

    encoder: DenseNetConfig
    num_masks: int = 1
    decoder_width: int = 16

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("num_masks", "decoder_width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

    @property
    def in_channels(self) -> int:
        """Of the images."""
        return self.encoder.in_channels

    @property
    def dropout(self) -> float:
        """Of the encoder."""
        return self.encoder.dropout

    @property
    def mean(self) -> float | tuple[float, ...]:
        """Of the standardisation that the encoder expects; `std` likewise."""
        return self.encoder.mean

    @property
    def std(self) -> float | tuple[float, ...]:
        """See `mean`."""
        return self.encoder.std

    @property
    def frozen(self) -> tuple[str, ...]:
        """Of the encoder and the classifier's head."""
        return self.encoder.frozen

    @property
    def smallest_image(self) -> int:
        """Side in pixels."""
        return self.encoder.smallest_image

    def module(self) -> nn.Module:
        """The network."""
        return Segmenter(self)


class DecoderStage(nn.Module):
    """Upsample to a finer map, join it, and convolve twice: 3x3, norm, ReLU."""

    features: int
    dtype: Any

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "batch coarse_height coarse_width channel"],
        finer: Float[Array, "batch height width _"],
        *,
        train: bool,
    ) -> Float[Array, "batch height width feature"]:
        # To the finer map's shape, because a halving of an odd side rounds.
        x = jax.image.resize(x, (*finer.shape[:3], x.shape[-1]), "nearest")
        x = jnp.concatenate([x, finer], axis=-1)
        for i in (1, 2):
            x = convolution(self.features, 3, dtype=self.dtype, name=f"conv{i}")(x)
            x = nn.relu(BatchNorm(name=f"norm{i}")(x, moments(x) if train else None))
        return x


class Decoder(nn.Module):
    """From the encoder's coarsest map back to the image, through all its finer ones."""

    config: SegmenterConfig

    @nn.compact
    def __call__(
        self, maps: Sequence[Array], *, train: bool
    ) -> Float[Array, "batch height width mask"]:
        config = self.config
        *finer, x = maps
        for level, skip in reversed(list(enumerate(finer))):
            width = min(config.decoder_width * 2**level, 256)
            stage = DecoderStage(width, config.encoder.dtype, name=f"stage{level}")
            x = stage(x, skip, train=train)
        return nn.Dense(config.num_masks, name="logits")(x.astype(jnp.float32))


class Segmenter(nn.Module):
    """Encoder, decoder and head. Use `init` and `apply`."""

    config: SegmenterConfig

    def setup(self) -> None:
        self.features = Features(self.config.encoder)
        self.decoder = Decoder(self.config)
        self.classifier = nn.Dense(self.config.encoder.num_classes)

    def __call__(
        self, images: Float[Array, "batch height width channel"], *, train: bool
    ) -> dict[str, Array]:
        maps = self.features.pyramid(images, train=train)
        pooled = maps[-1].astype(jnp.float32).mean((1, 2))
        # The image itself is the finest map.
        finest = images.astype(self.config.encoder.dtype)
        return {
            "label": self.classifier(pooled),
            "mask": self.decoder([finest, *maps], train=train),
        }
