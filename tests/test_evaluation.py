"""Numbers of a split: against scikit-learn, with a reason wherever one is missing."""

import json
import math

import jax
import numpy as np
import pytest
from scipy.special import logit
from sklearn import metrics as reference

from cxr_jax.evaluation import Predictions, choose_threshold, compare, estimate_mean, evaluate


def predictions(labels, probabilities, patients=None):
    count = len(labels)
    return Predictions(
        images=tuple(f"{i}.png" for i in range(count)),
        patients=tuple(patients or map(str, range(count))),
        labels=np.asarray(labels, np.float64),
        probabilities=np.asarray(probabilities, np.float64),
        losses=np.full(count, 0.5),
    )


@pytest.fixture
def noisy():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 200).astype(float)
    return predictions(labels, np.clip(0.3 * labels + 0.7 * generator.random(200), 0, 1))


def test_calibration_is_measured_before_and_after():
    labels = np.tile([1.0, 0.0, 0.0, 0.0], 50)  # a fourth has it: 0.05 is too sure of its absence
    temperature = float(logit(0.05) / logit(0.25))
    result = evaluate(
        predictions(labels, np.full(200, 0.05)),
        threshold=0.5,
        temperature=temperature,
        key=jax.random.key(0),
        samples=50,
    )
    assert result.estimates["expected_calibration_error"].value == pytest.approx(0.2)
    assert result.estimates["calibrated_error"].value == pytest.approx(0.0, abs=1e-9)


def test_estimates_equal_scikit_learn(noisy):
    result = evaluate(noisy, threshold=0.5, key=jax.random.key(0), samples=200)
    called = noisy.probabilities >= 0.5
    tn, fp, fn, tp = reference.confusion_matrix(noisy.labels, called).ravel()
    assert result.confusion == {
        "true_positives": tp,
        "false_positives": fp,
        "false_negatives": fn,
        "true_negatives": tn,
    }
    for name, expected in [
        ("auroc", reference.roc_auc_score(noisy.labels, noisy.probabilities)),
        ("average_precision", reference.average_precision_score(noisy.labels, noisy.probabilities)),
        ("sensitivity", reference.recall_score(noisy.labels, called)),
        ("specificity", reference.recall_score(1 - noisy.labels, ~called)),
    ]:
        estimate = result.estimates[name]
        assert estimate.value == pytest.approx(expected)
        assert estimate.low < estimate.value < estimate.high
        assert estimate.reason == ""


def test_the_threshold_is_youdens_and_one_half_where_validation_lacks_a_class(noisy):
    fpr, tpr, thresholds = reference.roc_curve(noisy.labels, noisy.probabilities)
    best = (tpr - fpr).max()
    chosen = choose_threshold(noisy)
    at = np.searchsorted(-thresholds, -chosen)
    assert tpr[at] - fpr[at] == pytest.approx(best)
    assert choose_threshold(predictions([1, 1], [0.2, 0.9])) == 0.5


def test_an_absent_class_is_said_and_json_has_no_nan():
    result = evaluate(predictions([0, 0, 0], [0.1, 0.2, 0.9]), threshold=0.5, key=jax.random.key(0))
    assert math.isnan(result.estimates["auroc"].value)
    assert str(result.estimates["auroc"]) == (
        "not defined: 0 positive and 3 negative images; both are needed"
    )
    assert json.loads(json.dumps(result.to_json(), allow_nan=False))["estimates"]["auroc"] == {
        "value": None,
        "low": None,
        "high": None,
        "reason": "0 positive and 3 negative images; both are needed",
    }


def test_an_interval_that_cannot_be_told_is_said():
    one_patient = predictions([1, 1, 0, 0], [0.9, 0.3, 0.4, 0.1], ["a", "a", "b", "c"])
    estimate = evaluate(one_patient, threshold=0.5, key=jax.random.key(0)).estimates["auroc"]
    assert str(estimate) == "0.750 (no interval: fewer than two patients of a class)"


def test_an_interval_of_no_width_is_called_overconfident():
    perfect = predictions([1, 1, 0, 0], [0.9, 0.8, 0.2, 0.1])
    estimate = evaluate(perfect, threshold=0.5, key=jax.random.key(0)).estimates["auroc"]
    assert (estimate.low, estimate.high) == (1.0, 1.0)
    assert "overstates" in estimate.reason


def test_unknown_labels_do_not_count():
    with_unknown = predictions([1, 1, 0, 0, np.nan], [0.9, 0.3, 0.4, 0.1, 0.99])
    result = evaluate(with_unknown, threshold=0.5, key=jax.random.key(0))
    assert (result.images, result.positives) == (4, 2)
    assert result.estimates["auroc"].value == pytest.approx(0.75)
    assert with_unknown.loss == 0.5


def test_a_model_is_no_better_than_itself_and_better_than_a_noisier_one(noisy):
    same = compare(noisy, noisy, key=jax.random.key(0), samples=100)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    random = np.random.default_rng(1).random(len(noisy.labels))
    worse = predictions(noisy.labels, random, noisy.patients)
    difference = compare(noisy, worse, key=jax.random.key(0), samples=300)
    assert difference.value == pytest.approx(
        reference.roc_auc_score(noisy.labels, noisy.probabilities)
        - reference.roc_auc_score(noisy.labels, random)
    )
    assert 0 < difference.low < difference.value < difference.high
    back = compare(worse, noisy, key=jax.random.key(0), samples=300)
    assert (back.value, back.low, back.high) == pytest.approx(
        (-difference.value, -difference.high, -difference.low), abs=1e-9
    )


def test_only_the_same_images_are_compared(noisy):
    other = predictions(noisy.labels[1:], noisy.probabilities[1:], noisy.patients[1:])
    with pytest.raises(ValueError, match="of the same images"):
        compare(noisy, other, key=jax.random.key(0))


def test_the_interval_of_a_mean_is_the_normal_one_for_many_patients():
    values = np.random.default_rng(0).normal(size=900)
    alone = estimate_mean(values, [str(i) for i in range(900)], key=jax.random.key(0))
    half = 1.96 * values.std() / 30
    assert (alone.low, alone.high) == pytest.approx(
        (values.mean() - half, values.mean() + half), abs=0.01
    )
    # Nine films a patient, all alike, are no more than a hundred films.
    alike = np.repeat(values[:100], 9)
    patients = np.repeat(np.arange(100), 9).astype(str).tolist()
    grouped = estimate_mean(alike, patients, key=jax.random.key(0))
    half = 1.96 * values[:100].std() / 10
    assert grouped.high - grouped.low == pytest.approx(2 * half, rel=0.15)


def test_a_mean_without_images_or_of_one_patient_says_why():
    nothing = estimate_mean(np.zeros(0), [], key=jax.random.key(0))
    assert str(nothing) == "not defined: no images"
    one = estimate_mean(np.ones(3), ["a"] * 3, key=jax.random.key(0))
    assert str(one) == "1.000 (no interval: fewer than two patients)"
