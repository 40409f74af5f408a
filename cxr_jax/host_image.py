"""A radiograph as it was decoded: one grey image, 8 or 16 bits; on the host NumPy's."""

from typing import Any, TypeAlias

import numpy as np
from jaxtyping import UInt8, UInt16

HostImage: TypeAlias = UInt8[np.ndarray, "_height _width"] | UInt16[np.ndarray, "_height _width"]
"""uint8 (0 to 255) or uint16 (0 to 65535), [height, width]."""


def check_grey_image(image: Any) -> None:
    """Raise where an array, NumPy's or JAX's, is no radiograph.

    Raises:
      TypeError: neither uint8 nor uint16.
      ValueError: not [height, width], or empty.
    """
    dtype = getattr(image, "dtype", type(image).__name__)
    if dtype not in (np.uint8, np.uint16):
        raise TypeError(
            f"image must be uint8 or uint16, got {dtype}; scale it to 0 to 255, round it and "
            "convert it with astype(uint8) first"
        )
    if len(image.shape) != 2 or 0 in image.shape:
        raise ValueError(
            f"image must be [height, width], none of them 0, got shape {image.shape}; "
            "take one channel of one image"
        )


def check_image(image: Any) -> None:
    """Raise where `image` is no HostImage, as `check_grey_image` does, or JAX's: TypeError."""
    check_grey_image(image)
    if not isinstance(image, np.ndarray):
        raise TypeError(
            f"image must be an array of NumPy, got {type(image).__name__}; take np.asarray(image)"
        )
