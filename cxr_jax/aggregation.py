"""From films to breasts and patients: a breast is seen on several films, a patient has two."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cxr_jax.by_finding import SplitPredictions
from cxr_jax.evaluation import Predictions

_HOW: dict[str, Callable[[np.ndarray], Any]] = {"mean": np.mean, "max": np.max}


def aggregate(predictions: Predictions, groups: Sequence[str], *, how: str = "mean") -> Predictions:
    """Join the predictions of each group into one.

    Args:
      predictions: of images, or of what was aggregated before.
      groups: the name of each one's group; a group is of one patient.
      how: what becomes of the probabilities, "mean" or "max".

    Returns:
      A prediction a group, in the order in which they first occur; `images` are their names. A
      group's label is 1 if any of its labels is, 0 if none is and any is known, else NaN. Its loss
      is the mean of those with a known label, 0 where there is none.

    Raises:
      ValueError: how is another word, there are fewer or more groups than predictions, or two
        patients share a group.
    """
    if how not in _HOW:
        raise ValueError(f"how must be one of {', '.join(_HOW)}, got {how!r}")
    if len(groups) != len(predictions.images):
        raise ValueError(
            f"groups must name the group of each of the {len(predictions.images)} predictions, "
            f"got {len(groups)} names"
        )
    members: dict[str, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    patients = []
    for group, indices in members.items():
        patient, *others = dict.fromkeys(predictions.patients[i] for i in indices)
        if others:
            raise ValueError(
                f"group {group!r} must be of one patient, got {patient!r} and {others[0]!r}; "
                "make the patient part of the group's name"
            )
        patients.append(patient)
    rows = [np.asarray(indices) for indices in members.values()]
    known = ~np.isnan(predictions.labels)
    return Predictions(
        images=tuple(members),
        patients=tuple(patients),
        labels=np.array([_label(predictions.labels[row]) for row in rows]),
        probabilities=np.array([_HOW[how](predictions.probabilities[row]) for row in rows]),
        losses=np.array([_mean(predictions.losses[row[known[row]]]) for row in rows]),
    )


def breasts_and_cases(
    predictions: SplitPredictions, lateralities: Sequence[str]
) -> dict[str, SplitPredictions]:
    """Aggregate a split of mammograms as they are read: all films of a breast, then both breasts.

    Args:
      predictions: of the films.
      lateralities: of each film's breast, "L" or "R".

    Returns:
      "breasts", named `<patient>_<laterality>`: the mean of the probabilities on their films;
      "cases", named by the patient: the greatest of their breasts' probabilities. Nothing where a
      laterality is "", as on all chest films.
    """
    if not all(lateralities):
        return {}
    breasts, cases = {}, {}
    for finding, one in predictions.findings.items():
        sides = zip(one.patients, lateralities, strict=True)
        breasts[finding] = aggregate(one, [f"{patient}_{side}" for patient, side in sides])
        cases[finding] = aggregate(breasts[finding], breasts[finding].patients, how="max")
    return {
        "breasts": SplitPredictions(findings=breasts),
        "cases": SplitPredictions(findings=cases),
    }


def _label(labels: np.ndarray) -> float:
    known = labels[~np.isnan(labels)]
    return float(known.max()) if known.size else np.nan


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else 0.0
