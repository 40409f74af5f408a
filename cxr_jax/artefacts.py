"""Take out of a radiograph what is not the patient: markers, burned-in text, labels, borders.

Conservative. On a chest film a mark goes only if it is small, near the edge, much brighter or
darker than what surrounds it, and sharper than any anatomy; whatever lies over the thorax
(electrodes, pacemakers, lines) stays. On a mammogram everything outside of the breast goes.

All is measured on a copy of at most 512 pixels a side, in fractions of its side and of its grey
range, so the same rules hold for every size and depth, before CLAHE and after it.
"""

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from cxr_jax.host_image import HostImage, check_image

FRAME = (0.16, 0.16, 0.16, 0.16)
"""Where marks lie on a whole film: this near to its left, right, top, bottom edge (fractions)."""

_SIDE = 512  # pixels of the longer side while looking
_MARK = 0.20  # its longest side (fraction of the side)
_STROKE = 0.06  # its widest stroke or disc (fraction of the side)
_CONTRAST = 0.30  # against its surroundings (fraction of the grey range)
_SHARPNESS = 0.14  # gradient at its rim (fraction of the grey range a pixel; bones stay below 0.10)
_BORDER = 0.05  # a deeper border is collimation, and stays (fraction of the side)
_FLAT = 0.03  # a border is within this of black or white (fraction of the grey range)
_WHITE = 0.6  # beside a white border, what is darker is breast (fraction of the grey range)


def remove_artefacts(
    image: HostImage,
    *,
    kind: str = "chest",
    frame: tuple[float, float, float, float] = FRAME,
) -> HostImage:
    """Replace what is not the patient by its local background.

    Args:
      image: uint8 or uint16, any size.
      kind: "chest" fills sharp marks near the edge (letters, text, arrows, discs; white or black)
        from what surrounds them, and straight black or white borders up to 5 % deep from the
        film beside them; "breast" keeps the largest bright region and sets everything outside
        of it to the background, straight white borders that cut into it included.
      frame: chest only: marks have their centre this near to the left, right, top, bottom edge;
        fractions of this image's sides. Smaller where the film was cropped: the thorax is nearer.

    Returns:
      A new image of the same shape and dtype; equal to `image` where nothing was found.

    Raises:
      ValueError: kind is another word, or image is no HostImage.
    """
    check_image(image)
    small = _normalised(image)
    if kind == "chest":
        image = _inpaint(image, _enlarged(_marks(small, frame), image.shape))
        return _extend(image, _enlarged(_borders(small), image.shape))
    if kind == "breast":
        outside = _enlarged(_outside_breast(small), image.shape)
        return np.where(outside, _background(image, outside), image)
    raise ValueError(f"kind must be chest or breast, got {kind!r}")


def breast_region(image: HostImage) -> Bool[np.ndarray, "height width"]:
    """Find the breast on a mammogram: the largest bright region, everywhere where none stands out.

    Args:
      image: uint8 or uint16, any size.

    Returns:
      True inside; of the image's proportions, its longer side at most 512.

    Raises:
      ValueError: image is no HostImage.
    """
    check_image(image)
    return ~_outside_breast(_normalised(image))


def _normalised(image: np.ndarray) -> Float32[np.ndarray, "height width"]:
    """A small copy, stretched to [0, 1]."""
    height, width = image.shape
    scale = min(1.0, _SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    return (small - small.min()) / max(np.ptp(small), np.float32(1))


def _enlarged(mask: np.ndarray, shape: tuple[int, ...]) -> Bool[np.ndarray, "height width"]:
    size = (shape[1], shape[0])
    return cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0


def _marks(
    small: Float32[np.ndarray, "height width"], frame: tuple[float, ...]
) -> Bool[np.ndarray, "height width"]:
    """Where sharp, small, isolated things are, white or black, near the edge."""
    found = np.zeros(small.shape, np.uint8)
    gradient = np.hypot(
        cv2.Sobel(small, cv2.CV_32F, 1, 0, scale=1 / 8),
        cv2.Sobel(small, cv2.CV_32F, 0, 1, scale=1 / 8),
    )
    margin = int(_STROKE * max(small.shape)) | 1
    framed = cv2.copyMakeBorder(small, margin, margin, margin, margin, cv2.BORDER_REFLECT)
    for hat in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT):
        height = cv2.morphologyEx(framed, hat, _square(margin))[margin:-margin, margin:-margin]
        sharpness = _SHARPNESS
        if hat == cv2.MORPH_BLACKHAT:
            # Coarse pixels make a black lung apex between its bones look as sharp as a mark.
            sharpness *= _SIDE / max(small.shape)
        # A mark that touches a bone may stand alone only at the higher threshold.
        for threshold in (0.25, 0.40):
            core = (height > threshold).astype(np.uint8)
            _add_marks(found, core, frame, small, gradient, sharpness)
    return found > 0


def _add_marks(
    found: np.ndarray,
    core: np.ndarray,
    frame: tuple[float, ...],
    small: np.ndarray,
    gradient: np.ndarray,
    sharpness: float,
) -> None:
    """Add to `found` the hulls of those components of `core` that pass every rule."""
    rows, columns = small.shape
    side = max(rows, columns)
    joined = cv2.dilate(core, _square(3))
    _, labels, stats, centres = cv2.connectedComponentsWithStats(joined, ltype=cv2.CV_16U)
    x, y = (centres / (columns, rows)).T
    passes = np.max(stats[:, 2:4], axis=1) <= _MARK * side
    passes &= np.any(np.stack([x, 1 - x, y, 1 - y], axis=1) <= frame, axis=1)
    passes[0] = False  # the background
    around = cv2.dilate(labels, _square(9))
    near = cv2.dilate(joined, _square(3))
    rim = cv2.morphologyEx(core, cv2.MORPH_GRADIENT, _square(3)) & joined
    at = np.flatnonzero(around)
    label, value, slope = around.ravel()[at], small.ravel()[at], gradient.ravel()[at]
    inside, rim, ring = core.ravel()[at] > 0, rim.ravel()[at] > 0, near.ravel()[at] == 0
    count = len(stats)
    contrast = _means(value[inside], label[inside], count) - _means(value[ring], label[ring], count)
    passes &= np.abs(contrast) >= _CONTRAST
    passes &= _means(slope[rim], label[rim], count) >= sharpness
    for label in np.flatnonzero(passes):
        left, top, width, height = stats[label, :4]
        points = cv2.findNonZero(
            (labels[top : top + height, left : left + width] == label).astype(np.uint8)
        )
        hull = np.zeros_like(found)
        cv2.fillConvexPoly(hull, cv2.convexHull(points) + np.array([left, top], np.int32), 1)
        found |= cv2.dilate(hull, _square(5))


def _means(values: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """Mean of the values of each label, 0 where it has none."""
    total = np.bincount(labels, weights=values, minlength=count)
    return total / np.maximum(np.bincount(labels, minlength=count), 1)


def _borders(
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


def _outside_breast(small: Float32[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """Everything but the largest bright region; only white borders where none stands out."""
    # They may touch the breast, and would be part of it.
    borders = _borders(small, black=False) & (small > _WHITE)
    smooth = cv2.GaussianBlur((small * 255).astype(np.uint8), (0, 0), 2)
    otsu, _ = cv2.threshold(smooth[~borders], 0, 255, cv2.THRESH_OTSU)
    dark = float(np.median(smooth[smooth <= otsu]))
    # Well below Otsu's threshold, because the skin and the fat under it are nearly black.
    bright = ((smooth > dark + 0.25 * (otsu - dark)) & ~borders).astype(np.uint8)
    bright = cv2.morphologyEx(bright, cv2.MORPH_OPEN, _square(15))  # cuts labels off that touch
    count, labels, stats, _ = cv2.connectedComponentsWithStats(bright)
    if count < 2:
        return borders
    breast = labels == 1 + np.argmax(stats[1:, cv2.CC_STAT_AREA])
    if breast.mean() < 0.05:
        return borders
    return (cv2.dilate(breast.astype(np.uint8), _square(9)) == 0) | borders


def _background(image: np.ndarray, outside: np.ndarray) -> np.integer:
    """The usual grey outside; labels are the exception there."""
    return image.dtype.type(np.median(image[outside])) if outside.any() else image.dtype.type(0)


def _inpaint(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Fill the mask smoothly from its rim."""
    return cv2.inpaint(image, mask.astype(np.uint8), 3, cv2.INPAINT_NS)


def _extend(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Give every masked pixel the value of the nearest pixel that is not."""
    if not mask.any() or mask.all():
        return image
    _, label = cv2.distanceTransformWithLabels(
        mask.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    value = np.zeros(label.max() + 1, image.dtype)
    value[label[~mask]] = image[~mask]
    return value[label]


def _square(side: int) -> np.ndarray:
    return np.ones((side, side), np.uint8)
