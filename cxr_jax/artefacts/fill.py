"""What an artefact's pixels are replaced by. All return a new image, the same outside the mask."""

import cv2
import numpy as np


def flat(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """One grey level: the usual one under the mask, where artefacts are the exception."""
    if not mask.any():
        return image.copy()
    return np.where(mask, image.dtype.type(np.median(image[mask])), image)


def around_breast(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """One grey level for the air, and the breast's own greys under markers on it.

    A marker is on the breast where closing what is kept, over 6 % of the side, covers it.
    """
    half = round(0.03 * max(image.shape)) + 1
    # Room, so that bands along the film's sides are not closed.
    kept = np.pad((~mask).astype(np.uint8), 2 * half)
    closed = cv2.morphologyEx(kept, cv2.MORPH_CLOSE, np.ones((2 * half + 1,) * 2, np.uint8))
    on_breast = mask & (closed[2 * half : -2 * half, 2 * half : -2 * half] > 0)
    return np.where(on_breast, smooth(image, mask), flat(image, mask))


def inpaint(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Continue the lines of the mask's rim."""
    return cv2.inpaint(image, mask.astype(np.uint8), 3, cv2.INPAINT_NS)


def smooth(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Blend from the rim, the more smoothly the deeper in the mask (push-pull on a pyramid)."""
    if not mask.any() or mask.all():
        return image.copy()
    height, width = image.shape
    known = (~mask).astype(np.float32)
    filled = cv2.resize(_push_pull(*map(_halved, (image * known, known))), (width, height))
    if image.dtype != np.float32:
        filled = np.round(filled).astype(image.dtype)
    return np.where(mask, filled, image)


def _push_pull(sums: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Means (sums / weights), from a coarser grid where weights are below 1."""
    if weights.min() == 1:
        return sums
    if max(sums.shape) == 1:
        return sums / np.maximum(weights, np.float32(1e-6))
    coarse = _push_pull(_halved(sums), _halved(weights))
    return sums + (1 - weights) * cv2.resize(coarse, sums.shape[::-1])


def _halved(grid: np.ndarray) -> np.ndarray:
    height, width = grid.shape
    return cv2.resize(grid, ((width + 1) // 2, (height + 1) // 2), interpolation=cv2.INTER_AREA)
