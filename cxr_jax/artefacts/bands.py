"""Bands along a film's sides: its edges, collimator borders, shutters, frames, stripes of light.

A band is even along its side and ends in a sharp straight line beside it (`lines.py`). It shows by
its grey, or by being constant to the last bit, whatever its grey, where air and body are noisy. On
a chest film another may lie behind it: what is known is covered by the film inside of it.
"""

import math

import cv2
import numpy as np
from jaxtyping import Bool, Float, Shaped

from cxr_jax.artefacts.film import normalised
from cxr_jax.artefacts.lines import (
    AIR,
    PIECES,
    SEEN,
    STRAIGHT,
    WHITE,
    averaged,
    find_lines,
    middles,
)

_DEEPEST = 0.3  # fraction of the side
_LAYERS = {"breast": 1, "chest": 3}  # of bands, one behind the other, at most
_LAYER = 4  # pixels deep, at least, behind another
_FADES = 2.0  # pixels over which a band may end
_MIXED = 0.5  # and, with one of the image, where one behind it is constant
_LEAST = 16  # pixels of a strip in which lines are sought
_SAME, _SHARE = 0.08, 0.8  # this share of a band differs by less from its usual grey at that depth
_FLAT = 0.015  # or from the grey near by
_BLACK, _PURE = 0.03, 0.9  # this share of a scanned collimator border is as black
_BRIGHTER, _EVERYWHERE = 0.03, 0.87  # on this share of its rim a band is brighter than air
_JUMP = 0.008  # of the grey range: no constant band has it
_WRITTEN = 0.25  # share of a constant band, and of its rim, that is not, at most
_CROSSED = 0.09  # and of its rim where what is not goes on to the side
_QUIET = 0.05  # share of a piece that changes
_SOFT = {"breast": (1,), "chest": (1, 2, 4)}  # pixels over which a rim may fade, about
_WHITE_SEEN = {"breast": 0.5, "chest": 0.25}  # and of those that see a rim between white and white
_BEYOND = {"breast": 0.0, "chest": 0.5}  # pixels of the image taken beyond a constant band's rim


def find_bands(
    image: Shaped[np.ndarray, "height width"], *, kind: str
) -> Bool[np.ndarray, "rows columns"]:
    """Find the bands along all four sides, with all that lies outside of their rims.

    Args:
      image: uint8 or uint16.
      kind: on a "chest" film, where air may end in a straight flank, they are bright, black or
        constant, and what lies beyond a bright strip stays; on one of a "breast" all that goes.

    Returns:
      True in bands; of the shape of `normalised(image)`.
    """
    small, jump = normalised(image), _JUMP * float(np.ptp(image))
    found = np.zeros(small.shape, bool)
    # How deep they are along each side; the sides follow each other around the film.
    depths = [np.zeros(small.shape[1 - turn % 2]) for turn in range(4)]
    turns = list(range(4))
    for _ in range(_LAYERS[kind]):
        deepened = []
        for turn in turns:
            film, band = np.rot90(small, turn), np.rot90(found, turn)  # views; the side is on top
            deep = int(_DEEPEST * len(film))
            if min(deep, film.shape[1]) < _LEAST:
                continue
            pixel = len(film) / image.shape[turn % 2]  # of the image
            whole = np.rot90(image, turn)[: round(deep / pixel)]
            strip = _uncovered(film[:deep], *_hidden(depths, turn, _FADES), 1.0)
            hidden = _hidden(depths, turn, _MIXED + pixel)
            whole = _uncovered(whole, *hidden, pixel)
            beyond = _BEYOND[kind] * pixel
            rims = [_add_constant(band[:deep], whole, pixel, jump, hidden[0], beyond=beyond)]
            for scale in _SOFT[kind]:
                if deep // scale >= _LEAST:
                    rims.append(_add_even(band[:deep], strip, kind, scale))
            depth = np.max([depths[turn], *rims], axis=0)
            # Where one layer is sought, no side depends on the one before it.
            if _LAYERS[kind] > 1 and (depth > depths[turn]).any():
                depths[turn] = depth
                deepened.append(turn)
        # A band hides what lies behind it and, beside it, the ends of a side searched before.
        turns = sorted(
            {
                side
                for turn in deepened
                for side in (turn, turn - 1, (turn + 1) % 4)
                if 0 <= side <= turn
            }
        )
    return found


def _hidden(depths: list[np.ndarray], turn: int, fades: float) -> tuple[np.ndarray, int, int]:
    """How much bands hide of that side's film: of each column's top, and columns on both sides."""
    depth, beside = depths[turn], (depths[turn - 1].max(), depths[(turn + 1) % 4].max())
    left, right = (math.ceil(deepest + fades) if deepest > 0 else 0 for deepest in beside)
    return np.where(depth > 0, depth + fades, 0), left, right


def _uncovered(
    film: np.ndarray, depth: np.ndarray, left: int, right: int, pixel: float
) -> np.ndarray:
    """The film as if what lies behind its bands went on to its sides."""
    rows, columns = film.shape
    last = columns - 1
    column = np.clip(np.arange(columns), round(left / pixel), max(0, last - round(right / pixel)))
    at = np.minimum((column * pixel).astype(int), len(depth) - 1)
    first = np.minimum(np.ceil(depth[at] / pixel).astype(int), rows - 1)
    column = np.minimum(column, last)
    shown = film[:, column] if left or right else film.copy()
    deepest = np.arange(first.max())[:, None]
    shown[: len(deepest)] = film[np.maximum(deepest, first), column]
    return shown


def _add_constant(
    band: np.ndarray,
    whole: np.ndarray,
    pixel: float,
    jump: float,
    hidden: np.ndarray,
    *,
    beyond: float,
) -> np.ndarray:
    """Add the deepest band that is constant but for what is written on it; return its rim."""
    # Whole rows of one value are no film, even if they are few and air is as dark.
    rows = int(np.argmax(np.ptp(whole, axis=1) > jump))
    band[: math.ceil(rows * pixel)] = True
    row, at = np.arange(len(band))[:, None], middles(band.shape[1] / PIECES)
    change, changed = _changes(whole, band.shape, jump)
    hidden = hidden[np.round(at + (len(hidden) - 1) / 2).astype(int)]
    for line in find_lines(changed, at, 1.0):  # no white hides changes
        rim = np.polyval(line, at)
        if hidden.any() and np.median((rim - hidden)[hidden > 0]) < _LAYER:
            break
        beside, outer = (
            plane[np.clip(np.round(depth).astype(int), 1, len(band) - 1), np.arange(PIECES)]
            for plane, depth in ((change, rim - 2), (changed, (3 * hidden + rim) / 4))
        )
        written = np.mean(changed[(row < rim) & (row >= hidden)])
        # What is written ends before the side, where body and air go on to it.
        on = np.mean(beside * (outer > _QUIET))
        if written <= _WRITTEN and np.mean(beside) <= _WRITTEN and on <= _CROSSED:
            rim = _rim(line, band.shape[1])
            band |= row < rim + beyond
            return rim
    return np.full(band.shape[1], rows * pixel)


def _add_even(band: np.ndarray, strip: np.ndarray, kind: str, scale: int) -> np.ndarray:
    """Add the deepest band of even grey, return its rim; on a chest film, add strips too.

    `band` is what is known.
    """
    deep, length = strip.shape
    row, at = np.arange(deep)[:, None], middles(length / PIECES / scale)
    grey = averaged(strip, deep // scale)
    for line in find_lines(grey, at, _WHITE_SEEN[kind]):
        rim, start = scale * _rim(line, length, scale), np.zeros(length)
        if kind == "chest":
            if not _is_no_air(np.where(band, np.nan, strip), rim):
                continue
            start = _start(strip, rim)
        elif _is_crossed(strip, rim):
            continue
        if _is_even(strip, (row >= start) & (row < rim - 1) & ~band):
            band |= (row >= start - 1) & (row < rim)
            if not start.any():
                return rim
    return np.zeros(length)


def _rim(line: np.ndarray, length: int, scale: int = 1) -> Float[np.ndarray, "length"]:
    """Where the band ends that has its last pixels on the line, in steps of `scale` pixels."""
    return np.polyval(line, (np.arange(length) - (length - 1) / 2) / scale) + 1


def _changes(
    film: np.ndarray, shape: tuple[int, int], jump: float
) -> tuple[np.ndarray, np.ndarray]:
    """The share of each piece that changes with depth, there and anywhere up to there."""
    step = np.zeros((len(film) + 2, film.shape[1]), film.dtype)
    step[1:-2] = cv2.absdiff(film[1:], film[:-1])
    # CLAHE shades a constant band, but slowly.
    changes = (step[:-2] > jump) | (step[:-2] > 0) & ((step[1:-1] | step[2:]) > 0)
    changes = changes.astype(np.uint8)
    # The outermost pixels may be mixed with what was beside the film.
    changes[: film.shape[1] // shape[1]] = 0
    first = np.where(changes.any(axis=0), cv2.reduceArgMax(changes, 0)[0], len(changes))
    here, up_to_here = (
        averaged(plane.astype(np.float32), shape[0])
        for plane in (changes, np.arange(len(changes))[:, None] >= first)
    )
    up_to_here[0] = up_to_here[1]
    return here, up_to_here


def _beside(strip: np.ndarray, rim: np.ndarray, by: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """The greys outside of a rim and inside of it."""
    at, column = np.round(rim).astype(int), np.arange(strip.shape[1])
    outside, inside = (strip[np.clip(at + by, 0, len(strip) - 1), column] for by in (-by, by))
    return outside, inside


def _is_crossed(strip: np.ndarray, rim: np.ndarray) -> bool:
    """Tell air from a black band: the skin's arc, or a label beside it, gets over the line."""
    outside, _ = _beside(strip, rim, by=2)
    usual = np.median(outside)
    return bool(usual < AIR and np.mean(outside < usual + _BRIGHTER) < _SHARE)


def _start(strip: np.ndarray, rim: np.ndarray) -> np.ndarray:
    """Where the band inside of that rim begins: 0, or another straight line if it is a strip."""
    outside, inside = _beside(strip, rim)
    row, x = np.arange(len(strip))[:, None], np.arange(strip.shape[1])
    darker = (strip < (outside + inside) / 2) & (row < rim - 2)
    start = np.where(darker, row + 1, 0).max(axis=0)
    seen = (inside <= WHITE) & (outside > inside + _BRIGHTER)
    if seen.sum() < 8:
        return np.zeros(len(x))
    fit, keep = np.polyfit(x[seen], start[seen], 1), seen
    for _ in range(3):
        keep = seen & (np.abs(np.polyval(fit, x) - start) < 4 * STRAIGHT)
        if keep.sum() < _EVERYWHERE * seen.sum():
            return np.zeros(len(x))
        fit = np.polyfit(x[keep], start[keep], 1)
    line = np.polyval(fit, x)
    return line if line.max() >= 4 else np.zeros(len(x))


def _is_even(strip: np.ndarray, inside: np.ndarray) -> bool:
    """Tell a band from a breast that is crossed by a line."""
    rows = inside.any(axis=1)
    if not rows.any():
        return True
    inside, strip = inside[rows], strip[rows]
    usual = np.nanmedian(np.where(inside, strip, np.nan), axis=1, keepdims=True)
    near = cv2.blur(strip, (strip.shape[1] // 16 | 1, 1))  # CLAHE brightens a band in places
    return any(
        np.mean((np.abs(one - other) < most)[inside]) >= _SHARE
        for one, other, most in ((near, usual, _SAME), (strip, near, _FLAT))
    )


def _is_no_air(strip: np.ndarray, rim: np.ndarray) -> bool:
    """Tell a white edge or a collimator's black from air that ends at a straight flank."""
    outside, inside = _beside(strip, rim)
    brighter, white = outside > inside + _BRIGHTER, np.minimum(outside, inside) > WHITE
    return bool(
        (np.mean(brighter) >= SEEN and np.mean(brighter | white) >= _EVERYWHERE)
        or np.mean(outside <= _BLACK) >= _PURE
    )
