"""From predictions of a finding to numbers with intervals."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Array, Bool, Float, Key, UInt8

from cxr_jax import metrics
from cxr_jax.calibration import apply_temperature, fit_temperature


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskPredictions:
    """What a model says of the masks of each image of a split.

    Attributes:
      names: the findings or structures.
      dice: of the masks that the rule decides, 1 for empty on empty, in [0, 1].
      present: whether the true mask has any pixel.
      probabilities: of each pixel, in steps of 1 / 255; None where they were not kept.
    """

    names: tuple[str, ...]
    dice: Float[np.ndarray, "image mask"]
    present: Bool[np.ndarray, "image mask"]
    probabilities: UInt8[np.ndarray, "image height width mask"] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Predictions:
    """What a model says of a finding of each image of a split, in the order of the split.

    Attributes:
      images, patients: names, one an image.
      labels: 1, 0 or NaN.
      probabilities: of the finding, in [0, 1].
      losses: without smoothing or mixing; 0 where the label is unknown.
    """

    images: tuple[str, ...]
    patients: tuple[str, ...]
    labels: Float[np.ndarray, "image"]
    probabilities: Float[np.ndarray, "image"]
    losses: Float[np.ndarray, "image"]

    @property
    def loss(self) -> float:
        """Mean over the known labels; NaN where there is none."""
        known = ~np.isnan(self.labels)
        return float(self.losses[known].mean()) if known.any() else math.nan

    @property
    def auroc(self) -> float:
        """NaN where a class is absent."""
        return metrics.auroc(self.labels, self.probabilities)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number, its 95 % interval, and why one of them is missing (NaN) or says nothing."""

    value: float
    low: float
    high: float
    reason: str = ""

    def __str__(self) -> str:
        if math.isnan(self.value):
            return f"not defined: {self.reason}"
        if math.isnan(self.low):
            return f"{self.value:.3f} (no interval: {self.reason})"
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How well a split is predicted.

    Attributes:
      images, patients, positives: counts, of images with a known label; where predictions were
        aggregated, of breasts or cases.
      threshold: the operating point: at or above it an image is called positive.
      temperature: of the calibration; it does not concern the threshold.
      estimates: by name: auroc, average_precision, sensitivity, specificity,
        expected_calibration_error, and calibrated_error, the same after temperature scaling.
      confusion: true_positives, false_positives, false_negatives, true_negatives.
      loss: mean of the task's loss on plain labels, with its class weights.
    """

    images: int
    patients: int
    positives: int
    threshold: float
    temperature: float
    estimates: Mapping[str, Estimate]
    confusion: Mapping[str, int]
    loss: float

    def to_json(self) -> dict[str, Any]:
        """As JSON has no NaN, a missing number is null, beside its reason."""
        return without_nan(dataclasses.asdict(self))


def choose_threshold(validation: Predictions) -> float:
    """The operating point of largest Youden index; 0.5 where validation lacks a class."""
    if _missing_class(validation.labels):
        return 0.5
    return metrics.operating_point(validation.labels, validation.probabilities)


def choose_temperature(validation: Predictions) -> float:
    """Of temperature scaling; 1, which changes nothing, where validation lacks a class."""
    return fit_temperature(validation.labels, validation.probabilities)


def evaluate(
    predictions: Predictions,
    *,
    threshold: float,
    temperature: float = 1.0,
    key: Key[Array, ""],
    samples: int = 1000,
) -> Evaluation:
    """All numbers of a split, with 95 % intervals of a bootstrap over patients.

    Args:
      threshold: the operating point, chosen on another split, of the uncalibrated probability.
      temperature: of the calibration, fitted on another split.
      key: of the resampling.
      samples: resamples behind each interval.
    """
    known = ~np.isnan(predictions.labels)
    labels, probabilities = predictions.labels[known], predictions.probabilities[known]
    patients = np.asarray(predictions.patients)[known]

    def sensitivity(labels: np.ndarray, scores: np.ndarray) -> float:
        return metrics.confusion(labels, scores, threshold=threshold).sensitivity

    def specificity(labels: np.ndarray, scores: np.ndarray) -> float:
        return metrics.confusion(labels, scores, threshold=threshold).specificity

    names: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
        "auroc": metrics.auroc,
        "average_precision": metrics.average_precision,
        "sensitivity": sensitivity,
        "specificity": specificity,
        "expected_calibration_error": metrics.expected_calibration_error,
    }
    estimates = {
        name: _estimate(metric, labels, probabilities, patients, key=key, samples=samples)
        for name, metric in names.items()
    }
    estimates["calibrated_error"] = _estimate(
        metrics.expected_calibration_error,
        labels,
        apply_temperature(probabilities, temperature),
        patients,
        key=key,
        samples=samples,
    )
    counts = metrics.confusion(labels, probabilities, threshold=threshold)
    return Evaluation(
        images=len(labels),
        patients=len(set(patients)),
        positives=int(labels.sum()),
        threshold=threshold,
        temperature=temperature,
        estimates=estimates,
        confusion={
            "true_positives": counts.tp,
            "false_positives": counts.fp,
            "false_negatives": counts.fn,
            "true_negatives": counts.tn,
        },
        loss=predictions.loss,
    )


def _estimate(
    metric: Callable[[np.ndarray, np.ndarray], float],
    labels: np.ndarray,
    probabilities: np.ndarray,
    patients: np.ndarray,
    *,
    key: Key[Array, ""],
    samples: int,
) -> Estimate:
    value = metric(labels, probabilities) if len(labels) else math.nan
    if math.isnan(value):
        return Estimate(value=value, low=value, high=value, reason=_missing_class(labels))
    low, high = metrics.bootstrap_interval(
        metric, labels, probabilities, groups=patients, key=key, samples=samples
    )
    reason = ""
    if math.isnan(low):
        reason = "fewer than two patients of a class"
    elif low == high:
        reason = "every resample gives the same number, which overstates how sure it is"
    return Estimate(value=value, low=low, high=high, reason=reason)


def estimate_mean(
    values: Float[np.ndarray, "image"],
    patients: Sequence[str],
    *,
    key: Key[Array, ""],
    samples: int = 1000,
) -> Estimate:
    """The mean of a number an image, with the 95 % interval of a bootstrap over patients."""
    if not len(values):
        return Estimate(value=math.nan, low=math.nan, high=math.nan, reason="no images")
    low, high = metrics.mean_interval(values, groups=patients, key=key, samples=samples)
    reason = "fewer than two patients" if math.isnan(low) else ""
    return Estimate(value=float(values.mean()), low=low, high=high, reason=reason)


def compare(
    one: Predictions, other: Predictions, *, key: Key[Array, ""], samples: int = 1000
) -> Estimate:
    """How much higher the AUROC of one model is than another's, on the same images.

    The interval is of the difference: each resample of patients takes both models' predictions.

    Raises:
      ValueError: they are of other images.
    """
    if one.images != other.images:
        raise ValueError("predictions must be of the same images in the same order to be compared")
    known = np.flatnonzero(~np.isnan(one.labels))

    def difference(labels: np.ndarray, positions: np.ndarray) -> float:
        at = positions.astype(int)
        return metrics.auroc(labels, one.probabilities[at]) - metrics.auroc(
            labels, other.probabilities[at]
        )

    patients = np.asarray(one.patients)[known]
    return _estimate(
        difference, one.labels[known], known.astype(float), patients, key=key, samples=samples
    )


def _missing_class(labels: Float[np.ndarray, "image"]) -> str:
    """Which class is absent, in words; "" where both are there."""
    positives, negatives = int((labels == 1).sum()), int((labels == 0).sum())
    if positives and negatives:
        return ""
    return f"{positives} positive and {negatives} negative images; both are needed"


def without_nan(value: Any) -> Any:
    """A tree of plain values for JSON, which has no NaN: None instead."""
    if isinstance(value, Mapping):
        return {key: without_nan(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(child) for child in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
