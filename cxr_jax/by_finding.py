"""What a model says of a split, and how well: one finding, or several of the same images."""

import csv
import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Array, Float, Int, Key

from cxr_jax import metrics
from cxr_jax import weighted_metrics as weighted
from cxr_jax.calibration import apply_temperature
from cxr_jax.evaluation import (
    Estimate,
    Evaluation,
    MaskPredictions,
    Predictions,
    choose_temperature,
    choose_threshold,
    evaluate,
    without_nan,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitPredictions:
    """What a model says of each image of a split.

    Attributes:
      findings: predictions of each, all of the same images in the same order.
      masks: what is predicted of the images' masks; None where nothing is.
    """

    findings: Mapping[str, Predictions]
    masks: MaskPredictions | None = None

    @property
    def score(self) -> float:
        """By which epochs are compared: the mean Dice where there are masks, else the AUROC."""
        return self.auroc if self.masks is None else float(self.masks.dice.mean())

    @property
    def auroc(self) -> float:
        """Mean over the findings of which both classes are there; NaN where there is none."""
        return _mean([one.auroc for one in self.findings.values()])

    @property
    def loss(self) -> float:
        """Mean over all known labels; NaN where there is none."""
        known = [one.losses[~np.isnan(one.labels)] for one in self.findings.values()]
        return _mean(np.concatenate(known).tolist())

    def some(self, at: Int[np.ndarray, "some"]) -> "SplitPredictions":
        """What is said of some of the images, by their positions; not of masks."""
        return SplitPredictions(
            findings={
                name: Predictions(
                    images=tuple(one.images[i] for i in at),
                    patients=tuple(one.patients[i] for i in at),
                    labels=one.labels[at],
                    probabilities=one.probabilities[at],
                    losses=one.losses[at],
                )
                for name, one in self.findings.items()
            }
        )

    def write_csv(self, path: Path, *, of: str = "image") -> None:
        """Write one row an image (or what `of` says): image, patient, label, probability.

        With several findings there are label_<finding>, probability_<finding> of each.
        """
        first = next(iter(self.findings.values()))
        suffixes = suffixed(self.findings)
        with path.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            names = [f"{what}{s}" for s in suffixes.values() for what in ("label", "probability")]
            table.writerow((of, "patient", *names))
            for at, (image, patient) in enumerate(zip(first.images, first.patients, strict=True)):
                cells: list[str] = []
                for one in self.findings.values():
                    label = one.labels[at]
                    cells += ["" if math.isnan(label) else f"{label:g}"]
                    cells += [f"{one.probabilities[at]:.9g}"]
                table.writerow((image, patient, *cells))


def suffixed(findings: Mapping[str, Any]) -> dict[str, str]:
    """What is put behind the names of a finding's columns: "_<finding>", nothing of one alone."""
    return {name: f"_{name}" if len(findings) > 1 else "" for name in findings}


@dataclasses.dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """What turns a finding's probability into an answer, chosen on the validation split.

    Attributes:
      threshold: at or above it an uncalibrated probability is positive.
      temperature: of the calibration, for `calibration.apply_temperature`.
    """

    threshold: float
    temperature: float


def choose_points(validation: SplitPredictions) -> dict[str, OperatingPoint]:
    """Each finding's operating point of largest Youden index, and its temperature."""
    return {
        name: OperatingPoint(threshold=choose_threshold(one), temperature=choose_temperature(one))
        for name, one in validation.findings.items()
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitEvaluation:
    """How well a split is predicted.

    Attributes:
      findings: the numbers of each.
      macro: of each of their estimates the mean over the findings of which both classes are there.
      images, patients: counts, of all images.
      positives: how many of them have any of the findings.
      loss: mean over all known labels.
    """

    findings: Mapping[str, Evaluation]
    macro: Mapping[str, Estimate]
    images: int
    patients: int
    positives: int
    loss: float

    @property
    def points(self) -> dict[str, OperatingPoint]:
        """At which it was evaluated."""
        return {
            name: OperatingPoint(threshold=one.threshold, temperature=one.temperature)
            for name, one in self.findings.items()
        }

    def to_json(self) -> dict[str, Any]:
        """Of one finding its numbers; of several "macro" and "findings", which has each."""
        if len(self.findings) == 1:
            return next(iter(self.findings.values())).to_json()
        numbers: dict[str, Any] = without_nan(dataclasses.asdict(self))
        return numbers


def evaluate_split(
    predictions: SplitPredictions,
    points: Mapping[str, OperatingPoint],
    *,
    key: Key[Array, ""],
    samples: int = 1000,
) -> SplitEvaluation:
    """All numbers of a split, with 95 % intervals of a bootstrap over patients.

    Args:
      points: of each finding, chosen on another split.
      key: of the resampling.
      samples: resamples behind each interval.
    """
    findings = {
        name: evaluate(
            one,
            threshold=points[name].threshold,
            temperature=points[name].temperature,
            key=key,
            samples=samples,
        )
        for name, one in predictions.findings.items()
    }
    labels = np.stack([one.labels for one in predictions.findings.values()], axis=-1)
    known = ~np.isnan(labels).all(-1)
    patients = np.asarray(next(iter(predictions.findings.values())).patients)[known]
    return SplitEvaluation(
        findings=findings,
        macro=_macro(predictions, findings, key=key, samples=samples),
        images=int(known.sum()),
        patients=len(set(patients)),
        positives=int((labels == 1).any(-1).sum()),
        loss=predictions.loss,
    )


_Resampled = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
_Scores = Callable[[np.ndarray, Evaluation], np.ndarray]


def _as_they_are(probabilities: np.ndarray, numbers: Evaluation) -> np.ndarray:
    return probabilities


def _called(probabilities: np.ndarray, numbers: Evaluation) -> np.ndarray:
    return (probabilities >= numbers.threshold).astype(np.float64)


def _calibrated(probabilities: np.ndarray, numbers: Evaluation) -> np.ndarray:
    return apply_temperature(probabilities, numbers.temperature)


_METRICS: dict[str, tuple[_Resampled, _Scores]] = {
    "auroc": (weighted.auroc, _as_they_are),
    "average_precision": (weighted.average_precision, _as_they_are),
    "sensitivity": (weighted.sensitivity, _called),
    "specificity": (weighted.specificity, _called),
    "expected_calibration_error": (weighted.calibration_error, _as_they_are),
    "calibrated_error": (weighted.calibration_error, _calibrated),
}
"""Name of an estimate -> the metric of many resamples, and of what of the probabilities."""


def _macro(
    predictions: SplitPredictions,
    findings: Mapping[str, Evaluation],
    *,
    key: Key[Array, ""],
    samples: int,
) -> dict[str, Estimate]:
    """Means over findings; each resample of patients takes all findings of their images."""
    if len(findings) == 1:
        return dict(next(iter(findings.values())).estimates)
    usable = [
        name for name, one in findings.items() if not math.isnan(one.estimates["auroc"].value)
    ]
    if not usable:
        nothing = Estimate(
            value=math.nan, low=math.nan, high=math.nan, reason="no finding has both classes"
        )
        return dict.fromkeys(_METRICS, nothing)
    reason = ""
    if len(usable) < len(findings):
        reason = f"mean over {len(usable)} of {len(findings)} findings; the others lack a class"
    names, patient = np.unique(predictions.findings[usable[0]].patients, return_inverse=True)
    macro = {}
    for name, (metric, scores) in _METRICS.items():
        means = []
        for counts in metrics.draws(key, names.size, samples, images=patient.size):
            weights = counts[:, patient]
            values = [
                _resample(predictions.findings[finding], findings[finding], metric, scores, weights)
                for finding in usable
            ]
            means.append(_nanmean(np.stack(values)))
        value = _mean([findings[finding].estimates[name].value for finding in usable])
        low, high = metrics.interval(np.concatenate(means))
        macro[name] = Estimate(value=value, low=low, high=high, reason=reason)
    return macro


def _resample(
    one: Predictions,
    numbers: Evaluation,
    metric: _Resampled,
    scores: _Scores,
    weights: Float[np.ndarray, "resample image"],
) -> Float[np.ndarray, "resample"]:
    known = ~np.isnan(one.labels)
    return metric(one.labels[known], scores(one.probabilities[known], numbers), weights[:, known])


def _nanmean(values: Float[np.ndarray, "finding resample"]) -> Float[np.ndarray, "resample"]:
    """Over the findings of which a resample has both classes; NaN where it has them of none."""
    count = (~np.isnan(values)).sum(0)
    return np.where(count > 0, np.nansum(values, 0) / np.maximum(count, 1), np.nan)


def _mean(values: list[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan
