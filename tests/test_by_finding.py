"""Several findings of a split: each as scikit-learn has it, and their means."""

import csv
import json
import math

import jax
import numpy as np
import pytest
from sklearn import metrics as reference

from cxr_jax.by_finding import (
    OperatingPoint,
    SplitPredictions,
    choose_points,
    evaluate_split,
)
from cxr_jax.evaluation import Predictions, evaluate

KEY = jax.random.key(0)
COUNT = 240


def split(**columns):
    """Findings -> (labels, probabilities), two images a patient."""
    count = len(next(iter(columns.values()))[0])
    return SplitPredictions(
        findings={
            name: Predictions(
                images=tuple(f"{i}.png" for i in range(count)),
                patients=tuple(str(i // 2) for i in range(count)),
                labels=np.asarray(labels, np.float64),
                probabilities=np.asarray(probabilities, np.float64),
                losses=np.where(np.isnan(labels), 0.0, 1.0 + at),
            )
            for at, (name, (labels, probabilities)) in enumerate(columns.items())
        }
    )


@pytest.fixture(scope="module")
def several():
    """Three findings, of which a third, none and a half is unknown."""
    generator = np.random.default_rng(0)
    columns = {}
    for name, unknown in (("Edema", 0.3), ("Mass", 0.0), ("Hernia", 0.5)):
        labels = generator.integers(0, 2, COUNT).astype(float)
        scores = np.clip(0.3 * labels + 0.7 * generator.random(COUNT), 0, 1)
        columns[name] = (np.where(generator.random(COUNT) < unknown, np.nan, labels), scores)
    return split(**columns)


def points(predictions, threshold=0.5, temperature=2.0):
    point = OperatingPoint(threshold=threshold, temperature=temperature)
    return dict.fromkeys(predictions.findings, point)


def known(one):
    there = ~np.isnan(one.labels)
    return one.labels[there], one.probabilities[there]


@pytest.mark.smoke
def test_each_finding_equals_scikit_learn_on_its_known_labels(several):
    result = evaluate_split(several, points(several), key=KEY, samples=50)
    for name, one in several.findings.items():
        labels, scores = known(one)
        numbers = result.findings[name]
        assert numbers.images == len(labels)
        for metric, expected in (
            ("auroc", reference.roc_auc_score(labels, scores)),
            ("average_precision", reference.average_precision_score(labels, scores)),
            ("sensitivity", reference.recall_score(labels, scores >= 0.5)),
            ("specificity", reference.recall_score(1 - labels, scores < 0.5)),
        ):
            assert numbers.estimates[metric].value == pytest.approx(expected)
    scores = [reference.roc_auc_score(*known(one)) for one in several.findings.values()]
    assert result.macro["auroc"].value == pytest.approx(np.mean(scores))
    assert several.auroc == several.score == pytest.approx(np.mean(scores))


def test_macro_estimates_are_means_with_an_interval_around_them(several):
    result = evaluate_split(several, points(several), key=KEY, samples=200)
    for metric, mean in result.macro.items():
        each = [numbers.estimates[metric] for numbers in result.findings.values()]
        assert mean.value == pytest.approx(np.mean([estimate.value for estimate in each]))
        assert mean.low <= mean.high
        assert mean.high - mean.low < max(estimate.high - estimate.low for estimate in each)
    for metric in ("auroc", "average_precision", "sensitivity", "specificity"):
        assert result.macro[metric].low < result.macro[metric].value < result.macro[metric].high


def test_the_mean_of_one_finding_twice_has_its_own_interval(several):
    """Resamples take all findings of a patient, so that the mean is no surer than its parts."""
    one = several.findings["Mass"]
    twice = SplitPredictions(findings={"Mass": one, "Again": one})
    result = evaluate_split(twice, points(twice), key=KEY, samples=100)
    for metric, mean in result.macro.items():
        alone = result.findings["Mass"].estimates[metric]
        assert (mean.value, mean.low, mean.high) == pytest.approx(
            (alone.value, alone.low, alone.high)
        )


def test_one_finding_has_the_numbers_it_has_alone(several):
    one = several.findings["Edema"]
    alone = SplitPredictions(findings={"Edema": one})
    result = evaluate_split(alone, points(alone), key=KEY, samples=50)
    expected = evaluate(one, threshold=0.5, temperature=2.0, key=KEY, samples=50)
    assert result.to_json() == expected.to_json()
    assert result.macro == expected.estimates
    assert (result.images, result.positives) == (expected.images, expected.positives)


def test_a_finding_that_lacks_a_class_is_left_out_of_the_mean_and_said(several):
    mass = several.findings["Mass"]
    nobody = split(Hernia=(np.zeros(COUNT), mass.probabilities)).findings["Hernia"]
    with_it = SplitPredictions(findings={"Mass": mass, "Hernia": nobody})
    result = evaluate_split(with_it, points(with_it), key=KEY, samples=20)
    assert math.isnan(result.findings["Hernia"].estimates["auroc"].value)
    assert result.macro["auroc"].value == result.findings["Mass"].estimates["auroc"].value
    assert result.macro["auroc"].reason == "mean over 1 of 2 findings; the others lack a class"
    assert with_it.auroc == mass.auroc
    as_json = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert as_json["findings"]["Hernia"]["estimates"]["auroc"]["reason"].startswith("0 positive")
    none = SplitPredictions(findings={"Hernia": nobody, "Again": nobody})
    result = evaluate_split(none, points(none), key=KEY, samples=20)
    assert str(result.macro["auroc"]) == "not defined: no finding has both classes"
    assert math.isnan(none.auroc)


def test_each_finding_has_its_own_operating_point(several):
    found = choose_points(several)
    for name, point in found.items():
        labels, scores = known(several.findings[name])
        fpr, tpr, thresholds = reference.roc_curve(labels, scores)
        at = np.searchsorted(-thresholds, -point.threshold)
        assert tpr[at] - fpr[at] == pytest.approx((tpr - fpr).max())
    assert len({point.threshold for point in found.values()}) == 3
    assert len({point.temperature for point in found.values()}) == 3


def test_the_loss_is_a_mean_over_known_labels():
    nan = math.nan
    losses = split(Edema=([1, 0, nan, nan], [0.5] * 4), Mass=([nan, nan, nan, 1], [0.5] * 4))
    assert losses.loss == pytest.approx((1 + 1 + 2) / 3)
    assert math.isnan(split(Edema=([nan, nan], [0.5, 0.5])).loss)


def test_the_csv_has_the_promised_columns(tmp_path):
    columns = {"Lung Opacity": ([1, math.nan], [0.25, 1 / 3]), "Mass": ([0, 1], [0.5, 1.0])}
    split(**columns).write_csv(tmp_path / "several.csv")
    with (tmp_path / "several.csv").open(newline="") as file:
        head, first, second = csv.reader(file)
    assert head == [
        "image", "patient",
        "label_Lung Opacity", "probability_Lung Opacity", "label_Mass", "probability_Mass",
    ]  # fmt: skip
    assert first == ["0.png", "0", "1", "0.25", "0", "0.5"]
    assert second == ["1.png", "0", "", "0.333333333", "1", "1"]
    split(Mass=([1, math.nan], [0.25, 1 / 3])).write_csv(tmp_path / "one.csv", of="breast")
    assert (tmp_path / "one.csv").read_text().splitlines() == [
        "breast,patient,label,probability",
        "0.png,0,1,0.25",
        "1.png,0,,0.333333333",
    ]
