"""The cardiothoracic ratio, from the outlines of heart and lungs."""

import math

import cv2
import numpy as np
from jaxtyping import Bool, Float

_SPECK = 0.1  # of the largest component's area: what is smaller is no lung

Outline = Bool[np.ndarray, "_height _width"] | Float[np.ndarray, "_height _width"]


def cardiothoracic_ratio(heart: Outline, lungs: Outline) -> float:
    """Divide the widest extent of the heart by that of the lungs, both along the rows.

    The edges are where a probability crosses 0.5, between pixels: on phantoms of 64 pixels a side
    that halves the error of whole pixels, which is why probabilities should not be thresholded
    before. Measured so on the true outlines, cropped and resized as for cardiomegaly, the
    ratio is 0.004 off on average, and 0.009 in whole pixels; turning them upright first, patients
    being up to 3.4 degrees askew, would gain less than 0.001.

    Args:
      heart: mask, or probability in [0, 1]; what counts is the largest component above 0.5.
      lungs: as the heart; the two largest, because there are two. A pneumothorax is part of it.

    Returns:
      The ratio, above 0; NaN where heart or lungs are missing, or the heart does not lie between
      the lungs' outer borders (as when only one lung was found).

    Raises:
      ValueError: the shapes differ, or a probability is not in [0, 1].
    """
    if heart.shape != lungs.shape:
        raise ValueError(f"heart and lungs must have one shape, got {heart.shape}, {lungs.shape}")
    for name, outline in (("heart", heart), ("lungs", lungs)):
        if outline.size and not (outline.min() >= 0 and outline.max() <= 1):
            raise ValueError(
                f"{name} must be probabilities in [0, 1], got values from {outline.min()} to "
                f"{outline.max()}; divide 8-bit ones by 255"
            )
    left, right = _borders(_largest(heart, 1))
    outer_left, outer_right = _borders(_largest(lungs, 2))
    if not (outer_left <= left and right <= outer_right):  # false of NaN too
        return math.nan
    return (right - left) / (outer_right - outer_left)


def _largest(outline: Outline, count: int) -> Float[np.ndarray, "height width"]:
    """Set all but the largest components above 0.5 to 0, and leave what is below."""
    inside = (outline >= 0.5).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(inside)
    area = stats[1:, cv2.CC_STAT_AREA]
    order = np.argsort(-area, kind="stable")
    kept = [1 + i for i in order[:count] if area[i] >= _SPECK * area.max()]
    return np.where(np.isin(labels, [0, *kept]), outline, 0).astype(np.float64)


def _borders(outline: Float[np.ndarray, "height width"]) -> tuple[float, float]:
    """Where it begins and ends along the rows, in pixels; NaN if it is nowhere above 0.5."""
    if not np.any(outline >= 0.5):
        return math.nan, math.nan
    return _begin(outline), outline.shape[1] - _begin(outline[:, ::-1])


def _begin(outline: Float[np.ndarray, "height width"]) -> float:
    """The leftmost place where it rises through 0.5; pixel 0 reaches from 0 to 1."""
    column = int(np.argmax(np.any(outline >= 0.5, axis=0)))
    if column == 0:
        return 0.0
    rows = outline[:, column] >= 0.5
    before, here = outline[rows, column - 1], outline[rows, column]
    return column - 0.5 + float(np.min((0.5 - before) / (here - before)))
