"""Straight bands along a film's sides: its white edges, the black of a collimator.

A band that no ray reached is constant, whatever its grey, where air and body are noisy. A band that
was scanned or compressed is nearly black or white, and stands out from the film beside it.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Shaped

_DEEPEST = 0.3  # of a band (fraction of the film's other side)
_FLAT = 0.03  # of the grey range: a scanned band is within this of black or white
_JUMP = 0.008  # of the grey range: no constant band has it, though CLAHE shades bands
_LEAST = 24  # pixels of a side: a smaller film shows no band
_CROSSED = 0.25  # as much of the straight part, at most, is hidden by what lies on it
_SLOPE = 0.1  # of the edge, at most


class _Rule(NamedTuple):
    """What an edge must be."""

    straight: float  # this much of it lies on one line, the rest borders on air like the band
    step: float  # of the grey range, from the band to the film beside it
    depth: int  # pixels
    open: float = 1.0  # this much of it, at most, has no end nearby: clipped air is constant too


_SCANNED = _Rule(straight=0.6, step=0.08, depth=1)
_CONSTANT = _Rule(straight=0.42, step=0.0, depth=3, open=0.3)
_STRIP = _Rule(straight=0.5, step=0.08, depth=0)
_THIN = _Rule(straight=0.8, step=0.0, depth=2)  # constant too, but air may be by chance


def find_borders(
    image: Shaped[np.ndarray, "height width"], *, black: bool = True
) -> Bool[np.ndarray, "height width"]:
    """Where a white (or black) band with a straight inner edge runs along a side."""
    found = np.zeros(image.shape, bool)
    low, high = float(image.min()), float(image.max())
    if min(image.shape) < _LEAST:
        return found
    unit = 1 + max(image.shape) // 1000  # pixels over which an edge is soft
    for turn in range(4):
        film, border = np.rot90(image, turn), np.rot90(found, turn)  # views; the side is on top
        every = 1 + film.shape[1] // 512  # columns are many enough
        rows, column = int(_DEEPEST * len(film)) + 4 * unit, np.arange(film.shape[1])
        strip = (film[:rows, ::every].astype(np.float32) - low) / max(high - low, 1e-6)
        if not _may_have_band(strip, unit):
            continue
        # Whole rows of one value are no film, even if they are few and air is as dark.
        border[: np.argmax(np.append(np.ptp(strip, axis=1), 1) > 0)] = True
        known = border[:rows, ::every].copy()
        for band, rule in _bands(strip, black):
            band |= known
            band[:unit] = True  # the outermost pixels may be mixed with what was beside the film
            edge = _straight(np.cumprod(band, axis=0).sum(axis=0), band, strip, rule, unit)
            if edge is not None:
                edge = np.interp(column, column[::every], edge)
                border |= np.arange(len(film))[:, None] < np.round(edge) + unit
        _add_strip(border, strip, every, unit)
    return found


def _may_have_band(strip: np.ndarray, unit: int) -> bool:
    """Tell at a glance, as most sides have none."""
    outermost = strip[unit : unit + 3]
    constant = np.ptp(outermost, axis=0) <= 2 * _JUMP
    flat = (outermost <= _FLAT) | (outermost >= 1 - _FLAT)
    return bool(
        np.mean(constant | flat.any(axis=0)) > 0.3
        or np.mean((strip >= 1 - _FLAT).any(axis=0)) > 0.5
    )


def _add_strip(border: np.ndarray, strip: np.ndarray, every: int, unit: int) -> None:
    """Add a white strip with two straight edges that runs beside the side, from end to end."""
    white = strip >= 1 - _FLAT
    white &= ~border[: len(strip), ::every]
    if white.any(axis=0).mean() < _STRIP.straight:
        return
    first = np.argmax(white, axis=0)
    row = np.arange(len(strip))[:, None]
    until = row < first
    start = _straight(first, until, strip, _STRIP, unit)
    end = _straight(
        np.cumprod(white | until, axis=0).sum(axis=0),
        white | until,
        strip,
        _STRIP,
        unit,
    )
    if start is None or end is None:
        return
    column = np.arange(border.shape[1])
    start, end = (np.interp(column, column[::every], line) for line in (start, end))
    row = np.arange(len(border))[:, None]
    border |= (row >= np.round(start) - unit) & (row < np.round(end) + unit)


def _bands(strip: np.ndarray, black: bool) -> Iterator[tuple[np.ndarray, _Rule]]:
    """What may be a band, and what its edge must be then."""
    change = np.abs(np.diff(strip, axis=0, append=strip[-1:]))
    again = np.zeros(change.shape, bool)
    again[:-2] = (change[1:-1] > 0) | (change[2:] > 0)
    ends = (change > _JUMP) | ((change > 0) & again)
    constant = np.ones(strip.shape, bool)
    constant[1:] = ~ends[:-1]
    bright = strip > 0.5
    yield constant & bright, _CONSTANT
    yield constant & bright, _THIN
    yield strip >= 1 - _FLAT, _SCANNED
    if black:
        yield constant & ~bright, _CONSTANT
        yield constant & ~bright, _THIN
        yield strip <= _FLAT, _SCANNED


def _straight(
    depth: np.ndarray, band: np.ndarray, strip: np.ndarray, rule: _Rule, unit: int
) -> np.ndarray | None:
    """The band's edge in each column if it is one straight line by that rule, else None."""
    column = np.arange(len(depth))
    near = (depth > unit) & (depth < len(strip) - 4 * unit)
    if near.mean() < rule.straight:
        return None
    line = _most_common_line(column[near], depth[near], unit)
    for _ in range(2):
        near = np.abs(depth - line(column)) <= 1.5 * unit
        if near.mean() < 0.5 * rule.straight:
            return None
        line = np.polynomial.Polynomial.fit(column[near], depth[near], 1)
    edge = line(column)
    outside = np.clip(edge.astype(int) - 1, 0, len(strip) - 1)
    inside = np.clip(edge.astype(int) + 3 * unit, 0, len(strip) - 1)
    near &= np.abs(strip[inside, column] - strip[outside, column]) >= rule.step
    if near.mean() < rule.straight or edge.mean() < unit + rule.depth:
        return None
    if np.mean(depth > edge + 8 * unit) > rule.open:
        return None
    last = np.clip(np.round(edge).astype(int) - 2 * unit, 0, len(strip) - 1)
    if (
        np.mean(~band[last, column]) > _CROSSED * near.mean()
    ):  # what lies farther out on the band does not count
        return None
    return np.where(near, np.maximum(edge, depth), edge)


def _most_common_line(column: np.ndarray, depth: np.ndarray, unit: int) -> np.polynomial.Polynomial:
    """The line that most of the points lie on (a Hough transform)."""
    best, line = 0, (0.0, 0.0)
    for slope in np.arange(-_SLOPE, _SLOPE, 2 * unit / 512):
        start = np.round((depth - slope * column) / (2 * unit)).astype(int)
        votes = np.bincount(start - start.min())
        if votes.max() > best:
            best, line = votes.max(), (2.0 * unit * (np.argmax(votes) + start.min()), slope)
    return np.polynomial.Polynomial(line)
