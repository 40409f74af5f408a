"""Metrics against scikit-learn and hand computation; intervals against what they promise."""

import math
import time

import jax
import jaxtyping
import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from cxr_jax import metrics
from cxr_jax.metrics import (
    auroc,
    average_precision,
    bootstrap_interval,
    confusion,
    dice,
    expected_calibration_error,
    operating_point,
)

KEY = jax.random.key(0)
NAN = math.nan


def predictions(images=200, *, prevalence=0.3, decimals=2, seed=0):
    """Labels, and scores in [0, 1] with many ties."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(images) < prevalence).astype(np.float64)
    return labels, (1 / (1 + np.exp(-rng.normal(size=images) - labels))).round(decimals)


@pytest.mark.smoke
@pytest.mark.parametrize("decimals", [0, 1, 2, 9])
@pytest.mark.parametrize("seed", range(5))
def test_auroc_and_average_precision_equal_scikit_learn(seed, decimals):
    labels, scores = predictions(decimals=decimals, seed=seed)
    np.testing.assert_allclose(auroc(labels, scores), roc_auc_score(labels, scores), rtol=1e-12)
    np.testing.assert_allclose(
        average_precision(labels, scores), average_precision_score(labels, scores), rtol=1e-12
    )


def test_by_hand():
    labels, scores = np.array([1.0, 0.0, 1.0, 0.0]), np.array([0.8, 0.6, 0.6, 0.1])
    assert auroc(labels, scores) == (1 + 1 + 0.5 + 1) / 4
    assert average_precision(labels, scores) == 0.5 * 1 + 0.5 * 2 / 3


def test_perfect_inverted_and_constant_scores():
    labels = np.array([0.0, 0.0, 1.0, 1.0])
    assert auroc(labels, labels) == 1.0
    assert auroc(labels, -labels) == 0.0
    assert auroc(labels, np.zeros(4)) == 0.5
    assert average_precision(labels, np.zeros(4)) == 0.5


def test_infinite_scores_and_other_dtypes_are_welcome():
    scores = np.array([-np.inf, 0.0, np.inf], np.float32)
    assert auroc(np.array([False, False, True]), scores) == 1.0
    assert auroc(np.array([0, 0, 1]), scores) == 1.0


@pytest.mark.parametrize("metric", [auroc, average_precision, operating_point])
@pytest.mark.parametrize("labels", [[], [1.0, 1.0], [0.0, 0.0], [NAN, 1.0], [NAN]])
def test_a_missing_class_gives_nan(metric, labels):
    assert math.isnan(metric(np.array(labels), np.linspace(0.0, 1.0, len(labels))))


@pytest.mark.parametrize(
    "metric", [auroc, average_precision, operating_point, expected_calibration_error]
)
def test_unknown_labels_are_left_out(metric):
    labels, scores = predictions()
    labels[::7] = NAN
    scores[::14] = NAN  # nor do their scores matter
    known = ~np.isnan(labels)
    assert metric(labels, scores) == metric(labels[known], scores[known])


@pytest.mark.parametrize("seed", range(5))
def test_the_operating_point_has_the_largest_youden_index(seed):
    labels, scores = predictions(60, decimals=1, seed=seed)

    def youden(threshold):
        counts = confusion(labels, scores, threshold=threshold)
        return counts.sensitivity + counts.specificity - 1

    best = max(map(youden, np.unique(scores)))
    chosen = operating_point(labels, scores)
    assert youden(chosen) == pytest.approx(best)
    assert not any(youden(t) >= best - 1e-9 for t in np.unique(scores) if t < chosen)


def test_of_equally_good_operating_points_the_lowest_is_chosen():
    labels, scores = np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.1, 0.2, 0.3, 0.4])
    assert operating_point(labels, scores) == 0.2


def test_confusion_counts_an_image_at_the_threshold_as_positive():
    labels = np.array([1.0, 1.0, 1.0, 0.0, 0.0, NAN])
    counts = confusion(labels, np.array([0.9, 0.5, 0.1, 0.5, 0.2, 0.9]), threshold=0.5)
    assert counts == metrics.Confusion(tp=2, fp=1, fn=1, tn=1)
    assert counts.sensitivity == 2 / 3
    assert counts.specificity == 1 / 2


def test_rates_of_an_absent_class_are_nan():
    only_negative = confusion(np.zeros(2), np.array([0.2, 0.7]), threshold=0.5)
    assert math.isnan(only_negative.sensitivity)
    assert only_negative.specificity == 0.5
    assert math.isnan(confusion(np.ones(2), np.ones(2), threshold=0.5).specificity)


def test_calibration_error_by_hand():
    labels = np.array([1.0, 0.0, 1.0, 1.0])
    probabilities = np.array([0.3, 0.5, 0.9, 1.0])
    # Two bins: (0, 0.5] holds 0.3 and 0.5, with one of two present; (0.5, 1] holds 0.9 and 1.
    expected = 0.5 * abs(0.5 - 0.4) + 0.5 * abs(1.0 - 0.95)
    assert expected_calibration_error(labels, probabilities, bins=2) == pytest.approx(expected)


def test_calibrated_probabilities_have_a_small_calibration_error():
    rng = np.random.default_rng(0)
    probabilities = rng.random(20000)
    labels = (rng.random(20000) < probabilities).astype(np.float64)
    assert expected_calibration_error(labels, probabilities) < 0.02
    assert expected_calibration_error(labels, probabilities**3) > 0.2
    assert math.isnan(expected_calibration_error(np.array([NAN]), np.array([0.5])))


def test_dice_by_hand():
    a, b = np.zeros((2, 4), bool), np.zeros((2, 4), bool)
    assert dice(a, b) == 1.0
    a[0], b[0, 2:] = True, True
    assert dice(a, b) == 2 * 2 / (4 + 2)
    assert dice(a, ~a) == 0.0
    assert dice(a.astype(np.uint8), a) == 1.0


@pytest.mark.parametrize("metric", [auroc, average_precision, expected_calibration_error])
def test_all_resamples_at_once_equal_one_by_one(metric):
    labels, scores = predictions()
    patients = np.random.default_rng(1).integers(70, size=200)
    at_once, one_by_one = (
        bootstrap_interval(m, labels, scores, groups=patients, key=KEY, samples=50)
        for m in (metric, lambda y, s: metric(y, s))
    )
    np.testing.assert_allclose(at_once, one_by_one, rtol=1e-12)


def test_the_interval_holds_the_true_auroc_as_often_as_it_says():
    """Scores of unit variance and means 0 and 1 have the AUROC Φ(1 / √2) = 0.760."""
    rng, hits = np.random.default_rng(0), 0
    for key in jax.random.split(KEY, 200):
        labels = np.repeat([0.0, 1.0], [60, 40])
        low, high = bootstrap_interval(
            auroc, labels, rng.normal(size=100) + labels, key=key, samples=200
        )
        hits += low <= 0.7602 <= high
    assert 0.88 <= hits / 200 <= 0.98


def test_copies_of_a_patients_images_add_no_certainty():
    labels, scores = predictions(60, decimals=9)
    single = bootstrap_interval(auroc, labels, scores, key=KEY)
    copies = [np.repeat(x, 10) for x in (labels, scores)]
    patients = [f"patient {index}" for index in np.repeat(np.arange(60), 10)]
    grouped = bootstrap_interval(auroc, *copies, groups=patients, key=KEY)
    naive = bootstrap_interval(auroc, *copies, key=KEY)
    assert grouped[1] - grouped[0] == pytest.approx(single[1] - single[0], rel=0.1)
    assert naive[1] - naive[0] < 0.5 * (grouped[1] - grouped[0])


def test_intervals_of_a_metric_of_ones_own():
    labels, scores = predictions()

    def sensitivity(labels, scores):
        return confusion(labels, scores, threshold=0.6).sensitivity

    low, high = bootstrap_interval(sensitivity, labels, scores, key=KEY, samples=200)
    assert low < sensitivity(labels, scores) < high
    narrow = bootstrap_interval(sensitivity, labels, scores, key=KEY, samples=200, level=0.5)
    assert low < narrow[0] < narrow[1] < high


def test_one_key_gives_one_interval():
    labels, scores = predictions()
    again = [
        bootstrap_interval(auroc, labels, scores, key=key)
        for key in (KEY, KEY, jax.random.key(1), jax.random.PRNGKey(0))
    ]
    assert again[0] == again[1] == again[3]
    assert again[0] != again[2]


def test_unknown_labels_leave_the_interval_too():
    labels, scores = predictions()
    patients = np.arange(200) // 2
    unknown = np.append(labels, [NAN, NAN]), np.append(scores, [0.5, NAN])
    assert bootstrap_interval(
        auroc, *unknown, groups=np.append(patients, [0, 999]), key=KEY
    ) == bootstrap_interval(auroc, labels, scores, groups=patients, key=KEY)


def test_resamples_of_one_class_are_skipped():
    low, high = bootstrap_interval(auroc, np.array([0.0, 0.0, 1.0, 1.0]), np.arange(4.0), key=KEY)
    assert (low, high) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("labels", "patients"),
    [
        ([0.0, 0.0, 0.0, 1.0], None),
        ([0.0, 1.0, 1.0, NAN], None),
        ([0.0, 0.0, 1.0, 1.0], [1, 2, 3, 3]),
        ([NAN, NAN, NAN, NAN], None),
    ],
)
def test_fewer_than_two_patients_of_a_class_have_no_interval(labels, patients):
    interval = bootstrap_interval(auroc, np.array(labels), np.arange(4.0), groups=patients, key=KEY)
    assert all(map(math.isnan, interval))


def test_an_interval_of_a_hundred_images_takes_well_under_a_second():
    labels, scores = predictions(100)
    start = time.perf_counter()
    bootstrap_interval(auroc, labels, scores, key=KEY)
    assert time.perf_counter() - start < 1.0


def test_wrong_arguments_are_refused(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is outside of tests
    two, half = np.array([0.0, 1.0]), np.array([0.5, 0.5])
    with pytest.raises(ValueError, match="labels and scores must be of one length"):
        auroc(two, np.zeros(3))
    with pytest.raises(ValueError, match="labels must be 1, 0 or NaN, got -1"):
        auroc(np.array([0.0, -1.0]), half)
    with pytest.raises(ValueError, match="scores must be numbers, got 1 NaN"):
        auroc(two, np.array([0.5, NAN]))
    with pytest.raises(ValueError, match=r"probabilities must be in \[0, 1\]"):
        expected_calibration_error(two, np.array([0.5, 1.5]))
    with pytest.raises(ValueError, match="bins must be at least 1"):
        expected_calibration_error(two, half, bins=0)
    with pytest.raises(ValueError, match="threshold must be a number"):
        confusion(two, half, threshold=NAN)
    with pytest.raises(ValueError, match="must have one shape"):
        dice(np.zeros(2, bool), np.zeros(3, bool))
    with pytest.raises(ValueError, match="prediction must hold 0 and 1 alone"):
        dice(half, two)
    with pytest.raises(ValueError, match="groups must name one patient an image"):
        bootstrap_interval(auroc, two, half, groups=["a"], key=KEY)
    with pytest.raises(ValueError, match="samples must be at least 1"):
        bootstrap_interval(auroc, two, half, key=KEY, samples=0)
    with pytest.raises(ValueError, match="level must be in"):
        bootstrap_interval(auroc, two, half, key=KEY, level=95.0)
