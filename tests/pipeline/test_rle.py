import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from cxr_jax.pipeline.rle import decode_rle, encode_rle

MASKS = st_numpy.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)))


def siim_rle2mask(text, width, height):
    """As SIIM-ACR's mask_functions.py does it."""
    mask = np.zeros(width * height)
    numbers = np.asarray([int(x) for x in text.split()])
    position = 0
    for start, length in zip(numbers[0::2], numbers[1::2], strict=True):
        position += start
        mask[position : position + length] = 255
        position += length
    return mask.reshape(width, height).T


@pytest.mark.smoke
@settings(deadline=None)
@given(MASKS)
def test_what_is_written_is_read_again(mask):
    np.testing.assert_array_equal(decode_rle(encode_rle(mask), mask.shape), mask)


@settings(deadline=None)
@given(MASKS.filter(np.any))
def test_run_lengths_equal_siims_own(mask):
    height, width = mask.shape
    np.testing.assert_array_equal(siim_rle2mask(encode_rle(mask), width, height) > 0, mask)


def test_runs_are_relative_and_go_down_the_columns():
    mask = decode_rle("1 2 1 1", (2, 3))
    np.testing.assert_array_equal(mask, [[0, 1, 1], [1, 0, 0]])
    assert mask.dtype == bool


@pytest.mark.parametrize("text", ["-1", " -1", "", "  "])
def test_no_runs_are_the_empty_mask(text):
    assert not decode_rle(text, (4, 5)).any()
    assert encode_rle(np.zeros((4, 5), bool)) == "-1"


def test_the_last_pixel_can_be_reached_and_no_further():
    assert decode_rle("0 20", (4, 5)).all()
    assert decode_rle("19 1", (4, 5))[3, 4]
    with pytest.raises(ValueError) as error:
        decode_rle("19 2", (4, 5))
    assert str(error.value) == ("run lengths end at 21, beyond the 20 pixels of an image of 5 x 4")
    with pytest.raises(ValueError, match="end at 1,000,000"):
        decode_rle(f"3 {'9' * 60}", (4, 5))


@pytest.mark.parametrize("text", ["1", "1 2 3", "1 x", "-1 2", "1.5 2", "1 -1", "¹ 1"])
def test_what_is_no_list_of_pairs_is_refused(text):
    with pytest.raises(ValueError, match="pairs of whole numbers, or -1 alone"):
        decode_rle(text, (4, 5))
