"""Burn into a drawn chest film what real films bear: words, plates, labels, discs, edges, bands.

All is drawn with OpenCV at 1024 pixels a side and shrunk to the film, so that a film is the same
at every size.
"""

import cv2
import numpy as np

_SIDE = 1024
_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX)
_WORDS = ("PORTABLE", "SUPINE", "AP", "ERECT", "L", "R", "PA", "12:45", "SEMI-UPRIGHT", "LAT")
_LABELS = ("HOSPITAL 3 CR-1", "ID 0000000", "25.11.2026 08:15", "kV 120 mAs 2.5")
_VISIBLE = 0.1  # coverage; a pixel with less of an artefact is the film's
_SEEN = 25  # grey levels; an artefact that changes less cannot be seen


def burn(rng: np.random.Generator, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw one to three marks and, on two films of three, edges or a band.

    Args:
      rng: draws which, where and how bright.
      image: uint8 [height, width].

    Returns:
      The burned film; where something is drawn; where one can see it.
    """
    burned, mask = image.copy(), np.zeros(image.shape, bool)
    sides = rng.permutation(_SIDES)[: rng.random() < 2 / 3]
    marks = rng.permutation(_MARKS)[: rng.integers(1, 4)]
    for draw in (*sides, *marks):
        for value, coverage in draw(rng):
            shrunk = cv2.resize(coverage, image.shape[::-1], interpolation=cv2.INTER_AREA) / 255.0
            burned = np.round(burned * (1 - shrunk) + value * shrunk).astype(np.uint8)
            mask |= shrunk > _VISIBLE
    return burned, mask, mask & (np.abs(burned.astype(int) - image) >= _SEEN)


Layers = list[tuple[int, np.ndarray]]
"""Grey level and coverage (0 to 255) of what is drawn, in order."""


def _blank() -> np.ndarray:
    return np.zeros((_SIDE, _SIDE), np.uint8)


def _place(rng: np.random.Generator, width: int, height: int) -> tuple[int, int]:
    """The top left corner of what is that large, beside one of the film's edges, off the lungs."""
    depth = int(rng.uniform(0.02, 0.10) * _SIDE)
    along = rng.uniform(0.03, 0.97)
    x, y = int(along * (_SIDE - width)), int(along * (_SIDE - height))
    if rng.random() < 0.6:  # in an upper corner, over the shoulder or above it, or a lower one
        x = depth if rng.random() < 0.5 else _SIDE - width - depth
        y = int(rng.uniform(0.02, 0.16) * _SIDE)
        return x, y if rng.random() < 0.7 else _SIDE - height - y
    at_side = height > width or max(width, height) < 0.1 * _SIDE
    if at_side and rng.random() < 0.5:  # over the upper arm or the flank
        return (min(depth, 40) if rng.random() < 0.5 else _SIDE - width - min(depth, 40)), y
    return x, (min(depth, 40) if rng.random() < 0.7 else _SIDE - height - min(depth, 40))


def _text(canvas: np.ndarray, text: str, at: tuple[int, int], font: int, scale: float) -> None:
    thickness = max(1, round(2.2 * scale))
    cv2.putText(canvas, text, at, font, scale, 255, thickness, cv2.LINE_AA)


def _word(rng: np.random.Generator) -> Layers:
    """A word in the film's white, alone, in a box or with an outline; sometimes black."""
    text, font = str(rng.choice(_WORDS)), int(rng.choice(_FONTS))
    scale = rng.uniform(0.7, 1.2) if len(text) > 2 else rng.uniform(1.0, 2.0)
    (width, height), _ = cv2.getTextSize(text, font, scale, max(1, round(2.2 * scale)))
    pad = 12
    x, y = _place(rng, width + 2 * pad, height + 2 * pad)
    letters, box = _blank(), _blank()
    _text(letters, text, (x + pad, y + pad + height), font, scale)
    corners = (x, y), (x + width + 2 * pad, y + height + 2 * pad)
    style = rng.choice(["bare", "boxed", "white plate", "black plate"], p=[0.5, 0.2, 0.15, 0.15])
    white, black = int(rng.integers(235, 256)), int(rng.integers(0, 6))
    if style == "bare":
        return [(white, letters)]
    cv2.rectangle(box, *corners, 255, 3 if style == "boxed" else -1)
    if style == "boxed":
        return [(white, np.maximum(letters, box))]
    return (
        [(white, box), (black, letters)] if "white" in style else [(black, box), (white, letters)]
    )


def _label(rng: np.random.Generator) -> Layers:
    """Two to four lines of small print in a corner."""
    letters = _blank()
    lines = rng.choice(_LABELS, rng.integers(2, 5), replace=False)
    x, y = 15, 40
    if rng.random() < 0.5:
        x = _SIDE - 230
    if rng.random() < 0.5:
        y = _SIDE - 30 * len(lines)
    for n, line in enumerate(lines):
        _text(letters, str(line), (x, y + 28 * n), cv2.FONT_HERSHEY_SIMPLEX, 0.65)
    return [(int(rng.integers(235, 256)), letters)]


def _arrow(rng: np.random.Generator) -> Layers:
    x, y = _place(rng, 30, 60)
    canvas = _blank()
    outline = np.array([[0, 25], [15, 0], [30, 25], [21, 25], [21, 60], [9, 60], [9, 25]])
    cv2.fillPoly(canvas, [np.add(outline, [x, y])], 255, cv2.LINE_AA)
    return [(int(rng.integers(240, 256)), canvas)]


def _disc(rng: np.random.Generator) -> Layers:
    """A lead disc, or a black one that bears a white letter."""
    radius = int(rng.integers(20, 31))
    x, y = _place(rng, 2 * radius, 2 * radius)
    disc, letter = _blank(), _blank()
    cv2.circle(disc, (x + radius, y + radius), radius, 255, -1, cv2.LINE_AA)
    if rng.random() < 0.5:
        return [(int(rng.integers(225, 256)), disc)]
    at = (x + radius - 9, y + radius + 10)
    _text(letter, str(rng.choice(["L", "R"])), at, cv2.FONT_HERSHEY_SIMPLEX, 0.9)
    return [(0, disc), (255, letter)]


def _edges(rng: np.random.Generator, value: int, deepest: float) -> Layers:
    """Bands along one to three sides, a little askew."""
    canvas = _blank()
    for side in rng.choice(4, rng.integers(1, 4), replace=False):
        depth = rng.uniform(0.01, deepest) * _SIDE
        askew = rng.uniform(-0.03, 0.03) * min(_SIDE, 8 * depth)
        band = np.array([[0, 0], [_SIDE, 0], [_SIDE, depth + askew], [0, depth - askew]])
        view = np.rot90(canvas, side).copy()
        cv2.fillPoly(view, [np.round(band).astype(int)], 255, cv2.LINE_AA)
        canvas = np.rot90(view, -side).copy()
    return [(value, canvas)]


def _white_edges(rng: np.random.Generator) -> Layers:
    return _edges(rng, int(rng.integers(248, 256)), 0.04)


def _black_edges(rng: np.random.Generator) -> Layers:
    return _edges(rng, int(rng.integers(0, 4)), 0.2)


def _band(rng: np.random.Generator) -> Layers:
    """A bright strip from side to side, near the top or the bottom."""
    canvas = _blank()
    y, thickness = rng.uniform(0.01, 0.06) * _SIDE, rng.uniform(0.01, 0.03) * _SIDE
    askew = rng.uniform(-0.01, 0.01) * _SIDE
    strip = np.array([[0, y - askew], [_SIDE, y + askew], [_SIDE, y + askew], [0, y - askew]])
    strip[2:, 1] += thickness
    cv2.fillPoly(canvas, [np.round(strip).astype(int)], 255, cv2.LINE_AA)
    return [(int(rng.integers(248, 256)), canvas if rng.random() < 0.5 else np.flipud(canvas))]


_SIDES = (_white_edges, _black_edges, _band)
_MARKS = (_word, _label, _arrow, _disc)
