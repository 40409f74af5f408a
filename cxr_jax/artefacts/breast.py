"""What is no breast on a mammogram: everything but the largest bright region."""

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from cxr_jax.artefacts.borders import find_borders
from cxr_jax.artefacts.film import square

_WHITE = 0.6  # beside a white border, what is darker is breast (fraction of the grey range)


def outside_breast(small: Float32[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """Everything but the largest bright region; only white borders where none stands out."""
    # They may touch the breast, and would be part of it.
    borders = find_borders(small, black=False) & (small > _WHITE)
    smooth = cv2.GaussianBlur((small * 255).astype(np.uint8), (0, 0), 2)
    otsu, _ = cv2.threshold(smooth[~borders], 0, 255, cv2.THRESH_OTSU)
    dark = float(np.median(smooth[smooth <= otsu]))
    # Well below Otsu's threshold, because the skin and the fat under it are nearly black.
    bright = ((smooth > dark + 0.25 * (otsu - dark)) & ~borders).astype(np.uint8)
    bright = cv2.morphologyEx(bright, cv2.MORPH_OPEN, square(15))  # cuts labels off that touch
    count, labels, stats, _ = cv2.connectedComponentsWithStats(bright)
    if count < 2:
        return borders
    breast = labels == 1 + np.argmax(stats[1:, cv2.CC_STAT_AREA])
    if breast.mean() < 0.05:
        return borders
    return (cv2.dilate(breast.astype(np.uint8), square(9)) == 0) | borders
