"""The image type of everything that happens before the device: one grey image, 8 or 16 bits."""

from typing import Any, TypeAlias

import numpy as np
from jaxtyping import UInt8, UInt16

HostImage: TypeAlias = UInt8[np.ndarray, "_height _width"] | UInt16[np.ndarray, "_height _width"]
"""uint8 (0 to 255) or uint16 (0 to 65535), [height, width]."""


def check_image(image: Any) -> None:
    """Raise ValueError unless `image` is a HostImage with at least one pixel."""
    dtype = getattr(image, "dtype", type(image).__name__)
    if dtype not in (np.uint8, np.uint16):
        raise ValueError(
            f"image must be uint8 or uint16, got {dtype}; scale it to 0 to 255 and round it first"
        )
    if image.ndim != 2:
        raise ValueError(
            f"image must be [height, width], got shape {image.shape}; "
            "take one channel of one image at a time"
        )
    if image.size == 0:
        raise ValueError(f"image must have at least one pixel, got shape {image.shape}")
