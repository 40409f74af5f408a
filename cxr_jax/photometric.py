"""What changes grey levels and leaves the geometry: brightness, contrast, gamma, noise, erasing.

Images are float32 in [0, 1], [height, width, channel], and come back clipped to it. Functions of
one image have no batch axis: `jax.vmap` gives them one.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, Real

from cxr_jax.device_image import check_image, check_key
from cxr_jax.geometry import KERAS

Image = Float[Array, "height width channel"]
Box = Real[Array, "4"] | tuple[float, float, float, float]


def adjust_brightness(image: Image, factor: Real[ArrayLike, ""], *, keras: str = "") -> Image:
    """Multiply an image in [0, 1] by a factor >= 0, clipped to [0, 1], not quantised.

    Args:
      image: in [0, 1].
      factor: >= 0; 1 leaves the image as it is.
      keras: do as that ImageDataGenerator with grey levels of 255: "3" (2.9 and later) cuts the
        decimals off, before and after, and "2.8" stretches the image's range to all of [0, 1]
        before, whatever the factor. Both have no gradient. "2.1.2" had no brightness.

    Raises:
      ValueError: keras is none of these; or see `device_image.check_image`.
    """
    check_image(image)
    if keras not in KERAS or keras == "2.1.2":
        raise ValueError(f'keras must be "", "2.8" or "3" for brightness, got {keras!r}')
    if keras:
        grey = jnp.maximum(255 * image, 0.0)  # else XLA fuses product and difference: other bits
        if keras == "2.8":
            grey = grey - grey.min()
            grey = grey / jnp.where(grey.max() > 0, grey.max(), 1.0) * 255
        return jnp.minimum(jnp.floor(factor * jnp.floor(grey)), 255.0) / 255
    return jnp.clip(image * factor, 0.0, 1.0)


def adjust_contrast(image: Image, factor: Real[ArrayLike, ""]) -> Image:
    """Scale the grey levels' distances to the channel's mean by a factor >= 0, clipped to [0, 1].

    Equals tf.image.adjust_contrast (which does not clip).
    """
    check_image(image)
    mean = image.mean(axis=(0, 1))
    return jnp.clip((image - mean) * factor + mean, 0.0, 1.0)


def adjust_gamma(image: Image, gamma: Real[ArrayLike, ""]) -> Image:
    """Raise an image in [0, 1] to the power of gamma > 0; above 1 darkens.

    Equals skimage.exposure.adjust_gamma. Black has a gradient of 0 for every gamma.
    """
    check_image(image)
    lit = image > 0
    return jnp.where(lit, jnp.clip(jnp.where(lit, image, 1.0) ** gamma, 0.0, 1.0), 0.0)


def add_noise(key: PRNGKeyArray, image: Image, *, deviation: Real[ArrayLike, ""]) -> Image:
    """Add independent Gaussian noise of a standard deviation (of 1) to each pixel and clip."""
    check_key(key)
    check_image(image)
    return jnp.clip(image + deviation * jax.random.normal(key, image.shape), 0.0, 1.0)


def erase(image: Image, box: Box, *, value: Real[ArrayLike, ""] = 0.0) -> Image:
    """Fill a box, which is (top, left, height, width) as fractions of height and width.

    The pixels whose centres lie in it are filled; a box of no size fills none.
    """
    check_image(image)
    height, width, _ = image.shape
    top, left, tall, wide = jnp.asarray(box, jnp.float32)
    row, column = (
        (jnp.arange(height) + 0.5) / height - top,
        (jnp.arange(width) + 0.5) / width - left,
    )
    inside = ((row >= 0) & (row < tall))[:, None] & ((column >= 0) & (column < wide))
    return jnp.where(inside[..., None], value, image)
