"""Masks follow their images, and maps find their way back onto the film."""

import numpy as np
import pytest

from cxr_jax.placement import place, restore_mask
from cxr_jax.preprocess import Crop, PreprocessConfig, preprocess

SHAPES = [(200, 200), (240, 160), (150, 260), (97, 211)]
BREAST = {"kind": "breast", "mirror_right": True}
OPTIONS = [{}, {"keep_aspect": True}, BREAST, {**BREAST, "keep_aspect": True}]


def config(**changes):
    crop = Crop(left=0.06, right=0.02, top=0.1, bottom=0.04)
    return PreprocessConfig(**{"crop": crop, "image_size": 64, **changes})


def blob(shape, seed=0):
    """A smooth hill within what the crop keeps, its top at 1; the mask is where it is above 1/2."""
    generator = np.random.default_rng(seed)
    row, column = (np.arange(n) / n for n in shape)
    down, across = generator.uniform(0.35, 0.7, 2)
    deep, wide = generator.uniform(0.1, 0.2, 2)
    hill = np.exp(-np.square((row[:, None] - down) / deep) - np.square((column - across) / wide))
    return hill.astype(np.float32)


def overlap(one, other):
    return (one & other).sum() / (one | other).sum()


@pytest.mark.smoke
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_map_comes_back_to_where_it_was(options, shape, mirrored):
    made, hill = config(**options), blob(shape)
    small = place((hill * 65535).astype(np.uint16), made, mirrored=mirrored)
    back = restore_mask(np.float32(small / 65535), made, shape, mirrored=mirrored)
    assert back.shape == shape
    assert overlap(back > 0.5, hill > 0.5) > 0.97
    assert np.abs(back - hill)[15:-10, 15:-10].max() < 0.05


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_map_of_ones_covers_what_the_crop_keeps(options):
    made = config(**options)
    restored = restore_mask(np.ones((64, 64), np.float32), made, (200, 150))
    expected = np.zeros((200, 150))
    expected[20:192, 9:147] = 1
    np.testing.assert_array_equal(restored, expected)


@pytest.mark.parametrize("size", [16, 64, 500])
def test_a_map_comes_back_from_any_size(size):
    made, hill = config(image_size=size, keep_aspect=True), blob((300, 260))
    small = place((hill * 65535).astype(np.uint16), made)
    back = restore_mask(np.float32(small / 65535), made, hill.shape)
    assert overlap(back > 0.5, hill > 0.5) > (0.9 if size == 16 else 0.98)


@pytest.mark.smoke
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_placing_is_preprocessing_without_the_grey_values(options, shape, mirrored):
    made = config(**options, clahe_clip_limit=0.0, remove_artefacts=False)
    mirrored &= made.mirror_right
    image = np.zeros(shape, np.uint8)
    image[20:-20, 8 : shape[1] // 2] = 200
    image[30:60, 20:30] = 255
    image = np.fliplr(image).copy() if mirrored else image
    expected = preprocess(image, made)
    np.testing.assert_array_equal(place(image, made, mirrored=mirrored), expected)


def test_a_map_of_another_size_is_refused():
    with pytest.raises(ValueError, match="mask must be image_size x image_size, 64 x 64, got 32"):
        restore_mask(np.ones((32, 32), np.float32), config(), (200, 200))
    made = config(crop=Crop(top=0.4, bottom=0.59))
    with pytest.raises(ValueError, match="crop leaves nothing of a film of 2 x 2 pixels"):
        restore_mask(np.ones((64, 64), np.float32), made, (2, 2))
