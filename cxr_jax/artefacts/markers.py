"""Markers that may touch a breast or lie on it: letters, boxes, plates, stickers, metal.

They are bright and as sharp as the film's pixels all around; no tissue is. A nipple is sharp on
three sides, muscle and calcifications are rounder than letters and plates.
"""

import math
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Shaped

from cxr_jax.artefacts.film import SIDE, square

_WIDEST = (0.06, 0.16)  # a stroke's and a plate's width (fractions of the side)
_CONTRASTS = (0.15, 0.3, 0.5)  # against its surroundings (fractions of the grey range)
_BRIGHT, _WHITE = 0.45, 0.85  # its grey, and that of one longer than _LONG
_INK, _SHARPEST = 0.1, 0.9  # share of a plate's letters, and of any marker's steep rim
_SHORT = 10  # pixels; what is shorter has no shape
_LONG = 0.35  # fraction of the side
_REACH = 9  # pixels across which a rim's rise is measured
_RIM = ((0.22, 0.80), (0.42, 0.50))  # slope (fraction of its rise a pixel), share of the rim
_FALL, _DARK = 0.08, 0.75  # darker than the marker by this on this share of what surrounds it
_DARKER = 0.25  # than a marker is the tissue that it is joined with
_PAPER = 0.6  # a plate's share that no letter covers
_NEAR = 0.16  # from a side of the film (fraction of the side)
_FINE, _COARSE = 300, 128  # pixels of the side
_SQUARE, _STROKES = 0.84, 0.80  # fills more of its rectangle, or less of its hull


class Marker(NamedTuple):
    """One bright, sharp thing.

    Attributes:
      corner: its first row and column.
      mask: its pixels, from there on.
      length, breadth: of the smallest rectangle around it, fractions of the side.
      brightness: its median grey.
      squareness: share of that rectangle that its outline encloses.
      solidity: share of its convex hull that it covers.
      ink: share of its outline's inside that is dark, if it may be a plate with letters.
      sharpness: share of its rim that is as steep as the film's pixels.
    """

    corner: tuple[int, int]
    mask: Bool[np.ndarray, "height width"]
    length: float
    breadth: float
    brightness: float
    squareness: float
    solidity: float
    ink: float
    sharpness: float

    @property
    def has_corners(self) -> bool:
        """Tell what is square or made of strokes from what is round or a wedge."""
        return self.squareness >= _SQUARE or self.solidity <= _STROKES

    @property
    def is_plate(self) -> bool:
        """Tell a plate or a box."""
        return self.squareness >= 0.88 and self.breadth >= 0.025

    @property
    def centre(self) -> tuple[float, float]:
        (top, left), (height, width) = self.corner, self.mask.shape
        return top + height / 2, left + width / 2


def find_markers(film: Float32[np.ndarray, "height width"]) -> list[Marker]:
    """Find what is bright, sharp all around, and neither round nor a wedge; it may come twice."""
    side = max(film.shape)
    gradient = np.hypot(
        cv2.Sobel(film, cv2.CV_32F, 1, 0, scale=1 / 8),
        cv2.Sobel(film, cv2.CV_32F, 0, 1, scale=1 / 8),
    )
    steepest = cv2.dilate(gradient, square(3))
    near_range = cv2.dilate(film, square(_REACH)) - cv2.erode(film, square(_REACH))
    found = []
    for width in _WIDEST:
        kernel = square(int(width * side) | 1)
        height = film - cv2.morphologyEx(film, cv2.MORPH_OPEN, kernel)
        rise = np.minimum(cv2.dilate(height, square(5)), near_range)
        slope = steepest / np.maximum(rise, np.float32(1e-3))
        for contrast in _CONTRASTS:
            core = (height > contrast).astype(np.uint8)
            count, labels, stats, _ = cv2.connectedComponentsWithStats(core, ltype=cv2.CV_16U)
            rim = (core > 0) & (cv2.erode(core, square(3)) == 0)
            at, steep = labels[rim], slope[rim]
            pixels = np.maximum(np.bincount(at, minlength=count), 1)
            passes = np.max(stats[:, 2:4], axis=1) >= _SHORT
            for least, share in _RIM:
                sharp = np.bincount(at, steep > least, count) / pixels
                passes &= sharp >= share
            passes[0] = False  # the background
            for label in np.flatnonzero(passes):
                left, top, wide, high, _ = stats[label].tolist()
                part = np.s_[top : top + high, left : left + wide]
                found.append(
                    _measured(
                        (top, left), labels[part] == label, film[part], side, float(sharp[label])
                    )
                )
    found = [
        marker
        for marker in found
        if marker.brightness >= _least_brightness(marker, side)
        and np.mean(around(film, marker) < marker.brightness - _FALL) >= _DARK
    ]
    return [cut for marker in found if (cut := _without_tissue(marker, found, film)) is not None]


def _least_brightness(marker: Marker, side: int) -> float:
    if marker.length >= _LONG:
        return _WHITE
    plain = marker.is_plate or marker.ink >= _INK or marker.sharpness >= _SHARPEST
    if plain and side >= _COARSE:
        return _BRIGHT
    # Coarse pixels make skin and nipple as sharp as a marker is; it must be brighter there.
    return _BRIGHT * (SIDE / side) ** 0.5


def _without_tissue(
    marker: Marker, markers: list[Marker], film: Float32[np.ndarray, "height width"]
) -> Marker | None:
    """Cut off what a marker is joined with at a low contrast, but not at a higher one."""
    parts = [part for part in markers if part.has_corners and _lies_in(part, marker)]
    if any(part.is_plate and part.squareness > marker.squareness + 0.05 for part in parts):
        return None
    if marker.squareness >= _SQUARE or not parts:
        return marker
    (top, left), (height, width) = marker.corner, marker.mask.shape
    grey = film[top : top + height, left : left + width]
    inside = np.zeros(marker.mask.shape, bool)
    for part in parts:
        first, shape = np.subtract(part.corner, marker.corner), part.mask.shape
        inside[first[0] : first[0] + shape[0], first[1] : first[1] + shape[1]] |= part.mask
    level = np.median(grey[inside]) - _DARKER
    return marker._replace(mask=marker.mask & (inside | (grey > level)))


def _lies_in(part: Marker, marker: Marker) -> bool:
    (top, left), (height, width) = np.subtract(part.corner, marker.corner), part.mask.shape
    if top < 0 or left < 0 or part.mask.sum() >= marker.mask.sum():
        return False
    under = marker.mask[top : top + height, left : left + width]
    return under.shape == part.mask.shape and bool(np.all(under[part.mask]))


def around(
    film: Shaped[np.ndarray, "height width"], marker: Marker, *, reach: int = 3
) -> Shaped[np.ndarray, "pixel"]:
    """The film's pixels beside a marker, but for the next one, `reach` deep."""
    (top, left), (height, width) = marker.corner, marker.mask.shape
    first = max(0, top - reach - 1), max(0, left - reach - 1)
    near = film[first[0] : top + height + reach + 1, first[1] : left + width + reach + 1]
    mask = np.zeros(near.shape, np.uint8)
    mask[top - first[0] :, left - first[1] :][:height, :width] = marker.mask
    ring = (cv2.dilate(mask, square(2 * reach + 3)) > 0) & (cv2.dilate(mask, square(3)) == 0)
    return near[ring]


def is_written(marker: Marker, markers: list[Marker], shape: tuple[int, ...]) -> bool:
    """Tell a plate and letters from clips, wires and calcifications, bright and sharp as well.

    Letters lie near a side of the film, or beside others of the same height.
    """
    side = max(shape)
    if marker.is_plate:
        return True
    row, column = marker.centre
    at_side = min(row, column, shape[0] - row, shape[1] - column) < _NEAR * side
    if at_side and _is_letter(marker, side):
        return True
    high = marker.mask.shape[0]
    return any(
        (
            _is_letter(other, side)
            and abs(other.mask.shape[0] - high) <= 0.2 * high
            and 0.6 < math.dist(marker.centre, other.centre) / high < 2
        )
        or (other.is_plate and _encloses(other, marker))
        for other in markers
    )


def _encloses(box: Marker, marker: Marker) -> bool:
    first = np.subtract(marker.corner, box.corner)
    return bool(np.all(first >= 0) and np.all(first + marker.mask.shape <= box.mask.shape))


def _is_letter(marker: Marker, side: int) -> bool:
    # On a coarse film strokes and clusters of grains look alike.
    stroked = marker.solidity <= _STROKES and side >= _FINE
    return stroked and marker.brightness >= _WHITE and 0.022 <= marker.length <= 0.08


def _measured(
    corner: tuple[int, int], mask: np.ndarray, film: np.ndarray, side: int, sharpness: float
) -> Marker:
    outlines, _ = cv2.findContours(
        mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    (outline,) = outlines
    enclosed, hull = (
        cv2.drawContours(np.zeros(mask.shape, np.uint8), [points], -1, 1, cv2.FILLED) > 0
        for points in (outline, cv2.convexHull(outline))
    )
    # From outer side to outer side of the pixels; OpenCV measures between their centres.
    breadth, length = sorted(extent + 1 for extent in cv2.minAreaRect(outline)[1])
    brightness = float(np.median(film[mask]))
    is_paper = mask.sum() > _PAPER * enclosed.sum()
    burned = mask & (film > brightness / 2)  # not the skin that it touches
    return Marker(
        corner=corner,
        mask=filled(burned) if is_paper else burned,  # a plate with the dark letters on it
        length=length / side,
        breadth=breadth / side,
        brightness=brightness,
        squareness=float(enclosed.sum() / (length * breadth)),
        solidity=float(mask.sum() / hull.sum()),
        ink=float(1 - mask.sum() / enclosed.sum()) if is_paper else 0.0,
        sharpness=sharpness,
    )


def filled(region: Bool[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """The region with its holes."""
    outlines, _ = cv2.findContours(
        region.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    return cv2.drawContours(np.zeros(region.shape, np.uint8), outlines, -1, 1, cv2.FILLED) > 0
