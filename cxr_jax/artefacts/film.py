"""The small copy of a film on which artefacts are looked for.

All is measured on a copy of at most 512 pixels a side, in fractions of its side and of its grey
range, so the same rules hold for every size and depth, before CLAHE and after it.
"""

import cv2
import numpy as np
from jaxtyping import Bool, Float32

SIDE = 512  # pixels of the longer side while looking


def normalised(image: np.ndarray) -> Float32[np.ndarray, "height width"]:
    """A small copy, stretched to [0, 1]."""
    height, width = image.shape
    scale = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    return (small - small.min()) / max(np.ptp(small), np.float32(1))


def enlarged(mask: np.ndarray, shape: tuple[int, ...]) -> Bool[np.ndarray, "height width"]:
    size = (shape[1], shape[0])
    return cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0


def square(side: int) -> np.ndarray:
    return np.ones((side, side), np.uint8)
