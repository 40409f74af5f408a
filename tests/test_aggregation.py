"""From films to breasts and cases: by hand, and refused where a group makes no sense."""

import dataclasses

import jax
import numpy as np
import pytest

from cxr_jax.aggregation import aggregate, breasts_and_cases
from cxr_jax.by_finding import SplitPredictions
from cxr_jax.evaluation import Predictions, evaluate

UNKNOWN = np.nan
# patient, laterality, label, probability, loss
FILMS = [
    ("a", "L", 0, 0.1, 1.0),
    ("b", "R", 1, 0.9, 2.0),
    ("a", "R", 0, 0.4, 3.0),
    ("a", "R", 1, 0.8, 5.0),
    ("b", "R", UNKNOWN, 0.3, 0.0),
    ("a", "L", 0, 0.5, 4.0),
    ("c", "L", UNKNOWN, 0.7, 0.0),
]
PATIENTS, SIDES, LABELS, PROBABILITIES, LOSSES = zip(*FILMS, strict=True)
PREDICTIONS = Predictions(
    images=tuple(f"{i}.png" for i in range(len(FILMS))),
    patients=PATIENTS,
    labels=np.array(LABELS, np.float64),
    probabilities=np.array(PROBABILITIES),
    losses=np.array(LOSSES),
)


def levels(predictions, sides):
    """Breasts and cases."""
    found = breasts_and_cases(SplitPredictions(findings={"Cancer": predictions}), sides)
    return [found[level].findings["Cancer"] for level in ("breasts", "cases")]


@pytest.mark.smoke
def test_breasts_are_means_and_cases_the_greater_of_their_breasts():
    breasts, cases = levels(PREDICTIONS, SIDES)
    assert breasts.images == ("a_L", "b_R", "a_R", "c_L")
    assert breasts.patients == ("a", "b", "a", "c")
    np.testing.assert_allclose(breasts.probabilities, [0.3, 0.6, 0.6, 0.7])
    np.testing.assert_array_equal(breasts.labels, [0, 1, 1, UNKNOWN])
    np.testing.assert_allclose(breasts.losses, [2.5, 2.0, 4.0, 0.0])
    assert cases.images == cases.patients == ("a", "b", "c")
    np.testing.assert_allclose(cases.probabilities, [0.6, 0.6, 0.7])
    np.testing.assert_array_equal(cases.labels, [1, 1, UNKNOWN])


def test_films_without_laterality_have_no_breasts():
    split = SplitPredictions(findings={"Cancer": PREDICTIONS})
    assert breasts_and_cases(split, ["L", "R", "", "R", "R", "L", "L"]) == {}


@pytest.mark.parametrize("how", ["mean", "max"])
def test_groups_of_one_change_nothing(how):
    same = aggregate(PREDICTIONS, PREDICTIONS.images, how=how)
    for name, value in dataclasses.asdict(PREDICTIONS).items():
        np.testing.assert_array_equal(getattr(same, name), value)
    one, other = (
        evaluate(each, threshold=0.5, key=jax.random.key(0), samples=20).to_json()
        for each in (PREDICTIONS, same)
    )
    assert one == other


def test_the_order_of_the_films_does_not_matter():
    order = np.random.default_rng(0).permutation(len(FILMS))
    shuffled = Predictions(
        images=tuple(PREDICTIONS.images[i] for i in order),
        patients=tuple(PATIENTS[i] for i in order),
        labels=PREDICTIONS.labels[order],
        probabilities=PREDICTIONS.probabilities[order],
        losses=PREDICTIONS.losses[order],
    )
    _, cases = levels(PREDICTIONS, SIDES)
    _, again = levels(shuffled, [SIDES[i] for i in order])
    assert dict(zip(again.images, again.probabilities, strict=True)) == pytest.approx(
        dict(zip(cases.images, cases.probabilities, strict=True))
    )


@pytest.mark.parametrize(
    ("groups", "how", "message"),
    [
        (SIDES, "mean", "group 'L' must be of one patient, got 'a' and 'c'; make the patient part"),
        (SIDES[:-1], "mean", "groups must name the group of each of the 7 predictions, got 6"),
        (PATIENTS, "median", "how must be one of mean, max, got 'median'"),
    ],
)
def test_groups_that_make_no_sense_are_refused(groups, how, message):
    with pytest.raises(ValueError, match=message):
        aggregate(PREDICTIONS, groups, how=how)
