"""Sheets of pictures: what is on them, in its true greys and proportions."""

import jax
import numpy as np
import pytest

from cxr_jax.augment import AugmentConfig, Parameters, apply
from cxr_jax.preprocess import PreprocessConfig
from cxr_jax.reporting.sheets import (
    augmentation_sheet,
    drawn_pictures,
    end_pictures,
    grid,
    preprocessing_sheet,
    stage_pictures,
)

IMAGE = np.random.default_rng(0).integers(0, 256, (32, 32, 1), dtype=np.uint8)
ALL = AugmentConfig(contrast=0.2, gamma=0.3, noise=0.05, clahe=0.5, erase=0.5)


def test_the_sheet_has_a_row_an_image_and_a_column_a_stage():
    images = [np.random.default_rng(i).integers(0, 256, (80, 64), dtype=np.uint8) for i in range(2)]
    figure = preprocessing_sheet(images, ["a", "b"], PreprocessConfig(image_size=32))
    assert len(figure.axes) == 2 * 5
    assert figure.axes[-1].get_title() == "resized, 32 x 32"
    assert [axes.get_ylabel() for axes in figure.axes[::5]] == ["a", "b"]


@pytest.mark.parametrize(
    ("picture", "white"),
    [
        (np.full((4, 6), 7, np.uint8), 255),
        (np.full((4, 6), 7, np.uint16), 65535),
        (np.full((4, 6), 0.5, np.float32), 1),
    ],
)
def test_greys_and_proportions_are_true(picture, white):
    figure = grid([("a", picture), None, ("b", picture)], across=2)
    figure.draw_without_rendering()
    first, empty, last, beyond = figure.axes
    for axes in (first, last):
        assert axes.images[0].get_clim() == (0, white)
        box = axes.get_window_extent()
        assert box.width / box.height == pytest.approx(6 / 4, rel=1e-6)
    assert not empty.images
    assert not beyond.images


def test_stages_carry_their_size():
    film = np.random.default_rng(0).integers(0, 256, (80, 64), dtype=np.uint8)
    titles = [title for title, _ in stage_pictures(film, PreprocessConfig(image_size=32))]
    assert titles[0] == "original, 64 x 80"
    assert titles[-1] == "resized, 32 x 32"


def test_each_range_is_shown_at_both_ends_or_from_nothing():
    ends = end_pictures(IMAGE, ALL)
    assert [(low and low[0], high[0]) for low, high in ends] == [
        ("rotation −6°", "rotation +6°"),
        ("shift −0.05 of height", "shift +0.05 of height"),
        ("shift −0.05 of width", "shift +0.05 of width"),
        ("shear −5.7°", "shear +5.7°"),
        ("zoom 0.9", "zoom 1.1"),
        (None, "horizontal flip"),
        ("brightness × 0.9", "brightness × 1.1"),
        ("contrast × 0.8", "contrast × 1.2"),
        ("gamma 0.7", "gamma 1.3"),
        (None, "noise of 0.05 of white"),
        ("CLAHE, clip limit 1", "CLAHE, clip limit 4"),
        (None, "0.1 of the area erased"),
    ]
    unit = jax.numpy.asarray(IMAGE, jax.numpy.float32) / 255
    expected = apply(unit, Parameters(rotation=-6.0))
    np.testing.assert_allclose(ends[0][0][1], expected[..., 0], atol=1e-5)


def test_the_first_keras_shears_by_radians():
    config = AugmentConfig(keras="2.1.2", shear=0.1, brightness=0.0)
    titles = [title for pair in end_pictures(IMAGE, config) for title, _ in filter(None, pair)]
    assert "shear +0.1 radians" in titles


def test_a_range_of_nothing_is_not_shown():
    ranges = ("rotation", "height_shift", "width_shift", "shear", "brightness", "flip")
    config = AugmentConfig(**dict.fromkeys(ranges, 0.0))
    assert [high[0] for _, high in end_pictures(IMAGE, config)] == ["zoom 1.1"]


def test_draws_are_the_keys():
    one, two = (drawn_pictures(jax.random.key(seed), IMAGE, ALL, count=2) for seed in (0, 1))
    assert [title for title, _ in one] == ["draw 1", "draw 2"]
    assert not np.array_equal(one[0][1], two[0][1])
    again = drawn_pictures(jax.random.key(0), IMAGE, ALL, count=2)
    np.testing.assert_array_equal(one[1][1], again[1][1])


def test_the_augmentation_sheet_shows_each_alone_then_eight_draws():
    figure = augmentation_sheet(jax.random.key(0), IMAGE, AugmentConfig())
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:2] == ["prepared", "rotation +6°"]
    assert titles[8:] == [f"draw {i + 1}" for i in range(8)]
