"""Where a film's pixels come to lie in the network's image, and the way back for masks and maps."""

import dataclasses

import cv2
import numpy as np
from jaxtyping import Float32

from cxr_jax.host_image import HostImage
from cxr_jax.preprocess import crop, pad_to_square, resize
from cxr_jax.preprocess_config import PreprocessConfig, padding


def place(image: HostImage, config: PreprocessConfig, *, mirrored: bool = False) -> HostImage:
    """Do the steps of `preprocess` that move pixels and leave those out that change grey values.

    Args:
      image: uint8 or uint16, of the film's size.
      config: crop, keep_aspect and image_size count.
      mirrored: whether the film is mirrored, see `preprocess.is_mirrored`.

    Returns:
      [image_size, image_size] of the same dtype.

    Raises:
      TypeError, ValueError: image is no HostImage, or the crop leaves nothing of it.
    """
    image = crop(image, **dataclasses.asdict(config.crop))
    if mirrored:
        image = np.fliplr(image).copy()
    if config.keep_aspect:
        image = pad_to_square(image, side=config.padded_side)
    return resize(image, size=config.image_size)


def restore_mask(
    mask: Float32[np.ndarray, "size size"],
    config: PreprocessConfig,
    shape: tuple[int, int],
    *,
    mirrored: bool = False,
) -> Float32[np.ndarray, "height width"]:
    """Lay a map of the network's image back onto the film: the inverse of `place`.

    Args:
      mask: a mask, a probability or any other map, image_size x image_size.
      config: as the film was prepared.
      shape: (height, width) of the film as decoded.
      mirrored: whether the film was mirrored, see `preprocess.is_mirrored`.

    Returns:
      [height, width], interpolated linearly; 0 where the film was cropped off.

    Raises:
      ValueError: the mask is not of config.image_size, or the crop leaves nothing of the film.
    """
    size = config.image_size
    if mask.shape != (size, size):
        raise ValueError(
            f"mask must be image_size x image_size, {size} x {size}, got {mask.shape[0]} x "
            f"{mask.shape[1]}; take the config that the map was made with"
        )
    restored = np.zeros(shape, np.float32)
    inside = restored[config.crop.kept(shape)]
    if inside.size == 0:
        raise ValueError(f"crop leaves nothing of a film of {shape[0]} x {shape[1]} pixels")
    height, width = inside.shape
    above = left = 0
    full = (width, height)
    if config.keep_aspect:
        (above, _), (left, _) = padding(inside.shape, side=config.padded_side)
        full = (max(full), max(full))
    large = cv2.resize(mask, full, interpolation=cv2.INTER_LINEAR)
    large = large[above : above + height, left : left + width]
    inside[:] = np.fliplr(large) if mirrored else large
    return restored
