"""Straight lines along a film's side, found as in a Hough transform.

The pieces of the side vote for a line's depth and slope where they step from grey to grey.
"""

import functools
import math
from collections.abc import Iterator

import cv2
import numpy as np
from jaxtyping import Float, Float32

PIECES = 32  # of a side; the film is averaged along each
_SLOPES = np.linspace(-0.04, 0.04, 17)
_STEP = 0.06  # at a band's rim (fraction of the grey range over two pixels)
_NOISE = 4  # medians of all steps that it is more than
_SHARP = 0.6  # of the greys' range within three pixels, share that this step is
_VOTES = 0.6  # share of the pieces that see the rim, of those in which it would be seen
SEEN = 0.25  # and of all pieces
_CHANGES = 6  # of the step's sign along a rim
STRAIGHT = 0.8  # pixels that a piece's rim may lie off the line
AIR, _BLACKER = 0.15, 0.006  # air beside a black band, and how much darker that is
WHITE = 0.9  # dense tissue beside a white band


def find_lines(
    pieces: Float32[np.ndarray, "depth piece"], at: Float[np.ndarray, "piece"], white_seen: float
) -> Iterator[Float[np.ndarray, "2"]]:
    """The straight lines that pieces of a side step at, the deepest first."""
    step, ends, white, tissue = _steps(pieces)
    rows, reach = _courses(len(pieces), float(at[1] - at[0]))
    # Most depths have too few steps within any line's reach.
    near = cv2.dilate(ends.astype(np.uint8), np.ones((2 * reach + 1, 1), np.uint8))
    depths = np.flatnonzero(near[:-1].sum(axis=1) >= SEEN * PIECES)
    courses = rows[depths], np.arange(PIECES)
    # The three counts, none above PIECES, in one sum.
    votes = (ends + (white.astype(np.uint32) << 8) + (tissue.astype(np.uint32) << 16))[courses]
    votes = votes.sum(axis=2, dtype=np.uint32)
    seen, white, tissue = ((votes >> bits & 255) / PIECES for bits in (0, 8, 16))
    elected = (seen >= _VOTES) | ((white >= white_seen) & (white >= _VOTES * (1 - tissue)))
    if not elected.any():
        return
    strength = np.zeros((len(pieces), len(_SLOPES)), np.float32)
    strength[depths] = elected * np.minimum(np.abs(step), 4 * _STEP)[courses].sum(axis=2)
    tried = set()
    for depth in depths[elected.any(axis=1)][::-1]:
        first = max(0, depth - 3)
        best = strength[first : depth + 1]
        start, slope = np.unravel_index(np.argmax(best), best.shape)
        if (first + start, slope) in tried:
            continue
        tried.add((first + start, slope))
        line = _fitted(step, first + start + _SLOPES[slope] * at, at)
        if line is not None:
            yield line


@functools.lru_cache(maxsize=32)
def _courses(deep: int, width: float) -> tuple[np.ndarray, int]:
    """The row of each line at each piece, by its depth and slope; row `deep` is off. And how far
    from its depth a line gets."""
    offset = _SLOPES[:, None] * middles(width)
    rows = np.round(np.arange(deep)[:, None, None] + offset).astype(int)
    return np.where((rows >= 0) & (rows < deep), rows, deep), math.ceil(offset.max())


def _steps(pieces: np.ndarray) -> tuple[np.ndarray, ...]:
    """Steps to the next depth; whether a band ends there, a white one, or white tissue follows on
    white, which hides an end. The last row, of zeros, is off the pieces."""
    padded = np.pad(pieces, ((3, 3), (0, 0)), mode="edge")
    shifted = np.stack([padded[n : n + len(pieces)] for n in range(7)])  # 3 is not shifted
    step = shifted[4] - shifted[3]
    wide_step = np.maximum(np.abs(shifted[5] - shifted[3]), np.abs(shifted[4] - shifted[2]))
    outer, inner = shifted[1:3].mean(axis=0), shifted[4:6].mean(axis=0)
    blacker = (inner < AIR) & (inner - outer > _BLACKER)
    noise = _NOISE * np.median(np.abs(step))
    ends = ((wide_step > max(_STEP, noise)) | blacker) & (
        wide_step > _SHARP * np.ptp(shifted, axis=0)
    )
    ends = cv2.dilate(ends.astype(np.uint8), np.ones((3, 1), np.uint8)) > 0
    white = outer > WHITE
    planes = step, ends, ends & white, ~ends & white & (inner > WHITE)
    return tuple(np.pad(plane, ((0, 1), (0, 0))) for plane in planes)


def _fitted(step: np.ndarray, line: np.ndarray, at: np.ndarray) -> np.ndarray | None:
    """Fit the line to a fraction of a pixel; None where the steps bend away from it."""
    depth = np.arange(len(step))[:, None]
    near = np.where(np.abs(depth - line) <= 2.5, step, 0)
    total = np.abs(near).sum(axis=0)
    seen = total > _BLACKER
    if seen.sum() < SEEN * len(at):
        return None
    place, at = (np.abs(near) * depth).sum(axis=0)[seen] / total[seen], at[seen]
    brighter = near.sum(axis=0)[seen] > 0
    keep = np.ones(len(at), bool)
    for _ in range(2):
        fit = np.polyfit(at[keep], place[keep], 1)
        keep = np.abs(np.polyval(fit, at) - place) < STRAIGHT
        if keep.mean() < _VOTES or keep.sum() < SEEN * len(line):
            return None
    # A grey band is darker than the breast and brighter than air; tissue changes more often.
    return fit if np.count_nonzero(np.diff(brighter[keep])) <= _CHANGES else None


def averaged(film: Float32[np.ndarray, "height width"], deep: int) -> np.ndarray:
    """The mean of each piece at each of that many depths."""
    # In two steps, because OpenCV is fast where all sizes divide.
    pieces = cv2.resize(film, (PIECES, len(film)), interpolation=cv2.INTER_AREA)
    return cv2.resize(pieces, (PIECES, deep), interpolation=cv2.INTER_AREA)


def middles(width: float) -> Float[np.ndarray, "piece"]:
    """Where the middles of pieces of that width lie, from the middle of the side."""
    return (np.arange(PIECES) - (PIECES - 1) / 2) * width
