"""Augment images: as they were drawn, or a batch at random.

`draw` says how one image is to be changed, `apply` and `apply_to_mask` do it, `augment` does both
for a batch. Images are float32 in [0, 1], [height, width, channel]. Functions of one image have no
batch axis: `jax.vmap` gives them one. All that change an image can be imported from here.
"""

from typing import overload

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from cxr_jax import geometry
from cxr_jax.augment_draw import AugmentConfig, Parameters, draw, extremes
from cxr_jax.device_image import check_image, check_key
from cxr_jax.geometry import flip_horizontal, rotate, shear, shift, zoom
from cxr_jax.photometric import (
    add_noise,
    adjust_brightness,
    adjust_contrast,
    adjust_gamma,
    apply_clahe,
    erase,
)

__all__ = [
    "AugmentConfig",
    "Parameters",
    "add_noise",
    "adjust_brightness",
    "adjust_contrast",
    "adjust_gamma",
    "apply",
    "apply_clahe",
    "apply_to_mask",
    "augment",
    "draw",
    "erase",
    "extremes",
    "flip_horizontal",
    "rotate",
    "shear",
    "shift",
    "zoom",
]


def apply(
    image: Float[Array, "height width channel"],
    parameters: Parameters,
    *,
    fill: str = "nearest",
    keras: str = "",
) -> Float[Array, "height width channel"]:
    """Change an image as drawn: CLAHE; one resample; contrast, gamma, brightness, noise, erasing.

    Args:
      image: in [0, 1].
      parameters: of one image.
      fill, keras: as `geometry.warp`, `geometry.affine` and `photometric.adjust_brightness` have
        them. A Keras up to 2.1.2 resamples by the nearest pixel.

    Returns:
      The image, float32, clipped to [0, 1]. Differentiable in image and parameters, but for CLAHE,
      the box, the brightness of a Keras, the geometry of Keras 2.1.2, and the step that "constant"
      makes at the film's edge.
    """
    check_image(image)
    if parameters.clahe is not None:
        equalised = apply_clahe(image, clip_limit=parameters.clahe)
        image = jnp.where(jnp.asarray(parameters.clahe) > 0, equalised, image)
    matrix = _matrix(image, parameters, keras)
    image = geometry.warp(image, matrix, order=0 if keras == "2.1.2" else 1, fill=fill)
    image = jnp.clip(image.astype(jnp.float32), 0.0, 1.0)
    if parameters.contrast is not None:
        image = adjust_contrast(image, parameters.contrast)
    if parameters.gamma is not None:
        image = adjust_gamma(image, parameters.gamma)
    if parameters.brightness is not None:
        image = adjust_brightness(image, parameters.brightness, keras=keras)
    if parameters.noise is not None:
        image = add_noise(jax.random.key(parameters.noise_seed), image, deviation=parameters.noise)
    if parameters.erase is not None:
        image = erase(image, parameters.erase)
    return image


def apply_to_mask(
    mask: Shaped[Array, "height width mask"],
    parameters: Parameters,
    *,
    fill: str = "nearest",
    keras: str = "",
) -> Shaped[Array, "height width mask"]:
    """Let a mask of any dtype follow its image: the nearest pixel's value, grey levels kept."""
    check_image(mask, name="mask", floats=False)
    return geometry.warp(mask, _matrix(mask, parameters, keras), order=0, fill=fill)


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
      ValueError: the masks' batch, height or width are not the images', or an array is no batch of
        images, or empty.
      TypeError: key is no typed key, or the images are not of floats.
    """
    check_key(key)
    check_image(images, name="images", rank=4)
    if masks is not None:
        check_image(masks, name="masks", rank=4, floats=False)
        if masks.shape[:3] != images.shape[:3]:
            raise ValueError(
                f"masks must have the images' batch, height and width {images.shape[:3]}, "
                f"got {masks.shape[:3]}; resize them first"
            )
    if config.enabled:
        drawn = jax.vmap(lambda k: draw(k, config))(jax.random.split(key, len(images)))
        fill, keras = config.fill, config.keras
        images = jax.vmap(lambda image, d: apply(image, d, fill=fill, keras=keras))(images, drawn)
        if masks is not None:
            masks = jax.vmap(lambda mask, d: apply_to_mask(mask, d, fill=fill, keras=keras))(
                masks, drawn
            )
    return images if masks is None else (images, masks)


def _matrix(
    image: Shaped[Array, "height width channel"], drawn: Parameters, keras: str
) -> Float[Array, "3 3"]:
    return geometry.affine(
        shape=(image.shape[0], image.shape[1]),
        rotation=drawn.rotation,
        shift=drawn.shift,
        shear=drawn.shear,
        zoom=drawn.zoom,
        flip=drawn.flip,
        keras=keras,
    )
