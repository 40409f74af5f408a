"""Flip, rotate, shift, zoom, shear, brighten: deterministic for an image, random for a batch.

Images are float32 in [0, 1], [height, width, channel]; angles are degrees, shifts fractions of
height and width. Conventions and fills are those of `cxr_jax.geometry`. Functions of one image have
no batch axis: `jax.vmap` gives them one. Randomness is drawn (`draw`) apart from its application.
"""

import dataclasses
import math
from typing import NamedTuple, overload

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, PRNGKeyArray, Real, Shaped

from cxr_jax import geometry
from cxr_jax.settings import check_choices, setting


def flip_horizontal(
    image: Shaped[Array, "height width channel"],
) -> Shaped[Array, "height width channel"]:
    """Mirror an image left and right. A chest then has its heart on the other side."""
    return image[:, ::-1]


def rotate(
    image: Float[Array, "height width channel"],
    degrees: Real[ArrayLike, ""],
    *,
    fill: str = "nearest",
) -> Float[Array, "height width channel"]:
    """Turn an image about its centre; a positive angle turns it clockwise on the screen."""
    return geometry.warp(image, geometry.affine(shape=_shape(image), rotation=degrees), fill=fill)


def shift(
    image: Float[Array, "height width channel"],
    fractions: tuple[Real[ArrayLike, ""], Real[ArrayLike, ""]] | Real[Array, "2"],
    *,
    fill: str = "nearest",
) -> Float[Array, "height width channel"]:
    """Move an image by (down, across) fractions of height and width.

    As in Keras it is the sampling points that go down and right: the content goes up and left.
    """
    return geometry.warp(image, geometry.affine(shape=_shape(image), shift=fractions), fill=fill)


def zoom(
    image: Float[Array, "height width channel"],
    factors: tuple[Real[ArrayLike, ""], Real[ArrayLike, ""]] | Real[Array, "2"],
    *,
    fill: str = "nearest",
) -> Float[Array, "height width channel"]:
    """Scale an image about its centre by factors for (rows, columns), > 0; below 1 magnifies."""
    return geometry.warp(image, geometry.affine(shape=_shape(image), zoom=factors), fill=fill)


def shear(
    image: Float[Array, "height width channel"],
    degrees: Real[ArrayLike, ""],
    *,
    fill: str = "nearest",
) -> Float[Array, "height width channel"]:
    """Shear an image about its centre: columns slide along each other, width grows by 1 / cos."""
    return geometry.warp(image, geometry.affine(shape=_shape(image), shear=degrees), fill=fill)


def adjust_brightness(
    image: Float[Array, "height width channel"], factor: Real[ArrayLike, ""]
) -> Float[Array, "height width channel"]:
    """Multiply an image in [0, 1] by a factor >= 0, clipped to [0, 1], not quantised."""
    return jnp.clip(image * factor, 0.0, 1.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """How far a random augmentation may go. The defaults are moderate ranges for chest radiographs.

    Rotation, shear and zoom are those of the recipe for mammography. Shifts are smaller, because a
    chest has been cropped close by then, and a shift of a tenth pushes the angles between ribs and
    diaphragm out of the frame, where the thorax is measured.

    Raises:
      ValueError: a range is out of its own bounds, or fill is none of its choices.
    """

    enabled: bool = setting(True, "augment the training images", flag="augment")
    rotation: float = setting(6.0, "largest rotation to either side", unit="degrees")
    height_shift: float = setting(0.05, "largest shift up or down", unit="fraction of height")
    width_shift: float = setting(0.05, "largest shift to either side", unit="fraction of width")
    shear: float = setting(
        round(math.degrees(0.1), 1), "largest shear to either side", unit="degrees"
    )
    zoom: float = setting(
        0.1, "largest zoom in or out, for rows and columns apart", unit="fraction"
    )
    brightness: float = setting(
        0.1, "largest change of brightness in either direction", unit="fraction"
    )
    flip: float = setting(0.5, "how often to mirror left and right", unit="probability")
    fill: str = setting(
        "nearest",
        "what to show beyond the image's edge",
        choices=("nearest", "constant", "reflect"),
        flag="augment_fill",
    )

    def __post_init__(self) -> None:
        check_choices(self)
        for name, bound in [("rotation", 180.0), ("brightness", 1.0), ("flip", 1.0)]:
            value = getattr(self, name)
            if not 0.0 <= value <= bound:
                raise ValueError(f"{name} must be in [0, {bound:g}], got {value!r}")
        for name, bound in [
            ("height_shift", 1.0),
            ("width_shift", 1.0),
            ("shear", 90.0),
            ("zoom", 1.0),
        ]:
            value = getattr(self, name)
            if not 0.0 <= value < bound:
                raise ValueError(f"{name} must be in [0, {bound:g}), got {value!r}")


class Parameters(NamedTuple):
    """One image's draw: the arguments of `geometry.affine`, and the factor of brightness."""

    rotation: Float[Array, "*batch"]
    shift: Float[Array, "*batch 2"]
    shear: Float[Array, "*batch"]
    zoom: Float[Array, "*batch 2"]
    flip: Bool[Array, "*batch"]
    brightness: Float[Array, "*batch"]


def draw(key: PRNGKeyArray, config: AugmentConfig) -> Parameters:
    """Draw how one image is to be augmented.

    Every range is uniform and half-open: rotation and shear in [-r, r), each shift in [-s, s), each
    axis' zoom independently in [1 - z, 1 + z), brightness in [1 - b, 1 + b). No draw depends on
    another range, so that switching one off leaves the rest of an experiment as it was.
    """
    u = jax.random.uniform(key, (8,), dtype=jnp.float32)
    either = 2.0 * u - 1.0
    return Parameters(
        rotation=config.rotation * either[0],
        shift=jnp.array([config.height_shift, config.width_shift], jnp.float32) * either[1:3],
        shear=config.shear * either[3],
        zoom=1.0 + config.zoom * either[4:6],
        brightness=1.0 + config.brightness * either[6],
        flip=u[7] < config.flip,
    )


@overload
def augment(
    key: PRNGKeyArray,
    images: Float[Array, "batch height width channel"],
    config: AugmentConfig,
) -> Float[Array, "batch height width channel"]: ...


@overload
def augment(
    key: PRNGKeyArray,
    images: Float[Array, "batch height width channel"],
    config: AugmentConfig,
    masks: Shaped[Array, "batch height width mask"],
) -> tuple[
    Float[Array, "batch height width channel"], Shaped[Array, "batch height width mask"]
]: ...


def augment(
    key: PRNGKeyArray,
    images: Float[Array, "batch height width channel"],
    config: AugmentConfig,
    masks: Shaped[Array, "batch height width mask"] | None = None,
) -> (
    Float[Array, "batch height width channel"]
    | tuple[Float[Array, "batch height width channel"], Shaped[Array, "batch height width mask"]]
):
    """Augment each image of a batch in its own way, with one bilinear resample.

    Image i is drawn from `jax.random.split(key, batch)[i]`, whatever the devices it lies on.

    Args:
      key: consumed; derive it from the step.
      images: in [0, 1].
      config: the ranges; not enabled, everything comes back as it is.
      masks: of any dtype. They follow their images with the nearest pixel's value, so that no new
        value appears, and keep their brightness.

    Returns:
      images, float32, clipped to [0, 1]; or (images, masks) where masks are given.

    Raises:
      ValueError: the masks' batch, height or width are not the images'.
    """
    if masks is not None and masks.shape[:3] != images.shape[:3]:
        raise ValueError(
            f"masks must have the images' batch, height and width {images.shape[:3]}, "
            f"got {masks.shape[:3]}; resize them first"
        )
    if config.enabled:
        batch, height, width, _ = images.shape
        drawn = jax.vmap(lambda k: draw(k, config))(jax.random.split(key, batch))
        matrices = jax.vmap(lambda d: _matrix((height, width), d))(drawn)
        warp = jax.vmap(lambda image, m: geometry.warp(image, m, fill=config.fill))
        images = jax.vmap(adjust_brightness)(warp(images, matrices), drawn.brightness)
        if masks is not None:
            masks = jax.vmap(lambda mask, m: geometry.warp(mask, m, order=0, fill=config.fill))(
                masks, matrices
            )
    return images if masks is None else (images, masks)


def _matrix(shape: tuple[int, int], drawn: Parameters) -> Float[Array, "3 3"]:
    return geometry.affine(
        shape=shape,
        rotation=drawn.rotation,
        shift=drawn.shift,
        shear=drawn.shear,
        zoom=drawn.zoom,
        flip=drawn.flip,
    )


def _shape(image: Float[Array, "height width channel"]) -> tuple[int, int]:
    return image.shape[0], image.shape[1]
