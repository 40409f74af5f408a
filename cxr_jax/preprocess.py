"""Turn a decoded radiograph into the image a model sees: crop, CLAHE, artefacts removed, resized.

Optionally a breast is mirrored so that its chest wall is on the left, and the film is padded to a
square, so that resizing keeps its proportions.

Host side: NumPy in, NumPy out, OpenCV inside. Every function is pure, takes one image, uint8 or
uint16 [height, width], and returns a new one.
"""

import dataclasses

import cv2
import numpy as np

from cxr_jax.artefacts import fill_artefacts, find_artefacts, remove_artefacts
from cxr_jax.breast_side import lies_right
from cxr_jax.clahe import check_settings
from cxr_jax.host_image import HostImage, check_image
from cxr_jax.preprocess_config import Crop, PreprocessConfig, check_size, padding, with_depth

__all__ = [
    "Crop",
    "PreprocessConfig",
    "clahe",
    "convert_depth",
    "crop",
    "is_mirrored",
    "pad_to_square",
    "preprocess",
    "remove_artefacts",
    "resize",
    "stages",
]

VERSION = 10
"""To be raised when the same config comes to make another image: caches are named by it."""


def crop(
    image: HostImage,
    *,
    left: float = 0.0,
    right: float = 0.0,
    top: float = 0.0,
    bottom: float = 0.0,
) -> HostImage:
    """Cut fractions off the sides.

    Args:
      image: uint8 or uint16.
      left, right: fractions of the width, in [0, 1), together below 1; rounded to whole pixels.
      top, bottom: fractions of the height, likewise.

    Returns:
      What is left, a copy.

    Raises:
      TypeError, ValueError: a fraction is none or out of range, nothing is left, or image is no
        HostImage.
    """
    check_image(image)
    return Crop(left=left, right=right, top=top, bottom=bottom).cut(image).copy()


def clahe(
    image: HostImage, *, clip_limit: float = 2.0, tiles: tuple[int, int] = (8, 8)
) -> HostImage:
    """Equalise the histogram locally, with limited contrast (cv2.createCLAHE).

    Args:
      image: uint8 or uint16. A 16-bit histogram has 65536 bins, so that the same clip limit gives
        another picture than at 8 bits.
      clip_limit: highest bin, in multiples of a flat histogram; 0 or less does not limit.
      tiles: (across, down), both positive, no more than pixels.

    Returns:
      An image of the same shape and dtype, `cxr_jax.clahe.clahe`'s to the last bit.

    Raises:
      TypeError: clip_limit is no number, or image neither uint8 nor uint16.
      ValueError: tiles are not positive or more than pixels, clip_limit is not finite, or image is
        not [height, width].
    """
    check_image(image)
    check_settings(image.shape, clip_limit=clip_limit, tiles=tiles)
    if clip_limit > np.iinfo(image.dtype).max:  # limits nothing, but may overflow in OpenCV
        clip_limit = 0.0
    return cv2.createCLAHE(clipLimit=float(clip_limit), tileGridSize=tiles).apply(image)


def pad_to_square(image: HostImage, *, side: str = "both") -> HostImage:
    """Add black rows or columns until the image is as high as wide.

    Args:
      image: uint8 or uint16.
      side: where columns are added, "both" or "right"; rows are always added above and below.
        Where both get some and their number is odd, the right or the bottom gets one more.

    Returns:
      An image of the same dtype; the same pixels where it was square.

    Raises:
      TypeError, ValueError: side is another word, or image is no HostImage.
    """
    check_image(image)
    return np.pad(image, padding(image.shape, side=side))


def resize(image: HostImage, *, size: int) -> HostImage:
    """Make the image square: cv2.INTER_AREA along an axis that shrinks, linear where it grows.

    Args:
      image: uint8 or uint16; its aspect ratio is not kept.
      size: the new side in pixels, positive.

    Returns:
      An image [size, size] of the same dtype.

    Raises:
      TypeError, ValueError: size is no positive integer, or image is no HostImage.
    """
    check_image(image)
    check_size(size)
    height, width = image.shape
    shrunk = (min(width, size), min(height, size))
    image = cv2.resize(image, shrunk, interpolation=cv2.INTER_AREA)
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR)


def convert_depth(image: HostImage, *, bits: int) -> HostImage:
    """Give the image 8 or 16 bits a pixel.

    Args:
      image: uint8 or uint16; a uint16 image is taken to use its whole range, 0 to 65535.
      bits: 8 drops the lower byte of uint16 (as OpenCV's bit shift does); 16 multiplies uint8 by
        257, so that 255 becomes 65535.

    Returns:
      uint8 for 8, uint16 for 16; a copy.

    Raises:
      TypeError, ValueError: bits is neither, or image is no HostImage.
    """
    check_image(image)
    if bits not in (8, 16):
        raise ValueError(f"bits must be 8 or 16, got {bits}")
    return with_depth(image, bits=bits)


def stages(image: HostImage, config: PreprocessConfig) -> dict[str, HostImage]:
    """Every step from the decoded image to the model's, in order, for looking at.

    Args:
      image: uint8 or uint16.
      config: which steps, and how.

    Returns:
      name -> image: "original", "cropped", "mirrored" (as it was where there was no need),
      "clahe", "artefacts_removed", "padded", "resized"; without those that are off. After
      "original" every image has config.bit_depth bits. Artefacts are looked for on the whole film
      before CLAHE, and removed after it from what is left of the film.

    Raises:
      TypeError, ValueError: image is no HostImage, or the crop leaves nothing of it.
    """
    steps = {"original": image}
    mirrored = is_mirrored(image, config)
    film = convert_depth(image, bits=config.bit_depth)

    def turned(pixels: np.ndarray) -> np.ndarray:
        return np.fliplr(pixels).copy() if mirrored else pixels

    image = crop(film, **dataclasses.asdict(config.crop))
    steps["cropped"] = image
    if config.mirror_right:
        image = turned(image)
        steps["mirrored"] = image
    if config.clahe_clip_limit > 0:
        image = clahe(image, clip_limit=config.clahe_clip_limit, tiles=config.clahe_tiles)
        steps["clahe"] = image
    if config.remove_artefacts:
        # Looked for on the whole film, where no mark is cut through and borders are at the edge,
        # and before CLAHE, which brings anatomy nearer to marks.
        found = find_artefacts(turned(film), kind=config.kind, devices=config.remove_devices)
        found = turned(config.crop.cut(turned(found)))
        image = fill_artefacts(image, found, kind=config.kind, fill=config.artefact_fill)
        steps["artefacts_removed"] = image
    if config.keep_aspect:
        image = pad_to_square(image, side=config.padded_side)
        steps["padded"] = image
    steps["resized"] = resize(image, size=config.image_size)
    return steps


def preprocess(image: HostImage, config: PreprocessConfig) -> HostImage:
    """Crop, convert to the bit depth, mirror, equalise, remove artefacts, pad, resize.

    Args:
      image: uint8 or uint16, any size.
      config: which steps, and how.

    Returns:
      [image_size, image_size], uint8 if config.bit_depth is 8, else uint16.

    Raises:
      TypeError, ValueError: image is no HostImage, or the crop leaves nothing of it.
    """
    return stages(image, config)["resized"]


def is_mirrored(image: HostImage, config: PreprocessConfig) -> bool:
    """Tell whether `preprocess` mirrors this image, and so its masks are to be mirrored.

    Args:
      image: as decoded, before anything is cut off.
      config: mirror_right decides whether any is.

    Raises:
      TypeError, ValueError: image is no HostImage, or the crop leaves nothing of it.
    """
    return config.mirror_right and lies_right(crop(image, **dataclasses.asdict(config.crop)))
