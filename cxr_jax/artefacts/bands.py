"""Bands along a mammogram's sides: film edges, collimator borders, frames, stripes of light.

White, grey or black, they are even along their side and end in a sharp straight line beside it,
which is sought as in a Hough transform: the pieces of a side vote for its depth and slope.
"""

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32

_DEEPEST = 0.25  # fraction of the side
_PIECES = 32  # of a side; the film is averaged along each
_SLOPES = np.linspace(-0.04, 0.04, 17)
_STEP = 0.06  # at a band's rim (fraction of the grey range over two pixels)
_SHARP = 0.6  # of the greys' range within three pixels, share that this step is
_VOTES = 0.6  # share of the pieces that see the rim, of those in which it would be seen
_SEEN = 0.25  # and of all pieces
_CHANGES = 6  # of the step's sign along a rim
_STRAIGHT = 0.8  # pixels that a piece's rim may lie off the line
_AIR, _BLACKER = 0.15, 0.006  # air beside a black band, and how much darker that is
_WHITE = 0.9  # dense tissue beside a white band
_SAME, _SHARE = 0.08, 0.8  # this share of a band differs by less from its usual grey at that depth
_FLAT = 0.015  # or from the grey near by


def find_bands(small: Float32[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """Find the bands along all four sides, with all that lies outside of their rims."""
    found = np.zeros(small.shape, bool)
    for turn in range(4):
        film, band = np.rot90(small, turn), np.rot90(found, turn)  # views; the side is on top
        strip = np.ascontiguousarray(film[: int(_DEEPEST * len(film))])
        if min(strip.shape) >= 8:
            band |= np.arange(len(film))[:, None] < _rim(strip)
    return found


def _rim(strip: Float32[np.ndarray, "depth length"]) -> Float[np.ndarray, "length"]:
    """Where the deepest band along the upper side ends; 0 where there is none."""
    deep, length = strip.shape
    pieces = cv2.resize(strip, (_PIECES, deep), interpolation=cv2.INTER_AREA)
    step, *planes = _steps(pieces)
    at = (np.arange(_PIECES) - (_PIECES - 1) / 2) * (length / _PIECES)
    lines = np.round(np.arange(deep)[:, None, None] + _SLOPES[:, None] * at).astype(int)
    on_strip = (lines >= 0) & (lines < deep)
    index = np.clip(lines, 0, deep - 1)
    seen, white, tissue, strength = (
        (plane[index, np.arange(_PIECES)] * on_strip).mean(axis=2) for plane in planes
    )
    elected = (seen >= _VOTES) | ((white >= _SEEN) & (white >= _VOTES * (1 - tissue)))
    for depth in np.flatnonzero(elected.any(axis=1))[::-1]:
        near = slice(max(0, depth - 3), depth + 1)
        best = np.where(elected[near], strength[near], 0)
        start, slope = np.unravel_index(np.argmax(best), best.shape)
        line = _fitted(step, near.start + start + _SLOPES[slope] * at, at)
        if line is not None:
            rim = np.polyval(line, np.arange(length) - (length - 1) / 2) + 1
            if _is_even(strip, rim):
                return rim
    return np.zeros(length)


def _steps(pieces: np.ndarray) -> tuple[np.ndarray, ...]:
    """Steps to the next depth; whether a band ends there, a white one, or white tissue follows on
    white, which hides an end; how strong the steps are."""
    padded = np.pad(pieces, ((3, 3), (0, 0)), mode="edge")
    shifted = np.stack([padded[n : n + len(pieces)] for n in range(7)])  # 3 is not shifted
    step = shifted[4] - shifted[3]
    wide_step = np.maximum(np.abs(shifted[5] - shifted[3]), np.abs(shifted[4] - shifted[2]))
    outer, inner = shifted[1:3].mean(axis=0), shifted[4:6].mean(axis=0)
    blacker = (inner < _AIR) & (inner - outer > _BLACKER)
    ends = ((wide_step > _STEP) | blacker) & (wide_step > _SHARP * np.ptp(shifted, axis=0))
    ends = cv2.dilate(ends.astype(np.uint8), np.ones((3, 1), np.uint8)) > 0
    white = outer > _WHITE
    return (
        step,
        ends.astype(np.float32),
        (ends & white).astype(np.float32),
        (~ends & white & (inner > _WHITE)).astype(np.float32),
        np.minimum(np.abs(step), 4 * _STEP),
    )


def _fitted(step: np.ndarray, line: np.ndarray, at: np.ndarray) -> np.ndarray | None:
    """Fit the line to a fraction of a pixel; None where the steps bend away from it."""
    depth = np.arange(len(step))[:, None]
    near = np.where(np.abs(depth - line) <= 2.5, step, 0)
    total = np.abs(near).sum(axis=0)
    seen = total > _BLACKER
    if seen.sum() < _SEEN * len(at):
        return None
    place, at = (np.abs(near) * depth).sum(axis=0)[seen] / total[seen], at[seen]
    brighter = near.sum(axis=0)[seen] > 0
    keep = np.ones(len(at), bool)
    for _ in range(2):
        fit = np.polyfit(at[keep], place[keep], 1)
        keep = np.abs(np.polyval(fit, at) - place) < _STRAIGHT
        if keep.mean() < _VOTES or keep.sum() < _SEEN * len(line):
            return None
    # A grey band is darker than the breast and brighter than air; tissue changes more often.
    return fit if np.count_nonzero(np.diff(brighter[keep])) <= _CHANGES else None


def _is_even(strip: np.ndarray, rim: np.ndarray) -> bool:
    """Tell a band from a breast that is crossed by a line."""
    inside = np.arange(len(strip))[:, None] < rim - 1
    rows = inside.any(axis=1)
    if not rows.any():
        return True
    inside, strip = inside[rows], strip[rows]
    usual = np.nanmedian(np.where(inside, strip, np.nan), axis=1, keepdims=True)
    near = cv2.blur(strip, (strip.shape[1] // 16 | 1, 1))  # CLAHE brightens a band in places
    return any(
        np.mean(np.abs(one - other)[inside] < most) >= _SHARE
        for one, other, most in ((near, usual, _SAME), (strip, near, _FLAT))
    )
