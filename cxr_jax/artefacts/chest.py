"""What is burned into a chest film or lies on it: letters, words, boxes, plates, arrows, discs.

Whatever its grey, a mark is as bright in its middle as at its rim, and ends within a pixel or two,
where bones, vessels and skin fade over many: its rim's gradient is a third of its contrast or
more. Around it nothing is like it, so that ribs, leads and lines, which go on, are none. And it
lies near the film's edge, off the thorax.
"""

import cv2
import numpy as np
from jaxtyping import Bool

from cxr_jax.artefacts.fill import smooth
from cxr_jax.artefacts.film import SIDE, enlarged, normalised, square
from cxr_jax.artefacts.parts import LONGEST, Parts, Rule, gradient_of, height_of, measured

_STROKE = 0.06  # the widest stroke, plate or disc (fraction of the side)
_LINE = 0.018  # print is not as high (fraction of the side)
_WHITE_LEVELS, _BLACK_LEVELS, _FINE_LEVELS = (0.40, 0.25, 0.12), (0.40, 0.25), (0.25, 0.12)
_GROWTH = 1.35  # of a part's area to that of the marks in it
_LIKE = 0.8  # or of its contrast to theirs, where what is fine is measured above its ground
_BLACK = 0.01  # a box is (fraction of the grey range)
_SPECK = 5  # pixels; what is narrower is constant by chance
_STILL = 0.004  # steps of grey on a plate, at most (fraction of the grey range)
_SEEN = 0.25  # of a mark's contrast: what differs less from its surroundings is not it

_STRONG = Rule(
    contrast=0.1, slope=0.12, sharpness=0.30, spill=0.12, unrest=9.0, area=30, side=LONGEST
)
_FAINT = Rule(
    contrast=0.1,
    slope=0.05,
    sharpness=0.345,
    spill=0.04,
    unrest=0.32,
    area=45,
    side=0.10,
    whole=True,
)
_ASTRIDE = Rule(
    contrast=0.1, slope=0.14, sharpness=0.38, spill=0.32, unrest=0.75, area=80, side=0.20
)
_RING = Rule(
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
_DISC = Rule(
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
_PRINT = Rule(
    contrast=0.08,
    slope=0.0,
    sharpness=0.28,
    spill=0.05,
    unrest=0.13,
    area=15,
    side=LONGEST,
    density=0.25,
    fine=0.8,
    wide=1.5,
    high=(0.009, 0.025),
    strokes=4,
)
_THIN = _PRINT._replace(
    contrast=0.15,
    unrest=0.11,
    area=60,
    side=0.1,
    density=0.2,
    whole=True,
    fine=0.94,
    wide=0.5,
    high=(0.035, 0.08),
    strokes=0.0,
)
_CALM = Rule(
    contrast=0.12,
    slope=0.07,
    sharpness=0.42,
    spill=0.01,
    unrest=0.035,
    area=60,
    side=0.10,
    whole=True,
)
_BOLD = Rule(
    contrast=0.24,
    slope=0.0,
    sharpness=0.44,
    spill=0.02,
    unrest=0.08,
    area=100,
    side=0.09,
    whole=True,
)
_STARK = _BOLD._replace(contrast=0.3, sharpness=0.34, unrest=0.025, area=150, side=LONGEST)
_LETTER = _PRINT._replace(
    slope=0.075, sharpness=0.33, area=8, side=0.05, fine=0.7, wide=0.0, strokes=0.0
)
_WHITE = (_STRONG, _FAINT, _ASTRIDE, _RING, _DISC)
_BOX = Rule(
    contrast=0.04,
    slope=0.02,
    sharpness=0.25,
    spill=1,
    unrest=9,
    area=60,
    side=LONGEST,
    density=0.93,
)
_PLATE = _BOX._replace(contrast=0.07, area=250)
_ROUND = _BOX._replace(contrast=0.08, density=0.74, wide=0.9, narrow=1.1, side=0.1, area=250)
_BESIDE = Rule(
    contrast=0.1, slope=0.075, sharpness=0.33, spill=0.12, unrest=0.45, area=8, side=0.06
)
_REACH = 0.03  # a mark lies this near to one that it goes with (fraction of the side)


def find_marks(
    image: np.ndarray, borders: Bool[np.ndarray, "height width"], frame: tuple[float, ...]
) -> Bool[np.ndarray, "height width"]:
    """Where marks lie whose centres are that near to the film's edges, off its borders."""
    small = normalised(image)
    plates = [_constant(image, small.shape), small <= _BLACK]
    if borders.any():
        outside = enlarged(borders, small.shape)
        small, plates = smooth(small, outside), [plane & ~outside for plane in plates]
    return _refined(image, small, _marks(small, plates, frame))


def _constant(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Where the film is constant, as no film is, with what is written there."""
    change = cv2.morphologyEx(image, cv2.MORPH_GRADIENT, square(3))
    still = np.where(change <= _STILL * float(np.ptp(image)), np.uint8(255), np.uint8(0))
    flat = cv2.resize(still, shape[::-1], interpolation=cv2.INTER_AREA) // 129
    _, labels, stats, _ = cv2.connectedComponentsWithStats(1 - flat, connectivity=4)
    written = stats[:, 2:4].max(axis=1) <= LONGEST * max(shape)
    written[0] = False
    return cv2.morphologyEx(flat | written[labels], cv2.MORPH_OPEN, square(_SPECK)) > 0


def _marks(small: np.ndarray, plates: list[np.ndarray], frame: tuple[float, ...]) -> np.ndarray:
    """The contrast of the mark at each pixel, 0 where there is none."""
    gradient = gradient_of(small)
    height = height_of(small, _STROKE)
    levels = [measured(height > level, small, gradient, frame) for level in _WHITE_LEVELS]
    # What is fine is measured above its ground, which may be white on one side of a line of
    # print and dark on the other. Letters run into words, others into what they lie on.
    height = height_of(small, _LINE)
    fine = [
        measured(height > level, height, gradient, frame, kernel=(1, 3)) for level in _FINE_LEVELS
    ]
    white = np.maximum.reduce(
        [
            _chosen(levels, _WHITE),
            _chosen(fine, (_PRINT,), _LETTER, 0.0),
            _chosen(fine, (_CALM, _THIN), _THIN, _LIKE),
            # A sharp mark goes whole where half of it lies on bone; fainter, bones join it.
            _chosen(fine[:1], (_BOLD, _STARK), _THIN),
        ]
    )
    # A black plate is one only without the letters on it.
    clean = smooth(small, cv2.dilate(white, square(5)) > 0)
    gradient_of_clean = gradient_of(clean) if white.any() else gradient
    depth = height_of(-clean, _STROKE)
    levels = [
        measured(depth > level, clean, gradient_of_clean, frame, black=True)
        for level in _BLACK_LEVELS
    ]
    black = _chosen(levels, (_STRONG, _ASTRIDE))
    # A plate is constant; a black one hides what was there, and hardly stands out of dark air.
    constant, hidden = plates
    levels = [
        measured(constant, film, slopes, frame, black=True, inside=True)
        for film, slopes in ((clean, gradient_of_clean), (small, gradient))  # black, white ones
    ]
    box = measured(hidden, clean, gradient_of_clean, frame, black=True)
    boxes = (_chosen(levels, (_PLATE, _ROUND)), _chosen([box], (_BOX, _ROUND)))
    return np.maximum.reduce([white, black, *boxes])


def _chosen(
    levels: list[Parts],
    rules: tuple[Rule, ...],
    beside: Rule = _BESIDE,
    like: float = 9.0,
) -> np.ndarray:
    """The contrast of the parts that obey one of the rules, and of what goes with them."""
    shape = levels[0].labels.shape
    scale = max(shape) / SIDE
    contrast = np.zeros(shape, np.float32)

    def add(parts: Parts, chosen: np.ndarray) -> None:
        if not chosen.any():
            return
        before = contrast > 0
        label = parts.labels[before]
        known = np.bincount(label, minlength=len(chosen))
        had = np.bincount(label, contrast[before], len(chosen))
        # What has grown that much from level to level has run into something else.
        grown = parts.size > _GROWTH * known
        chosen = chosen & ((known == 0) | ~grown | (parts.contrast * known >= like * had))
        at = np.flatnonzero(chosen[parts.labels])
        new = parts.contrast[parts.labels.ravel()[at]]
        contrast.ravel()[at] = np.maximum(contrast.ravel()[at], new)

    for parts in levels:
        add(parts, np.any([parts.obey(rule, scale) for rule in rules], axis=0))
    if contrast.any():
        reach = square(2 * int(_REACH * max(shape)) + 1)
        near = cv2.dilate((contrast > 0).astype(np.uint8), reach) > 0
        for parts in levels:
            is_near = np.bincount(parts.labels[near], minlength=len(parts.area)) > 0
            add(parts, is_near & parts.obey(beside, scale))
    return contrast


def _refined(image: np.ndarray, small: np.ndarray, contrast: np.ndarray) -> np.ndarray:
    """The marks' own pixels: those that differ from what their surroundings make expect."""
    found = np.zeros(image.shape, bool)
    if not contrast.any():
        return found
    contrast = cv2.dilate(contrast, square(3))
    expected = smooth(small, contrast > 0)  # from close by: lines of print are close to each other
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
