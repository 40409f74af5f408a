"""What changes grey levels and leaves the geometry: brightness, contrast, CLAHE, noise, erasing.

Images are floats in [0, 1], [height, width, channel], and come back as float32, clipped to it.
Functions of one image have no batch axis: `jax.vmap` gives them one. What is no image raises as
`device_image.check_image` does; a parameter that is no number TypeError, out of range ValueError.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, Real, UInt8

from cxr_jax.clahe import clahe
from cxr_jax.device_image import check_image, check_key, check_number, check_numbers
from cxr_jax.geometry import KERAS

Image = Float[Array, "height width channel"]
Number = Real[ArrayLike, ""]
Box = Real[Array, "4"] | tuple[Number, Number, Number, Number]


def adjust_brightness(image: Image, factor: Number, *, keras: str = "") -> Image:
    """Multiply an image in [0, 1] by a factor >= 0, clipped to [0, 1], not quantised.

    Args:
      image: in [0, 1].
      factor: >= 0; 1 leaves the image as it is.
      keras: do as that ImageDataGenerator with grey levels of 255: "3" (2.9 and later) cuts the
        decimals off, before and after, and "2.8" stretches the image's range to all of [0, 1]
        before, whatever the factor. Both have no gradient. "2.1.2" had no brightness.

    Raises:
      ValueError: keras is none of these.
    """
    image = _float32(image)
    check_number(factor, name="factor", within="[0, inf)")
    if keras not in KERAS or keras == "2.1.2":
        raise ValueError(f'keras must be "", "2.8" or "3" for brightness, got {keras!r}')
    if keras:
        grey = jnp.maximum(255 * image, 0.0)  # else XLA fuses product and difference: other bits
        if keras == "2.8":
            grey = grey - grey.min()
            grey = grey / jnp.where(grey.max() > 0, grey.max(), 1.0) * 255
        return jnp.minimum(jnp.floor(jnp.float32(factor) * jnp.floor(grey)), 255.0) / 255
    return jnp.clip(image * jnp.float32(factor), 0.0, 1.0)


def adjust_contrast(image: Image, factor: Number) -> Image:
    """Scale the grey levels' distances to the channel's mean by a factor >= 0, clipped to [0, 1].

    Equals tf.image.adjust_contrast (which does not clip).
    """
    image = _float32(image)
    check_number(factor, name="factor", within="[0, inf)")
    mean = image.mean(axis=(0, 1))
    return jnp.clip((image - mean) * jnp.float32(factor) + mean, 0.0, 1.0)


def adjust_gamma(image: Image, gamma: Number) -> Image:
    """Raise an image in [0, 1] to the power of gamma > 0; above 1 darkens.

    Equals skimage.exposure.adjust_gamma. Black has a gradient of 0 for every gamma.
    """
    image = _float32(image)
    check_number(gamma, name="gamma", within="(0, inf)")
    lit = image > 0
    return jnp.where(lit, jnp.clip(jnp.where(lit, image, 1.0) ** jnp.float32(gamma), 0.0, 1.0), 0.0)


def apply_clahe(
    image: Image, *, clip_limit: Number = 2.0, tiles: tuple[int, int] = (8, 8)
) -> Image:
    """Equalise each channel's histogram locally, with limited contrast, in 8 bits.

    Args:
      image: in [0, 1]; rounded to 256 grey levels.
      clip_limit, tiles: as `cxr_jax.clahe.clahe` has them.

    Returns:
      The image in 256 grey levels of [0, 1], and no gradient.

    Raises:
      ValueError: more tiles than pixels.
    """
    image = _float32(image)
    levels = jnp.round(255 * jnp.clip(image, 0.0, 1.0)).astype(jnp.uint8)

    def equalise(channel: UInt8[Array, "height width"]) -> UInt8[Array, "height width"]:
        return clahe(channel, clip_limit=clip_limit, tiles=tiles)

    return jax.vmap(equalise, in_axes=-1, out_axes=-1)(levels).astype(jnp.float32) / 255


def add_noise(key: PRNGKeyArray, image: Image, *, deviation: Number) -> Image:
    """Add independent Gaussian noise of a standard deviation (of 1) to each pixel and clip."""
    check_key(key)
    image = _float32(image)
    check_number(deviation, name="deviation", within="[0, inf)")
    noise = jax.random.normal(key, image.shape, jnp.float32)
    return jnp.clip(image + jnp.float32(deviation) * noise, 0.0, 1.0)


def erase(image: Image, box: Box, *, value: Number = 0.0) -> Image:
    """Fill a box, which is (top, left, height, width) as fractions of height and width.

    The pixels whose centres lie in it are filled with a value in [0, 1]; a box of no size fills
    none.
    """
    image = _float32(image)
    check_numbers(box, name="box", parts=("top", "left", "height", "width"), within="[0, 1]")
    check_number(value, name="value", within="[0, 1]")
    height, width, _ = image.shape
    top, left, tall, wide = jnp.asarray(box, jnp.float32)
    row, column = (
        (jnp.arange(height) + 0.5) / height - top,
        (jnp.arange(width) + 0.5) / width - left,
    )
    inside = ((row >= 0) & (row < tall))[:, None] & ((column >= 0) & (column < wide))
    return jnp.where(inside[..., None], jnp.float32(value), image)


def _float32(image: Image) -> Image:
    check_image(image)
    return jnp.asarray(image, jnp.float32)
