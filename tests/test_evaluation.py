"""Numbers of a split: against scikit-learn, with a reason wherever one is missing."""

import json
import math

import jax
import numpy as np
import pytest
from scipy.special import logit
from sklearn import metrics as reference

from cxr_jax.evaluation import Predictions, choose_threshold, evaluate


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


def test_the_csv_has_the_promised_columns(tmp_path):
    predictions([1, np.nan], [0.25, 1 / 3]).write_csv(tmp_path / "p.csv")
    assert (tmp_path / "p.csv").read_text().splitlines() == [
        "image,patient,label,probability",
        "0.png,0,1,0.25",
        "1.png,1,,0.333333333",
    ]
