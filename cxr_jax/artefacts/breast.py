"""What is no breast on a mammogram: bands along its sides, markers, and the air around the breast.

The breast is the largest region brighter than air. Bands and markers may touch it, and would be
part of it, so they are looked for first.
"""

import cv2
import numpy as np
from jaxtyping import Bool, Shaped

from cxr_jax.artefacts.bands import find_bands
from cxr_jax.artefacts.film import normalised, square
from cxr_jax.artefacts.markers import Marker, around, filled, find_markers, is_written

_LEAST = 0.02  # area of a breast (fraction of the film)
_REACH, _IN_AIR = 0.01, 0.15  # beside a marker (fraction of the side), share of air there
_GAP = 45  # from air to tissue (of 255)
_EVEN, _TAIL = 0.3, 0.5  # quartiles and darkest greys of air differ by less (of what to tissue)
_SKIN = 0.05, 0.18  # brightness of skin and the fat under it, from air to Otsu's threshold
_SPREAD = 2.0  # of air, between its quartiles; skin is brighter by more of them
_SECOND = 0.6  # as wide, beside the largest region, is another breast
_REACHES = 0.98  # share of the film's height and width that an inverted film's air has
_BRIDGE, _HALO = 9, 11  # widths of what is cut off the breast, and of the air kept around it


def outside_breast(
    image: Shaped[np.ndarray, "height width"], *, devices: bool = False
) -> Bool[np.ndarray, "rows columns"]:
    """Find everything but the breast; bands alone where none stands out.

    Args:
      image: uint8 or uint16.
      devices: also find what is bright and sharp in the breast: clips, wires, calcifications.

    Returns:
      Of the shape of `normalised(image)`.
    """
    small, bands = normalised(image), find_bands(image, kind="breast")
    markers = find_markers(np.where(bands, 0, small))
    tissue = ~bands & ~_grown(_painted(markers, small.shape), 5)
    bright = _brighter_than_air(small, tissue)
    air = ~bright & tissue
    removed = _painted(
        [
            marker
            for marker in markers
            if devices
            or is_written(marker, markers, small.shape)
            or _meets_air(marker, air, tissue)
        ],
        small.shape,
    )
    burned = bands | _grown(removed, 3)
    # What lies between and behind markers on the breast belongs to it.
    body = (bright | _painted(markers, small.shape)) & ~bands
    breast = _breasts(cv2.morphologyEx(body.astype(np.uint8), cv2.MORPH_OPEN, square(_BRIDGE)))
    if breast.mean() < _LEAST or _is_all_around(breast, ~bands):
        return burned
    return ~filled(_grown(breast & ~removed, _HALO)) | burned


def _brighter_than_air(small: np.ndarray, tissue: np.ndarray) -> np.ndarray:
    """Where the film is brighter than air; what is no tissue takes after what surrounds it."""
    weight = cv2.GaussianBlur(tissue.astype(np.float32), (0, 0), 2)
    smooth = cv2.GaussianBlur(np.where(tissue, small, np.float32(0)), (0, 0), 2)
    smooth /= np.maximum(weight, np.float32(1e-3))
    low, high = np.percentile(smooth[tissue], (0, 99)) if tissue.any() else (0, 0)
    grey = np.clip((smooth - low) * (255 / max(high - low, 1e-6)), 0, 255).astype(np.uint8)
    return grey > _skin_level(grey[tissue])


def _skin_level(grey: np.ndarray) -> float:
    """The grey between air and breast; -1, so that all is breast, where there is no air.

    Air is the darkest class of Otsu's that is even; fat beside gland is another, but not even.
    """
    least = _LEAST * len(grey)
    while len(grey) > least:
        otsu, _ = cv2.threshold(grey, 0, 255, cv2.THRESH_OTSU)
        dark, bright = grey[grey <= otsu], grey[grey > otsu]
        if not len(bright):
            break
        lowest, low, air, high = np.percentile(dark, (2, 25, 50, 75))
        gap = np.median(bright) - air
        if gap >= _GAP and high - low <= _EVEN * gap and air - lowest <= _TAIL * gap:
            # Well below Otsu's threshold: skin, nipple and the fat under it are nearly black.
            least, most = (share * (otsu - air) for share in _SKIN)
            return float(air + np.clip(_SPREAD * (high - low), least, most))
        grey = dark
    return -1.0


def _meets_air(marker: Marker, air: np.ndarray, tissue: np.ndarray) -> bool:
    """Tell whether a marker lies beside the breast, with a part of it at least."""
    reach = max(1, round(_REACH * max(air.shape)))
    beside = around(air, marker, reach=reach)[around(tissue, marker, reach=reach)]
    return marker.has_corners and bool(beside.sum() >= _IN_AIR * max(1, len(beside)))


def _painted(markers: list[Marker], shape: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    for marker in markers:
        (top, left), (height, width) = marker.corner, marker.mask.shape
        mask[top : top + height, left : left + width] |= marker.mask
    return mask


def _grown(mask: np.ndarray, width: int) -> np.ndarray:
    return cv2.dilate(mask.astype(np.uint8), square(width)) > 0


def _is_all_around(breast: np.ndarray, film: np.ndarray) -> bool:
    """Tell a region that reaches all sides: a breast that fills the film, or air, inverted."""
    return all(breast.any(axis).sum() >= _REACHES * max(1, film.any(axis).sum()) for axis in (0, 1))


def _breasts(region: np.ndarray) -> np.ndarray:
    """The largest region, and another one that is nearly as wide; a strip of fog is narrower."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(region)
    if count < 2:
        return np.zeros(region.shape, bool)
    inside = cv2.distanceTransform(np.pad(region, 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
    radius = np.zeros(count, np.float32)
    np.maximum.at(radius, labels[region > 0], inside[region > 0])
    largest = 1 + np.argmax(stats[1:, cv2.CC_STAT_AREA])
    return (radius >= _SECOND * radius[largest])[labels]
