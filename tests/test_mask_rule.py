import numpy as np
import pytest

from cxr_jax.mask_rule import MaskRule

HALO = np.array([[0.9, 0.4, 0.0], [0.4, 0.2, 0.0], [0.0, 0.0, 0.0]])


@pytest.mark.parametrize(
    ("rule", "pixels"),
    [
        ({}, 1),
        ({"floor": 0.3}, 3),
        ({"top": 0.95, "floor": 0.3}, 0),  # nothing is sure enough
        ({"floor": 0.3, "area": 1 / 9}, 3),  # one sure pixel of nine is enough
        ({"floor": 0.3, "area": 2 / 9}, 0),
        ({"top": 0.3, "floor": 0.1, "area": 2 / 9}, 4),
    ],
)
def test_enough_sure_pixels_bring_the_probable_ones_along(rule, pixels):
    assert MaskRule(**rule).decide(HALO).sum() == pixels


def test_each_image_is_decided_alone():
    decided = MaskRule().decide(np.stack([HALO, 0 * HALO]))
    assert decided.any((1, 2)).tolist() == [True, False]


def test_the_defaults_are_a_threshold():
    probability = np.random.default_rng(0).random((5, 8, 8))
    np.testing.assert_array_equal(MaskRule().decide(probability), probability >= 0.5)


def test_a_rule_that_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match=r"mask_top must be in \[0, 1\], got 1.5"):
        MaskRule(top=1.5)
    with pytest.raises(ValueError, match=r"mask_floor must be at most mask_top, got 0.8 above 0.5"):
        MaskRule(floor=0.8)
