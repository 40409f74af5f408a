import inspect

import cv2
import numpy as np
import pytest

from cxr_jax.artefacts import fill, fill_artefacts, find_artefacts

RAMP = np.tile(np.linspace(40, 200, 160).round().astype(np.uint8), (120, 1))


def box(shape, rows, columns):
    mask = np.zeros(shape, bool)
    mask[slice(*rows), slice(*columns)] = True
    return mask


@pytest.mark.parametrize("function", [fill.flat, fill.inpaint, fill.smooth, fill.around_breast])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_only_the_mask_is_filled(function, dtype):
    image = RAMP.astype(dtype)
    mask = box(image.shape, (30, 60), (40, 90))
    filled = function(image, mask)
    assert filled.dtype == dtype
    np.testing.assert_array_equal(filled[~mask], image[~mask])
    empty = np.zeros_like(mask)
    np.testing.assert_array_equal(function(image, empty), image)
    assert not np.shares_memory(function(image, empty), image)


def test_a_smooth_fill_follows_its_surroundings_and_stays_within_them():
    mask = box(RAMP.shape, (30, 60), (60, 90))
    burned = np.where(mask, np.uint8(255), RAMP)
    filled = fill.smooth(burned, mask)
    assert np.abs(filled.astype(int) - RAMP).max() < 16
    rim = RAMP[cv2.dilate(mask.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0]
    assert RAMP.min() <= filled[mask].min()
    assert filled[mask].max() <= max(rim.max(), RAMP.max())


def test_a_flat_fill_is_the_usual_grey_under_the_mask():
    image = np.full((20, 20), 7, np.uint8)
    image[2:4, 2:4] = 255
    assert np.all(fill.flat(image, np.ones_like(image, bool)) == 7)


@pytest.mark.parametrize(
    ("options", "function"),
    [
        ({}, fill.smooth),
        ({"kind": "breast"}, fill.around_breast),
        ({"fill": "inpaint"}, fill.inpaint),
    ],
    ids=["chest", "breast", "inpaint"],
)
def test_a_mask_is_filled_as_kind_and_fill_say(options, function):
    mask = box(RAMP.shape, (30, 60), (40, 90))
    np.testing.assert_array_equal(fill_artefacts(RAMP, mask, **options), function(RAMP, mask))


@pytest.mark.parametrize(
    ("found", "error", "message"),
    [
        (np.zeros((8, 9), bool), ValueError, r"image's shape \(9, 9\), got \(8, 9\)"),
        (np.zeros((9, 9), np.uint8), TypeError, "found must be an array of bool, got uint8"),
        (None, TypeError, "found must be an array of bool, got NoneType"),
    ],
)
def test_what_is_no_mask_of_the_film_is_refused(found, error, message):
    with pytest.raises(error, match=message):
        inspect.unwrap(fill_artefacts)(np.zeros((9, 9), np.uint8), found)


@pytest.mark.parametrize(
    "frame", [(0.1, 0.1, 0.1), (-0.1,) * 4, (float("nan"),) * 4, ("a",) * 4, 0.16, None], ids=str
)
def test_a_frame_of_other_than_four_fractions_is_refused(frame):
    with pytest.raises(ValueError, match=r"frame must be \(left, right, top, bottom\) in \[0, 1\]"):
        inspect.unwrap(find_artefacts)(np.zeros((9, 9), np.uint8), frame=frame)
