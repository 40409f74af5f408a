"""What is burned into a chest film or lies on it: letters, words, boxes, plates, arrows, discs.

Whatever its grey, a mark is as bright in its middle as at its rim, and ends within a pixel or two,
where bones, vessels and skin fade over many: its rim's gradient is a third of its contrast or
more. Around it nothing is like it, so that ribs, leads and lines, which go on, are none. And it
lies near the film's edge, off the thorax.
"""

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from cxr_jax.artefacts.fill import smooth
from cxr_jax.artefacts.film import SIDE, enlarged, normalised, square

_STROKE = 0.06  # the widest stroke, plate or disc (fraction of the side)
_LONGEST = 0.25  # word (fraction of the side)
_LEVELS = {cv2.MORPH_TOPHAT: (0.40, 0.25, 0.12), cv2.MORPH_BLACKHAT: (0.40, 0.25)}
_GROWTH = 1.35  # of a part's area to that of the marks in it
_GAP = 5  # pixels between its strokes
_BLACK = 0.01  # a box is (fraction of the grey range)
_SEEN = 0.25  # of a mark's contrast: what differs less from its surroundings is not it


class _Rule(NamedTuple):
    """What a mark must be, in a film of SIDE pixels."""

    contrast: float  # to its surroundings, at least (fraction of the grey range)
    slope: float  # of its rim, at least (fraction of the grey range a pixel)
    sharpness: float  # slope / contrast, at least
    spill: float  # of its surroundings are more like it than like their mean, at most
    unrest: float  # standard deviation of its surroundings / contrast, at most
    area: float  # pixels, at least
    side: float  # its longest, at most (fraction of the film's)
    density: float = 0.15  # of the rectangle around it, at least; leads and necklaces are sparse
    whole: bool = False  # the film's edge does not cut it
    fine: float = 0.0  # share of it that is less than three pixels wide, at least
    wide: float = 0.0  # width / height, at least


_STRONG = _Rule(
    contrast=0.1, slope=0.12, sharpness=0.30, spill=0.12, unrest=9.0, area=30, side=_LONGEST
)
_FAINT = _Rule(
    contrast=0.1,
    slope=0.05,
    sharpness=0.345,
    spill=0.04,
    unrest=0.32,
    area=45,
    side=0.10,
    whole=True,
)
_ASTRIDE = _Rule(
    contrast=0.1, slope=0.14, sharpness=0.38, spill=0.32, unrest=0.75, area=80, side=0.20
)
_RING = _Rule(
    contrast=0.3,
    slope=0.12,
    sharpness=0.30,
    spill=0.04,
    unrest=0.12,
    area=50,
    side=0.10,
    density=0.10,
    whole=True,
)
_DISC = _Rule(
    contrast=0.25,
    slope=0.10,
    sharpness=0.33,
    spill=0.18,
    unrest=0.45,
    area=200,
    side=0.10,
    density=0.70,
    whole=True,
)
_PRINT = _Rule(
    contrast=0.1,
    slope=0.1,
    sharpness=0.33,
    spill=0.37,
    unrest=0.85,
    area=150,
    side=_LONGEST,
    density=0.25,
    whole=True,
    fine=0.85,
    wide=1.8,
)
_STROKES = _PRINT._replace(sharpness=0.30, spill=0.15, unrest=0.45, wide=0.0)
_ALONE = (_PRINT, _STROKES)  # are marks whatever is known of a part: letters run into words
_WHITE = (_STRONG, _FAINT, _ASTRIDE, _RING, _DISC)
_BOX = _Rule(
    contrast=0.04,
    slope=0.02,
    sharpness=0.25,
    spill=1,
    unrest=9,
    area=60,
    side=_LONGEST,
    density=0.93,
)
_BESIDE = _Rule(
    contrast=0.1, slope=0.075, sharpness=0.33, spill=0.12, unrest=0.45, area=8, side=0.06
)
_REACH = 0.03  # a mark lies this near to one that it goes with (fraction of the side)


class _Parts(NamedTuple):
    """The connected parts of a film that stand out at one level; index 0 is none."""

    labels: np.ndarray  # [height, width]
    black: bool
    near_edge: np.ndarray  # [part], as the others; by the frame
    whole: np.ndarray
    contrast: np.ndarray
    slope: np.ndarray
    spill: np.ndarray
    unrest: np.ndarray
    area: np.ndarray
    side: np.ndarray
    density: np.ndarray
    fine: np.ndarray
    wide: np.ndarray

    def obey(self, rule: _Rule, scale: float) -> np.ndarray:
        """Which parts are marks by that rule, on a film `scale` times SIDE large."""
        slope = rule.slope / scale if self.black else rule.slope
        return (
            self.near_edge
            & (self.whole | (not rule.whole))
            & (self.contrast >= rule.contrast)
            & (self.density >= rule.density)
            & (self.slope >= slope)
            & (self.slope >= rule.sharpness * self.contrast)
            & (self.spill <= rule.spill)
            & (self.unrest <= rule.unrest * self.contrast)
            & (self.area >= rule.area * scale**2)
            & (self.side <= rule.side)
            & (self.fine >= rule.fine)
            & (self.wide >= rule.wide)
        )


def find_marks(
    image: np.ndarray, borders: Bool[np.ndarray, "height width"], frame: tuple[float, ...]
) -> Bool[np.ndarray, "height width"]:
    """Where marks lie whose centres are that near to the film's edges, off its borders."""
    small = normalised(image)
    hidden = small <= _BLACK
    if borders.any():
        outside = enlarged(borders, small.shape)
        small, hidden = smooth(small, outside), hidden & ~outside
    contrast = _marks(small, hidden, frame)
    return _refined(image, small, contrast)


def _marks(small: np.ndarray, hidden: np.ndarray, frame: tuple[float, ...]) -> np.ndarray:
    """The contrast of the mark at each pixel, 0 where there is none."""
    gradient = _gradient(small)
    white = _chosen(list(_parts(small, gradient, frame, cv2.MORPH_TOPHAT)), _WHITE)
    # A black plate is one only without the letters on it.
    clean = smooth(small, cv2.dilate(white, square(5)) > 0)
    gradient_of_clean = _gradient(clean) if white.any() else gradient
    black = _chosen(
        list(_parts(clean, gradient_of_clean, frame, cv2.MORPH_BLACKHAT)), (_STRONG, _ASTRIDE)
    )
    # A black box hides what was written there; on dark air it hardly stands out.
    box = _measured(hidden.astype(np.uint8), True, small, gradient, frame)
    boxes = _chosen([box], (_BOX,))
    return np.maximum(np.maximum(white, black), boxes)


def _chosen(levels: list[_Parts], rules: tuple[_Rule, ...]) -> np.ndarray:
    """The contrast of the parts that obey one of the rules, and of what goes with them."""
    shape = levels[0].labels.shape
    scale = max(shape) / SIDE
    contrast = np.zeros(shape, np.float32)

    def add(parts: _Parts, chosen: np.ndarray, growth: float = _GROWTH) -> None:
        if not chosen.any():
            return
        size = np.bincount(parts.labels.ravel(), minlength=len(chosen))
        known = np.bincount(parts.labels[contrast > 0], minlength=len(chosen))
        # What has grown that much from level to level has run into something else.
        chosen = chosen & ((known == 0) | (size <= growth * np.maximum(known, 1)))
        np.maximum(contrast, np.where(chosen, parts.contrast, 0)[parts.labels], out=contrast)

    for parts in levels:
        add(parts, _any(parts, rules, scale))
        if not parts.black:
            add(parts, _any(parts, _ALONE, scale), growth=np.inf)
    if contrast.any():
        reach = square(2 * int(_REACH * max(shape)) + 1)
        near = cv2.dilate((contrast > 0).astype(np.uint8), reach) > 0
        for parts in levels:
            is_near = np.bincount(parts.labels[near], minlength=len(parts.area)) > 0
            add(parts, is_near & parts.obey(_BESIDE, scale))
    return contrast


def _any(parts: _Parts, rules: tuple[_Rule, ...], scale: float) -> np.ndarray:
    return np.any([parts.obey(rule, scale) for rule in rules], axis=0)


def _parts(
    small: Float32[np.ndarray, "height width"],
    gradient: np.ndarray,
    frame: tuple[float, ...],
    hat: int,
) -> Iterator[_Parts]:
    """What stands out from its surroundings, level by level."""
    margin = int(_STROKE * max(small.shape)) | 1
    framed = cv2.copyMakeBorder(small, margin, margin, margin, margin, cv2.BORDER_REFLECT)
    height = cv2.morphologyEx(framed, hat, square(margin))[margin:-margin, margin:-margin]
    for level in _LEVELS[hat]:
        core = (height > level).astype(np.uint8)
        yield _measured(core, hat == cv2.MORPH_BLACKHAT, small, gradient, frame)


def _gradient(small: np.ndarray) -> np.ndarray:
    return np.hypot(
        cv2.Sobel(small, cv2.CV_32F, 1, 0, scale=1 / 8),
        cv2.Sobel(small, cv2.CV_32F, 0, 1, scale=1 / 8),
    )


def _measured(
    core: np.ndarray,
    black: bool,
    small: np.ndarray,
    gradient: np.ndarray,
    frame: tuple[float, ...],
) -> _Parts:
    """Measure the parts of `core` that are small enough and near the film's edges."""
    rows, columns = small.shape
    joined = cv2.dilate(core, square(3))
    _, labels, stats, centres = cv2.connectedComponentsWithStats(joined, ltype=cv2.CV_16U)
    x, y = (centres / (columns, rows)).T
    near_edge = np.any(np.stack([x, 1 - x, y, 1 - y], axis=1) <= frame, axis=1)
    side = stats[:, 2:4].max(axis=1) / max(rows, columns)
    kept = near_edge & (side <= _LONGEST)
    kept[0] = False
    labels = np.where(kept, np.arange(len(kept)), 0).astype(np.uint16)[labels]
    joined = (labels > 0).astype(np.uint8)
    around = cv2.dilate(labels, square(9))
    at = np.flatnonzero(around)
    label, value = around.ravel()[at], small.ravel()[at]
    inside = (core & joined).ravel()[at] > 0
    # What is between the strokes of a letter and the letters of a word does not surround it.
    close = cv2.morphologyEx(joined, cv2.MORPH_CLOSE, square(_GAP))
    ring = cv2.dilate(close, square(3)).ravel()[at] == 0
    thick = (cv2.erode(core, square(3)) & joined).ravel()[at] > 0
    rim = (cv2.morphologyEx(core, cv2.MORPH_GRADIENT, square(3)) & joined).ravel()[at] > 0
    count = len(stats)
    bright = _means(value[inside], label[inside], count)
    dark = _means(value[ring], label[ring], count)
    unrest = _means(value[ring] ** 2, label[ring], count) - dark**2
    like = np.abs(value - dark[label]) > np.abs(value - bright[label])
    area = np.bincount(label[inside], minlength=count)
    return _Parts(
        labels=labels,
        black=black,
        near_edge=kept,
        whole=((stats[:, :2] > 0) & (stats[:, :2] + stats[:, 2:4] < (columns, rows))).all(axis=1),
        contrast=np.abs(bright - dark).astype(np.float32),
        slope=_means(gradient.ravel()[at][rim], label[rim], count),
        spill=_means(like[ring].astype(np.float32), label[ring], count),
        unrest=np.sqrt(np.maximum(unrest, 0)),
        area=area,
        side=side,
        fine=1 - np.bincount(label[thick], minlength=count) / np.maximum(area, 1),
        wide=(stats[:, 2] - 2) / np.maximum(stats[:, 3] - 2, 1),
        density=area / np.maximum((stats[:, 2] - 2) * (stats[:, 3] - 2), 1),
    )


def _refined(image: np.ndarray, small: np.ndarray, contrast: np.ndarray) -> np.ndarray:
    """The marks' own pixels: those that differ from what their surroundings make expect."""
    found = np.zeros(image.shape, bool)
    if not contrast.any():
        return found
    # Around small print it takes some pixels until a shrunk film is as dark as without.
    expected = smooth(small, cv2.dilate(contrast, square(9)) > 0)
    contrast = cv2.dilate(contrast, square(3))
    region = (contrast > 0).astype(np.uint8)
    scale = np.array(image.shape) / small.shape
    low, high = float(image.min()), float(image.max())
    _, _, stats, _ = cv2.connectedComponentsWithStats(region)
    for left, top, width, height, _ in stats[1:]:
        y = slice(*np.round(scale[0] * np.array([top, top + height])).astype(int))
        x = slice(*np.round(scale[1] * np.array([left, left + width])).astype(int))
        here = (slice(top, top + height), slice(left, left + width))
        size = (x.stop - x.start, y.stop - y.start)
        film = (image[y, x].astype(np.float32) - low) / (high - low)
        differs = np.abs(film - cv2.resize(expected[here], size))
        seen = cv2.resize(_SEEN * contrast[here], size, interpolation=cv2.INTER_NEAREST)
        mark = ((differs > seen) & (seen > 0)).astype(np.uint8)
        soft = 2 * (1 + max(image.shape) // 1000) + 1
        found[y, x] |= cv2.dilate(mark, square(soft)) > 0
    return found


def _means(values: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """Mean of the values of each label, 0 where it has none."""
    total = np.bincount(labels, weights=values, minlength=count)
    return total / np.maximum(np.bincount(labels, minlength=count), 1)
