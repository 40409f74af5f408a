"""What is burned into a chest film: marks near its edge.

Conservative: a mark is one only if it is small, near the edge, much brighter or darker than what
surrounds it, and sharper than any anatomy.
"""

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from cxr_jax.artefacts.film import SIDE, square

_MARK = 0.20  # its longest side (fraction of the side)
_STROKE = 0.06  # its widest stroke or disc (fraction of the side)
_CONTRAST = 0.30  # against its surroundings (fraction of the grey range)
_SHARPNESS = 0.14  # gradient at its rim (fraction of the grey range a pixel; bones stay below 0.10)


def find_marks(
    small: Float32[np.ndarray, "height width"], frame: tuple[float, ...]
) -> Bool[np.ndarray, "height width"]:
    """Where sharp, small, isolated things are, white or black, near the edge."""
    found = np.zeros(small.shape, np.uint8)
    gradient = np.hypot(
        cv2.Sobel(small, cv2.CV_32F, 1, 0, scale=1 / 8),
        cv2.Sobel(small, cv2.CV_32F, 0, 1, scale=1 / 8),
    )
    margin = int(_STROKE * max(small.shape)) | 1
    framed = cv2.copyMakeBorder(small, margin, margin, margin, margin, cv2.BORDER_REFLECT)
    for hat in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT):
        height = cv2.morphologyEx(framed, hat, square(margin))[margin:-margin, margin:-margin]
        sharpness = _SHARPNESS
        if hat == cv2.MORPH_BLACKHAT:
            # Coarse pixels make a black lung apex between its bones look as sharp as a mark.
            sharpness *= SIDE / max(small.shape)
        # A mark that touches a bone may stand alone only at the higher threshold.
        for threshold in (0.25, 0.40):
            core = (height > threshold).astype(np.uint8)
            _add_marks(found, core, frame, small, gradient, sharpness)
    return found > 0


def _add_marks(
    found: np.ndarray,
    core: np.ndarray,
    frame: tuple[float, ...],
    small: np.ndarray,
    gradient: np.ndarray,
    sharpness: float,
) -> None:
    """Add to `found` the hulls of those components of `core` that pass every rule."""
    rows, columns = small.shape
    side = max(rows, columns)
    joined = cv2.dilate(core, square(3))
    _, labels, stats, centres = cv2.connectedComponentsWithStats(joined, ltype=cv2.CV_16U)
    x, y = (centres / (columns, rows)).T
    passes = np.max(stats[:, 2:4], axis=1) <= _MARK * side
    passes &= np.any(np.stack([x, 1 - x, y, 1 - y], axis=1) <= frame, axis=1)
    passes[0] = False  # the background
    around = cv2.dilate(labels, square(9))
    near = cv2.dilate(joined, square(3))
    rim = cv2.morphologyEx(core, cv2.MORPH_GRADIENT, square(3)) & joined
    at = np.flatnonzero(around)
    label, value, slope = around.ravel()[at], small.ravel()[at], gradient.ravel()[at]
    inside, rim, ring = core.ravel()[at] > 0, rim.ravel()[at] > 0, near.ravel()[at] == 0
    count = len(stats)
    contrast = _means(value[inside], label[inside], count) - _means(value[ring], label[ring], count)
    passes &= np.abs(contrast) >= _CONTRAST
    passes &= _means(slope[rim], label[rim], count) >= sharpness
    for label in np.flatnonzero(passes):
        left, top, width, height = stats[label, :4]
        points = cv2.findNonZero(
            (labels[top : top + height, left : left + width] == label).astype(np.uint8)
        )
        hull = np.zeros_like(found)
        cv2.fillConvexPoly(hull, cv2.convexHull(points) + np.array([left, top], np.int32), 1)
        found |= cv2.dilate(hull, square(5))


def _means(values: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """Mean of the values of each label, 0 where it has none."""
    total = np.bincount(labels, weights=values, minlength=count)
    return total / np.maximum(np.bincount(labels, minlength=count), 1)
