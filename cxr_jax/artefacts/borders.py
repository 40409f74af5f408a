"""Straight bands along a film's sides: its white edges, the black of a collimator."""

import numpy as np
from jaxtyping import Bool, Float32

_BORDER = 0.05  # a deeper border is collimation, and stays (fraction of the side)
_FLAT = 0.03  # a border is within this of black or white (fraction of the grey range)


def find_borders(
    small: Float32[np.ndarray, "height width"], *, black: bool = True
) -> Bool[np.ndarray, "height width"]:
    """Where a white (or black) band with a straight inner edge runs along a side."""
    found = np.zeros(small.shape, bool)
    for turn in range(4):
        film, border = np.rot90(small, turn), np.rot90(found, turn)  # views; the side is on top
        deepest = int(_BORDER * max(film.shape))
        bands = [film[:deepest] >= 1 - _FLAT, film[:deepest] <= _FLAT]
        for band in bands[: 1 + black]:
            depth = np.cumprod(band, axis=0).sum(axis=0)
            line = _straight(depth, deepest)
            if line is None:
                continue
            outside = np.clip(line.astype(int) - 1, 0, None)
            inside = np.clip(line.astype(int) + 3, None, len(film) - 1)
            column = np.arange(film.shape[1])
            step = np.abs(film[inside, column] - film[outside, column])
            if np.median(step) >= 0.08:  # air beside a collimator's shadow is no edge
                border |= np.arange(len(film))[:, None] < line + 2
    return found


def _straight(depth: np.ndarray, deepest: int) -> np.ndarray | None:
    """The depths where 80 % lie within 3 pixels of one line, the others on it; None if it bends."""
    column = np.arange(len(depth))
    on_line = (depth > 0) & (depth < deepest)
    for _ in range(3):
        if on_line.mean() < 0.5:
            return None
        slope, start = np.polyfit(column[on_line], depth[on_line], 1)
        line = slope * column + start
        on_line = np.abs(depth - line) < 3
    if on_line.mean() < 0.8 or abs(slope) > 0.1 or line.mean() < 1:
        return None
    return np.where(on_line, np.maximum(line, depth), line)
