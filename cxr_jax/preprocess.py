"""Turn a decoded radiograph into the image a model sees: crop, CLAHE, artefacts removed, resized.

Host side: NumPy in, NumPy out, OpenCV inside. Every function is pure, takes one image, uint8 or
uint16 [height, width], and returns a new one.
"""

import dataclasses
import math

import cv2
import numpy as np

from cxr_jax.artefacts import FRAME, remove_artefacts
from cxr_jax.host_image import HostImage, check_image
from cxr_jax.settings import check_choices, setting

__all__ = [
    "Crop",
    "PreprocessConfig",
    "clahe",
    "convert_depth",
    "crop",
    "preprocess",
    "remove_artefacts",
    "resize",
    "stages",
]

VERSION = 1
"""To be raised when the same config comes to make another image: caches are named by it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Crop:
    """What is cut off: left and right as fractions of the width, top and bottom of the height."""

    left: float = 0.0
    right: float = 0.0
    top: float = 0.0
    bottom: float = 0.0

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if not 0 <= value < 1:
                raise ValueError(f"crop {name} must be a fraction in [0, 1), got {value}")
        for one, other in (("left", "right"), ("top", "bottom")):
            a, b = getattr(self, one), getattr(self, other)
            if a + b >= 1:
                raise ValueError(f"crop fractions {one} + {other} must be < 1, got {a:g} + {b:g}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreprocessConfig:
    """How every image is prepared; a change makes a new cache."""

    crop: Crop = setting(
        Crop(), "what is cut off: left,right,top,bottom", unit="fractions of width and height"
    )
    clahe_clip_limit: float = setting(
        2.0, "contrast limit of CLAHE; 0 leaves CLAHE out", unit="multiples of a flat histogram"
    )
    clahe_tiles: tuple[int, int] = setting((8, 8), "tiles of CLAHE: across,down")
    remove_artefacts: bool = setting(True, "remove markers, burned-in text and borders")
    kind: str = setting(
        "chest",
        "how artefacts are told from the patient",
        choices=("chest", "breast"),
        flag="artefact_kind",
    )
    image_size: int = setting(224, "side of the square image the model gets", unit="pixels")
    bit_depth: int = setting(8, "bits a pixel the model gets: 8 or 16", unit="bits")

    def __post_init__(self) -> None:
        check_choices(self)
        if not (math.isfinite(self.clahe_clip_limit) and self.clahe_clip_limit >= 0):
            raise ValueError(f"clahe_clip_limit must be >= 0, got {self.clahe_clip_limit}")
        if len(self.clahe_tiles) != 2 or min(self.clahe_tiles) < 1:
            raise ValueError(
                f"clahe_tiles must be two positive integers, across,down; got {self.clahe_tiles}"
            )
        if self.image_size < 1:
            raise ValueError(
                f"image_size must be a positive number of pixels, got {self.image_size}"
            )
        if self.bit_depth not in (8, 16):
            raise ValueError(f"bit_depth must be 8 or 16, got {self.bit_depth}")


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
      ValueError: a fraction is out of range, nothing is left, or image is no HostImage.
    """
    check_image(image)
    Crop(left=left, right=right, top=top, bottom=bottom)
    height, width = image.shape
    inside = image[
        round(top * height) : height - round(bottom * height),
        round(left * width) : width - round(right * width),
    ]
    if inside.size == 0:
        raise ValueError(f"crop leaves nothing of an image of {height} x {width} pixels")
    return inside.copy()


def clahe(
    image: HostImage, *, clip_limit: float = 2.0, tiles: tuple[int, int] = (8, 8)
) -> HostImage:
    """Equalise the histogram locally, with limited contrast (cv2.createCLAHE).

    Args:
      image: uint8 or uint16. A 16-bit histogram has 65536 bins, so that the same clip limit gives
        another picture than at 8 bits.
      clip_limit: highest bin, in multiples of a flat histogram; 0 or less does not limit.
      tiles: (across, down), both positive.

    Returns:
      An image of the same shape and dtype.

    Raises:
      ValueError: tiles are not positive, or image is no HostImage.
    """
    check_image(image)
    if min(tiles) < 1:
        raise ValueError(f"tiles must be positive, (across, down), got {tiles}")
    return cv2.createCLAHE(clipLimit=clip_limit, tileGridSize=tiles).apply(image)


def resize(image: HostImage, *, size: int) -> HostImage:
    """Make the image square: cv2.INTER_AREA along an axis that shrinks, linear where it grows.

    Args:
      image: uint8 or uint16; its aspect ratio is not kept.
      size: the new side in pixels, positive.

    Returns:
      An image [size, size] of the same dtype.

    Raises:
      ValueError: size is not positive, or image is no HostImage.
    """
    check_image(image)
    if size < 1:
        raise ValueError(f"size must be a positive number of pixels, got {size}")
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
      ValueError: bits is neither, or image is no HostImage.
    """
    check_image(image)
    if bits not in (8, 16):
        raise ValueError(f"bits must be 8 or 16, got {bits}")
    if bits == 8 and image.dtype == np.uint16:
        return (image >> 8).astype(np.uint8)
    if bits == 16 and image.dtype == np.uint8:
        return image.astype(np.uint16) * np.uint16(257)
    return image.copy()


def stages(image: HostImage, config: PreprocessConfig) -> dict[str, HostImage]:
    """Every step from the decoded image to the model's, in order, for looking at.

    Args:
      image: uint8 or uint16.
      config: which steps, and how.

    Returns:
      name -> image: "original", "cropped", "clahe" and "artefacts_removed" unless they are off,
      "resized". After "original" every image has config.bit_depth bits.

    Raises:
      ValueError: image is no HostImage, or the crop leaves nothing of it.
    """
    steps = {"original": image}
    image = convert_depth(crop(image, **dataclasses.asdict(config.crop)), bits=config.bit_depth)
    steps["cropped"] = image
    if config.clahe_clip_limit > 0:
        image = clahe(image, clip_limit=config.clahe_clip_limit, tiles=config.clahe_tiles)
        steps["clahe"] = image
    if config.remove_artefacts:
        image = remove_artefacts(image, kind=config.kind, frame=_frame(config.crop))
        steps["artefacts_removed"] = image
    steps["resized"] = resize(image, size=config.image_size)
    return steps


def preprocess(image: HostImage, config: PreprocessConfig) -> HostImage:
    """Crop, convert to the bit depth, equalise, remove artefacts, resize.

    Args:
      image: uint8 or uint16, any size.
      config: which steps, and how.

    Returns:
      [image_size, image_size], uint8 if config.bit_depth is 8, else uint16.

    Raises:
      ValueError: image is no HostImage, or the crop leaves nothing of it.
    """
    return stages(image, config)["resized"]


def _frame(crop: Crop) -> tuple[float, float, float, float]:
    """Where a whole film's marks lie once it is cropped."""
    cut = (crop.left, crop.right, crop.top, crop.bottom)
    width, height = 1 - crop.left - crop.right, 1 - crop.top - crop.bottom
    left, right, top, bottom = (max(0.0, edge - off) for edge, off in zip(FRAME, cut, strict=True))
    return left / width, right / width, top / height, bottom / height
