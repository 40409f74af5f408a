"""The recipe of `preprocess` without artefact removal, on the device: from film to network input.

Pure JAX, to be compiled and vmapped; every size of film is compiled anew, so it is made for data
sets whose films have few sizes.
"""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float32, UInt

from cxr_jax.clahe import clahe
from cxr_jax.host_image import check_grey_image
from cxr_jax.preprocess_config import Crop, PreprocessConfig, check_size, padding, with_depth

__all__ = ["crop", "preprocess", "resize"]


def preprocess(
    image: UInt[ArrayLike, "height width"], config: PreprocessConfig
) -> Float32[Array, "size size"]:
    """Crop, convert to the bit depth, equalise, pad, resize and scale, in one compiled program.

    Args:
      image: uint8 or uint16, any size.
      config: which steps, and how; static. remove_artefacts and mirror_right must be off.

    Returns:
      [image_size, image_size] in [0, 1]: the grey level through 255, or 65535 if config.bit_depth
      is 16.

    Raises:
      TypeError: image is neither uint8 nor uint16.
      ValueError: config asks for what only the host can do; image is not [height, width], or what
        the crop leaves of it has fewer pixels than tiles.

    Equals `cxr_jax.preprocess.preprocess` within one grey level of the bit depth.
    """
    check_grey_image(image)
    for name in ("remove_artefacts", "mirror_right"):
        if getattr(config, name):
            raise ValueError(
                f"{name} must be off on the device, got True; prepare the image on the host with "
                f"cxr_jax.preprocess.preprocess, or take a config with {name}=False"
            )
    return _preprocess(image, config)


@partial(jax.jit, static_argnames="config")
def _preprocess(image: Array, config: PreprocessConfig) -> Float32[Array, "size size"]:
    image = with_depth(crop(image, **dataclasses.asdict(config.crop)), bits=config.bit_depth)
    if config.clahe_clip_limit > 0:
        image = clahe(image, clip_limit=config.clahe_clip_limit, tiles=config.clahe_tiles)
    if config.keep_aspect:
        image = jnp.pad(image, padding(image.shape, side=config.padded_side))
    image = resize(image, size=config.image_size)
    return image.astype(jnp.float32) / np.iinfo(image.dtype).max


def crop(
    image: UInt[ArrayLike, "height width"],
    *,
    left: float = 0.0,
    right: float = 0.0,
    top: float = 0.0,
    bottom: float = 0.0,
) -> UInt[Array, "rows columns"]:
    """Cut fractions off the sides.

    Args:
      image: uint8 or uint16.
      left, right: fractions of the width, in [0, 1), together below 1; rounded to whole pixels.
      top, bottom: fractions of the height, likewise. All static.

    Returns:
      What is left, `cxr_jax.preprocess.crop`'s pixels.

    Raises:
      TypeError: image is neither uint8 nor uint16.
      ValueError: a fraction is out of range, nothing is left, or image is not [height, width].
    """
    check_grey_image(image)
    image = jnp.asarray(image)
    return Crop(left=left, right=right, top=top, bottom=bottom).cut(image)


def resize(image: UInt[ArrayLike, "height width"], *, size: int) -> UInt[Array, "size size"]:
    """Make the image square: cv2.INTER_AREA along an axis that shrinks, linear where it grows.

    Args:
      image: uint8 or uint16; its aspect ratio is not kept.
      size: the new side in pixels, positive, static.

    Returns:
      An image [size, size] of the same dtype; halves are rounded to even.

    Raises:
      TypeError: image is neither uint8 nor uint16.
      ValueError: size is no positive integer, or image is not [height, width].

    Equals `cxr_jax.preprocess.resize` and so OpenCV 5 within one grey level, of 8 or of 16 bits:
    rounding differs, which OpenCV does after each axis.
    """
    check_grey_image(image)
    check_size(size)
    image = jnp.asarray(image)
    rows, columns = (_resampling(length, size) for length in image.shape)
    # A TPU would multiply in bfloat16, which has 8 bits.
    resized = jnp.einsum(
        "ih,hw,jw->ij", rows, image.astype(jnp.float32), columns, precision="highest"
    )
    return jnp.round(resized).astype(image.dtype)


def _resampling(length: int, size: int) -> Float32[np.ndarray, "size length"]:
    """Weights of an axis' old pixels in each new one."""
    step = 1 / (size / length)  # as OpenCV rounds it
    if length < size:
        centre = np.clip((np.arange(size) + 0.5) * step - 0.5, 0, length - 1)
        weights = np.maximum(0, 1 - np.abs(centre[:, None] - np.arange(length)))
    else:
        start, pixel = np.arange(size)[:, None] * step, np.arange(length)
        covered = np.minimum(start + step, pixel + 1) - np.maximum(start, pixel)
        covered = np.clip(covered, 0, 1)
        covered[covered <= 1e-3] = 0  # OpenCV leaves out what is covered so little
        weights = covered / np.minimum(step, length - start)
    return weights.astype(np.float32)
