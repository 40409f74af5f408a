"""The side on which a breast lies: whatever its size, its view, and what else is on the film."""

import itertools

import cv2
import numpy as np
import pytest

from cxr_jax.breast_side import lies_right

SHAPE = (400, 320)  # rows, columns
SIZES = {"small": (0.22, 0.25), "middle": (0.35, 0.5), "large": (0.48, 0.88)}


def mammogram(*, size="middle", view="CC", seed=0, shape=SHAPE, background=10):
    """A breast whose chest wall is on the left: fat, gland, and on MLO the pectoral muscle."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[: shape[0], : shape[1]]
    high, wide = np.array(SIZES[size]) * shape
    centre = shape[0] * (0.5 if view == "CC" else 0.58)
    from_skin = 1 - np.hypot((row - centre) / high, column / wide)
    image = np.where(from_skin > 0, 40 + 90 * np.clip(3 * from_skin, 0, 1), background)
    gland = np.hypot((row - centre) / (0.5 * high), (column - 0.45 * wide) / (0.35 * wide)) < 1
    texture = cv2.resize(rng.normal(size=(20, 16)), shape[::-1], interpolation=cv2.INTER_CUBIC)
    image = image + gland * (50 + 20 * texture)
    if view == "MLO":
        image[row / (0.5 * shape[0]) + column / (0.5 * wide) < 1] = 190
    noisy = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1.5) + rng.normal(0, 2, shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def label(image):
    """Letters and a tag in the upper corner away from the chest wall."""
    image = cv2.putText(image.copy(), "L CC", (220, 40), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 255, 3)
    image[55:90, 240:310] = 230
    return image


def band(value, *, side, depth=0.04):
    """A strip along a side, as where the film ends."""

    def add(image):
        image = image.copy()
        height, width = image.shape
        strips = {
            "wall": np.s_[:, : int(depth * width)],
            "away": np.s_[:, width - int(depth * width) :],
            "top": np.s_[: int(depth * height)],
            "all": np.s_[:, :],
        }
        inner = image[int(0.03 * height) : -int(0.03 * height), int(0.03 * width) : -9].copy()
        image[strips[side]] = value
        if side == "all":
            image[int(0.03 * height) : -int(0.03 * height), int(0.03 * width) : -9] = inner
        return image

    return add


FILMS = {
    "plain": lambda image: image,
    "label": label,
    "label at the wall's side": lambda image: np.fliplr(label(np.fliplr(image))),
    "white edge at the wall": band(255, side="wall"),
    "black edge at the wall": band(0, side="wall"),
    "white edge away": band(255, side="away"),
    "white edge on top": band(255, side="top"),
    "white frame": band(255, side="all"),
    "label and white frame": lambda image: band(255, side="all")(label(image)),
    "grey film": lambda image: np.maximum(image, 45),
    "grey edge away": band(90, side="away"),
    "fading": lambda image: np.clip(image + np.linspace(0, 25, image.shape[1]), 0, 255).astype(
        np.uint8
    ),
}


@pytest.mark.smoke
@pytest.mark.parametrize("film", FILMS)
def test_the_side_is_told_whatever_else_is_on_the_film(film):
    wrong = []
    for size, view, seed in itertools.product(SIZES, ("CC", "MLO"), range(2)):
        image = FILMS[film](mammogram(size=size, view=view, seed=seed))
        if lies_right(image) or not lies_right(np.fliplr(image)):
            wrong.append((size, view, seed))
    assert not wrong
