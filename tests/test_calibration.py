"""Temperature scaling against a grid, scikit-learn, and a temperature that is known."""

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from cxr_jax import metrics
from cxr_jax.calibration import TEMPERATURES, apply_temperature, fit_temperature


def sample(count, *, temperature, seed=0):
    """Labels drawn from true logits, and the probabilities of one who is too sure by T."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-0.5, 2.0, count)
    labels = (rng.uniform(size=count) < expit(logits)).astype(float)
    return labels, expit(logits * temperature)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_that_was_applied_is_found(temperature):
    labels, probabilities = sample(20000, temperature=temperature)
    assert fit_temperature(labels, probabilities) == pytest.approx(temperature, rel=0.05)


@pytest.mark.parametrize("count", [20, 300])
def test_no_temperature_of_a_fine_grid_is_better(count):
    labels, probabilities = sample(count, temperature=2.0, seed=count)
    positives, negatives = labels.sum(), (1 - labels).sum()
    targets = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(temperature):
        p = expit(logit(probabilities) / temperature)
        return -np.mean(targets * np.log(p) + (1 - targets) * np.log(1 - p))

    grid = np.geomspace(0.5, 20.0, 2001)
    best = grid[np.argmin([loss(temperature) for temperature in grid])]
    found = fit_temperature(labels, probabilities)
    assert found == pytest.approx(best, rel=0.005)
    assert loss(found) <= loss(best)


def test_it_equals_scikit_learn_on_many_images():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60000, 1))
    y = (rng.uniform(size=60000) < expit(x[:, 0])).astype(int)
    sure = LogisticRegression()
    sure.classes_, sure.coef_, sure.intercept_ = np.array([0, 1]), np.array([[2.5]]), np.zeros(1)
    reference = CalibratedClassifierCV(FrozenEstimator(sure), method="temperature", ensemble=False)
    expected = reference.fit(x, y).predict_proba(x)[:, 1]
    p = sure.predict_proba(x)[:, 1]
    np.testing.assert_allclose(
        apply_temperature(p, fit_temperature(y, p)), expected, rtol=1e-3, atol=1e-4
    )


def test_calibration_lowers_the_calibration_error_and_keeps_the_order():
    labels, probabilities = sample(4000, temperature=1.8)
    calibrated = apply_temperature(probabilities, fit_temperature(labels, probabilities))
    error = metrics.expected_calibration_error
    assert error(labels, calibrated) < 0.5 * error(labels, probabilities)
    assert metrics.auroc(labels, calibrated) == metrics.auroc(labels, probabilities)


def test_a_small_sample_without_an_error_does_not_make_the_model_sure():
    labels = np.repeat([0.0, 1.0], 10)
    probabilities = np.where(labels == 1, 0.8, 0.2)
    calibrated = apply_temperature(probabilities, fit_temperature(labels, probabilities))
    np.testing.assert_allclose(calibrated[labels == 1], 11 / 12, atol=1e-6)


@pytest.mark.parametrize("labels", [[1.0, 1.0], [0.0, 0.0], [np.nan, 1.0], []])
def test_without_both_classes_nothing_is_changed(labels):
    assert fit_temperature(np.array(labels), np.full(len(labels), 0.7)) == 1.0


def test_unknown_labels_are_left_out():
    labels, probabilities = sample(200, temperature=2.0)
    with_unknown = np.append(labels, [np.nan, np.nan])
    assert fit_temperature(with_unknown, np.append(probabilities, [0.0, 1.0])) == fit_temperature(
        labels, probabilities
    )


def test_scores_that_fall_with_the_finding_end_at_the_highest_temperature():
    labels, probabilities = sample(500, temperature=1.0)
    assert fit_temperature(labels, 1 - probabilities) == pytest.approx(TEMPERATURES[1], rel=1e-3)


def test_probabilities_of_exactly_0_and_1_stay_finite():
    labels, probabilities = np.array([0.0, 1.0, 1.0, 0.0]), np.array([0.0, 1.0, 0.0, 1.0])
    assert np.isfinite(fit_temperature(labels, probabilities))
    calibrated = apply_temperature(probabilities, 0.01)
    assert np.isfinite(calibrated).all()
    np.testing.assert_allclose(apply_temperature(np.array(0.3), 1.0), 0.3, rtol=1e-12)


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([0, 2], [0.5, 0.5], "labels must be 1, 0 or NaN, got 2"),
        ([0, 1], [0.5, 1.5], r"in \[0, 1\], got 1.5"),
        ([0, 1], [0.5, np.nan], r"in \[0, 1\], got nan"),
    ],
)
def test_what_makes_no_sense_is_refused(labels, probabilities, message):
    with pytest.raises(ValueError, match=message):
        fit_temperature(np.array(labels), np.array(probabilities))


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.nan, np.inf])
def test_a_temperature_that_is_not_positive_is_refused(temperature):
    with pytest.raises(ValueError, match="temperature must be a positive number"):
        apply_temperature(np.array([0.5]), temperature)
