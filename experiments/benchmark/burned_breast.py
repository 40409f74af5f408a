"""Burn into a drawn mammogram what the phantoms lack, with the mask of every burned pixel.

Letters and plates that touch the breast or lie on its rim, blocks of text, scanner labels, white,
grey and black film edges on any side (the chest wall's too), frames, stripes, notches.
"""

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

Image = UInt8[np.ndarray, "height width"]
Mask = Bool[np.ndarray, "height width"]
Patch = tuple[Float32[np.ndarray, "_ _"], Float32[np.ndarray, "_ _"]]  # brightness, coverage

WORDS = ("LMLO", "RCC", "LCC", "RMLO", "R", "L", "AX", "JS", "MK", "R ML", "L-CC", "RT", "7")
FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX)
STYLES = ("plain", "box", "plate", "grey plate")
LINES = (
    "ST MARY HOSPITAL",
    "1994-03-17 10:42",
    "28 KV  63 MAS",
    "ID 0412-77",
    "FOCUS 0.3  MO/RH",
    "52Y F",
)


def letters(rng: np.random.Generator, side: int) -> Patch:
    """A marker's word, plain, in a box or on a plate; at times turned a little, as lead letters."""
    word, style = rng.choice(WORDS), rng.choice(STYLES)
    pixels = rng.uniform(0.025, 0.055) * side  # height of a letter
    font = int(rng.choice(FONTS))
    thickness = max(1, round(0.16 * pixels))
    (wide, high), below = cv2.getTextSize(str(word), font, pixels / 22, thickness)
    pad = max(2, round(0.5 * pixels))
    ink = np.zeros((high + below + 2 * pad, wide + 2 * pad), np.uint8)
    cv2.putText(ink, str(word), (pad, pad + high), font, pixels / 22, 255, thickness, cv2.LINE_AA)
    ink = ink.astype(np.float32) / 255
    white = rng.uniform(0.85, 1.0)
    if style.endswith("plate"):
        plate = rng.uniform(0.5, 0.75) if style == "grey plate" else white
        brightness, cover = plate * (1 - ink) + rng.uniform(0, 0.2) * ink, np.ones_like(ink)
    else:
        brightness, cover = np.full_like(ink, white), ink
        if style == "box":
            rim = np.ones_like(ink)
            rim[thickness:-thickness, thickness:-thickness] = 0
            cover = np.maximum(ink, rim)
    return _turned(brightness, cover, rng.uniform(-12, 12) * (rng.random() < 0.5))


def _turned(brightness: np.ndarray, cover: np.ndarray, degrees: float) -> Patch:
    wide = cover.shape[1]
    room = round(0.12 * wide) + 2
    brightness = cv2.copyMakeBorder(brightness, room, room, 2, 2, cv2.BORDER_REPLICATE)
    cover = cv2.copyMakeBorder(cover, room, room, 2, 2, cv2.BORDER_CONSTANT, value=0)
    centre = ((cover.shape[1] - 1) / 2, (cover.shape[0] - 1) / 2)
    turn = cv2.getRotationMatrix2D(centre, degrees, 1)
    size = cover.shape[::-1]
    return (
        cv2.warpAffine(brightness, turn, size, borderMode=cv2.BORDER_REPLICATE),
        cv2.warpAffine(cover, turn, size),
    )


def text_block(rng: np.random.Generator, side: int) -> Patch:
    """Some lines of small print."""
    pixels = rng.uniform(0.012, 0.02) * side
    pitch = round(1.9 * pixels)
    count = rng.integers(2, len(LINES) + 1)
    ink = np.zeros((pitch * count + 4, round(14 * pixels) + 4), np.uint8)
    for n, line in enumerate(rng.permutation(LINES)[:count]):
        base = (2, pitch * (n + 1) - 2)
        cv2.putText(ink, str(line), base, FONTS[0], pixels / 22, 255, 1, cv2.LINE_AA)
    ink = ink.astype(np.float32) / 255
    return np.full_like(ink, rng.uniform(0.7, 1.0)), ink


def scanner_label(rng: np.random.Generator, side: int) -> Patch:
    """A bright sticker with print and a bar code."""
    high, wide = (
        round(share * side) for share in (rng.uniform(0.05, 0.09), rng.uniform(0.14, 0.25))
    )
    paper = np.full((high, wide), round(255 * rng.uniform(0.6, 1.0)), np.uint8)
    bars = np.repeat(rng.random(-(-wide // 2)) < 0.45, 2)[:wide]
    bars[: wide // 10] = bars[-(wide // 10) :] = False
    paper[high // 8 : high // 2, bars] = 25
    base = (wide // 10, round(0.85 * high))
    cv2.putText(paper, "A12-40371", base, FONTS[0], high / 90, 25, 1, cv2.LINE_AA)
    if rng.random() < 0.5:
        paper = np.rot90(paper).copy()
    return paper.astype(np.float32) / 255, np.ones(paper.shape, np.float32)


def paste(image: np.ndarray, mask: Mask, patch: Patch, centre: tuple[float, float]) -> None:
    """Burn a patch in around (row, column), the parts off the film left out."""
    brightness, cover = patch
    top, left = (round(c - s / 2) for c, s in zip(centre, cover.shape, strict=True))
    rows, columns = (
        slice(max(0, start), max(0, min(stop, start + size)))
        for start, stop, size in zip((top, left), image.shape, cover.shape, strict=True)
    )
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    part = np.s_[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    view = image[rows, columns]
    view += cover[part] * (brightness[part] - view)
    mask[rows, columns] |= cover[part] > 0.1


def edge(rng: np.random.Generator, image: np.ndarray, mask: Mask, side: int) -> None:
    """A white, grey or black band along one side, its inner rim straight and hardly tilted."""
    film, burned = np.rot90(image, side), np.rot90(mask, side)  # views
    depth = rng.choice([rng.uniform(0.01, 0.05), rng.uniform(0.05, 0.14)]) * len(film)
    tilt = rng.uniform(-0.012, 0.012)
    column = np.arange(film.shape[1]) - film.shape[1] / 2
    inside = np.arange(len(film))[:, None] < depth + tilt * column
    shade = rng.choice([rng.uniform(0.93, 1.0), rng.uniform(0.35, 0.7), 0.0], p=[0.6, 0.2, 0.2])
    film[inside] = shade
    burned[inside] = True


def frame(rng: np.random.Generator, image: np.ndarray, mask: Mask) -> None:
    """A bright frame with rounded corners, as of a scanner's film holder."""
    inner = np.zeros(image.shape, np.uint8)
    margin = max(2, round(rng.uniform(0.01, 0.04) * min(image.shape)))
    radius = round(rng.uniform(1, 3) * margin)
    cv2.rectangle(
        inner,
        (margin + radius, margin + radius),
        (image.shape[1] - 1 - margin - radius, image.shape[0] - 1 - margin - radius),
        1,
        -1,
    )
    inner = cv2.dilate(inner, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2))
    image[inner == 0] = rng.uniform(0.85, 1.0)
    mask |= inner == 0


def stripe(rng: np.random.Generator, image: np.ndarray, mask: Mask, away: int) -> None:
    """A bright line from top to bottom in the half of the film on the nipple's side."""
    width = max(1, round(rng.uniform(0.003, 0.02) * image.shape[1]))
    start = round(rng.uniform(0.0, 0.15) * image.shape[1])
    columns = (
        slice(start, start + width) if away < 0 else slice(-start - width, image.shape[1] - start)
    )
    image[:, columns] = rng.uniform(0.5, 1.0)
    mask[:, columns] = True


def notch(rng: np.random.Generator, image: np.ndarray, mask: Mask) -> None:
    """A half disc cut out of the film's upper or lower side, through which the lamp shines."""
    centre = (
        round(rng.uniform(0.1, 0.9) * image.shape[1]),
        0 if rng.random() < 0.5 else image.shape[0] - 1,
    )
    disc = np.zeros(image.shape, np.uint8)
    cv2.circle(disc, centre, max(2, round(rng.uniform(0.01, 0.025) * max(image.shape))), 1, -1)
    image[disc > 0] = rng.uniform(0.9, 1.0)
    mask |= disc > 0


def burn(rng: np.random.Generator, image: Image, breast: Mask) -> tuple[Image, Mask]:
    """Burn two to four sorts of artefacts into a film.

    Args:
      rng: draws them.
      image: uint8.
      breast: where it is; half of the letters are set on its rim.

    Returns:
      The film, and the mask of what was burned in.
    """
    film, mask = image.astype(np.float32) / 255, np.zeros(image.shape, bool)
    side = max(image.shape)
    away = 1 if breast[:, : breast.shape[1] // 2].sum() > breast.sum() / 2 else -1
    rim = np.argwhere(breast ^ (cv2.erode(breast.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0))
    inner = np.all((rim > 0.06 * side) & (rim < np.array(image.shape) - 0.06 * side), axis=1)
    rim = rim[inner] if inner.any() else rim

    def anywhere(size: tuple[int, int]) -> tuple[float, float]:
        """A place off the breast on the nipple's side, near the upper or lower end."""
        row = rng.uniform(0.03, 0.22) if rng.random() < 0.5 else rng.uniform(0.78, 0.97)
        from_side = size[1] / 2 + rng.uniform(0.0, 0.12) * image.shape[1]
        return row * image.shape[0], image.shape[1] - from_side if away > 0 else from_side

    def on_rim() -> None:
        patch = letters(rng, side)
        paste(film, mask, patch, tuple(rim[rng.integers(len(rim))]))

    def beside(draw: Callable) -> Callable[[], None]:
        def put() -> None:
            patch = draw(rng, side)
            paste(film, mask, patch, anywhere(patch[1].shape))

        return put

    sorts = (
        on_rim,
        on_rim,
        beside(letters),
        beside(text_block),
        beside(scanner_label),
        lambda: edge(rng, film, mask, int(rng.integers(4))),
        lambda: edge(rng, film, mask, 1 if away < 0 else 3),  # the chest wall's side
        lambda: frame(rng, film, mask),
        lambda: stripe(rng, film, mask, away),
        lambda: notch(rng, film, mask),
    )
    for sort in rng.choice(len(sorts), rng.integers(2, 5), replace=False):
        sorts[sort]()
    return np.round(255 * np.clip(film, 0, 1)).astype(np.uint8), mask
