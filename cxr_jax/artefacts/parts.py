"""The parts of a film that stand out from their surroundings, measured, and rules for them."""

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from cxr_jax.artefacts.film import square

LONGEST = 0.25  # part (fraction of the side)
_GAP = 5  # pixels between its strokes


class Rule(NamedTuple):
    """What a mark must be, in a film of `film.SIDE` pixels."""

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
    narrow: float = np.inf  # and at most
    high: tuple[float, float] = (0.0, 1.0)  # least and most (fractions of the film's side)
    strokes: float = 0.0  # that a row of pixels crosses, at least


class Parts(NamedTuple):
    """The connected parts of a film that stand out at one level; index 0 is none."""

    labels: np.ndarray  # [height, width]
    black: bool
    near_edge: np.ndarray  # [part], as the others; by the frame
    whole: np.ndarray
    size: np.ndarray  # of its label's area
    contrast: np.ndarray
    slope: np.ndarray
    spill: np.ndarray
    unrest: np.ndarray
    area: np.ndarray
    side: np.ndarray
    density: np.ndarray
    fine: np.ndarray
    wide: np.ndarray
    high: np.ndarray
    strokes: np.ndarray

    def obey(self, rule: Rule, scale: float) -> np.ndarray:
        """Which parts are marks by that rule, on a film `scale` times `film.SIDE` large."""
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
            & (self.wide <= rule.narrow)
            & (self.high >= rule.high[0])
            & (self.high <= rule.high[1])
            & (self.strokes >= rule.strokes)
        )


def height_of(small: Float32[np.ndarray, "height width"], width: float) -> np.ndarray:
    """How much what is that narrow (fraction of the side) stands out from its surroundings."""
    margin = max(5, int(width * max(small.shape)) | 1)
    framed = cv2.copyMakeBorder(small, margin, margin, margin, margin, cv2.BORDER_REFLECT)
    hat = cv2.morphologyEx(framed, cv2.MORPH_TOPHAT, square(margin))
    return hat[margin:-margin, margin:-margin]


def gradient_of(small: np.ndarray) -> np.ndarray:
    return np.hypot(
        cv2.Sobel(small, cv2.CV_32F, 1, 0, scale=1 / 8),
        cv2.Sobel(small, cv2.CV_32F, 0, 1, scale=1 / 8),
    )


def measured(
    stands_out: Bool[np.ndarray, "height width"],
    small: np.ndarray,
    gradient: np.ndarray,
    frame: tuple[float, ...],
    *,
    black: bool = False,
    kernel: tuple[int, int] = (3, 3),
    inside: bool = False,
) -> Parts:
    """Measure the parts of `stands_out` that are small enough and near the film's edges.

    `kernel`, rows and columns, is how close what belongs together is. `inside`: a part ends a
    pixel outside of what stands out, which is not joined.
    """
    rows, columns = small.shape
    core = stands_out.astype(np.uint8)
    joined = core if inside else cv2.dilate(core, np.ones(kernel, np.uint8))
    _, labels, stats, centres = cv2.connectedComponentsWithStats(joined, ltype=cv2.CV_16U)
    if inside:
        core, labels = cv2.dilate(core, square(3)), cv2.dilate(labels, square(5))
        stats += np.array([-2, -2, 4, 4, 0], np.int32)
    x, y = (centres / (columns, rows)).T
    near_edge = np.any(np.stack([x, 1 - x, y, 1 - y], axis=1) <= frame, axis=1)
    side = stats[:, 2:4].max(axis=1) / max(rows, columns)
    area = np.bincount(labels[core > 0], minlength=len(stats))
    kept = near_edge & (side <= LONGEST)
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
    high, wide = (stats[:, 3 - axis] - (kernel[axis] - 1) for axis in (0, 1))
    starts = labels[:, 1:][core[:, 1:] > core[:, :-1]]  # of strokes
    bright = _means(value[inside], label[inside], count)
    dark = _means(value[ring], label[ring], count)
    unrest = _means(value[ring] ** 2, label[ring], count) - dark**2
    like = np.abs(value - dark[label]) > np.abs(value - bright[label])
    return Parts(
        labels=labels,
        black=black,
        near_edge=kept,
        whole=((stats[:, :2] > 0) & (stats[:, :2] + stats[:, 2:4] < (columns, rows))).all(axis=1),
        size=stats[:, 4],
        contrast=np.abs(bright - dark).astype(np.float32),
        slope=_means(gradient.ravel()[at][rim], label[rim], count),
        spill=_means(like[ring].astype(np.float32), label[ring], count),
        unrest=np.sqrt(np.maximum(unrest, 0)),
        area=area,
        side=side,
        fine=1 - np.bincount(label[thick], minlength=count) / np.maximum(area, 1),
        wide=wide / np.maximum(high, 1),
        high=high / max(rows, columns),
        strokes=np.bincount(starts, minlength=count) / np.maximum(high, 1),
        density=area / np.maximum(wide * high, 1),
    )


def _means(values: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """Mean of the values of each label, 0 where it has none."""
    total = np.bincount(labels, weights=values, minlength=count)
    return total / np.maximum(np.bincount(labels, minlength=count), 1)
