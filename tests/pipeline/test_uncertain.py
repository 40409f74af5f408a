import numpy as np
import pytest

from cxr_jax.pipeline.record import UNCERTAIN
from cxr_jax.pipeline.uncertain import settle

LABELS = np.float32([[1, UNCERTAIN], [UNCERTAIN, 0], [np.nan, 1]])


@pytest.mark.parametrize(("policy", "becomes"), [("ignore", np.nan), ("zeros", 0.0), ("ones", 1.0)])
def test_only_uncertain_labels_are_settled(policy, becomes):
    settled = settle(LABELS, policy=policy, seed=0)
    expected = np.float32([[1, becomes], [becomes, 0], [np.nan, 1]])
    np.testing.assert_array_equal(settled, expected)
    assert settled.dtype == np.float32


def test_smooth_labels_are_uniform_in_their_range_and_seeded():
    many = np.full((4000, 2), UNCERTAIN, np.float32)
    settled = settle(many, policy="smooth", seed=1)
    assert 0.55 <= settled.min() < 0.56
    assert 0.84 < settled.max() < 0.85
    assert settled.mean() == pytest.approx(0.7, abs=0.005)
    np.testing.assert_array_equal(settled, settle(many, policy="smooth", seed=1))
    assert (settled != settle(many, policy="smooth", seed=2)).mean() > 0.99


def test_another_policy_is_refused():
    with pytest.raises(ValueError, match="uncertain must be one of ignore, zeros, ones, smooth"):
        settle(LABELS, policy="maybe", seed=0)
