"""How well scores tell a finding: AUROC and its kin, with intervals over patients.

On the host, in NumPy and double precision. Labels are 1 (present), 0 (absent) or NaN (unknown, left
out); scores and probabilities rise with the finding. What a missing class leaves undefined is NaN.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence

import jax
import numpy as np
from jaxtyping import ArrayLike, Float, PRNGKeyArray, Shaped

from cxr_jax import weighted_metrics as weighted

Metric = Callable[[np.ndarray, np.ndarray], float]


def auroc(labels: Shaped[ArrayLike, "image"], scores: Shaped[ArrayLike, "image"]) -> float:
    """Area under the ROC curve: how often a positive scores above a negative, ties half.

    Args:
      labels: 1, 0 or NaN.
      scores: of any range.

    Returns:
      A number in [0, 1]; NaN where a class is absent.

    Raises:
      ValueError: lengths differ, a label is another number, or a score is NaN.

    Equals sklearn.metrics.roc_auc_score.
    """
    labels, scores = _known(labels, scores)
    return float(weighted.auroc(labels, scores, np.ones((1, labels.size)))[0])


def average_precision(
    labels: Shaped[ArrayLike, "image"], scores: Shaped[ArrayLike, "image"]
) -> float:
    """Average precision: the area under the steps of the precision-recall curve.

        Σₙ (Rₙ - Rₙ₋₁) Pₙ        over the distinct scores from above

    Args, Returns, Raises: as `auroc`.

    Equals sklearn.metrics.average_precision_score where both classes are there.
    """
    labels, scores = _known(labels, scores)
    return float(weighted.average_precision(labels, scores, np.ones((1, labels.size)))[0])


def expected_calibration_error(
    labels: Shaped[ArrayLike, "image"], probabilities: Shaped[ArrayLike, "image"], *, bins: int = 15
) -> float:
    """Mean distance between the predicted probability of the finding and its frequency.

        Σ_b n_b / n |mean label in b - mean probability in b|

    over bins of equal width, closed above; those of probability 0 belong to the first.

    Args:
      labels: 1, 0 or NaN.
      probabilities: in [0, 1].
      bins: at least 1.

    Returns:
      A number in [0, 1]; NaN where no label is known.

    Raises:
      ValueError: as `auroc`, or a probability is outside [0, 1].

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, with the probability
    of the finding in the place of the top class' confidence.
    """
    labels, probabilities = _known(labels, probabilities)
    ones = np.ones((1, labels.size))
    return float(weighted.calibration_error(labels, probabilities, ones, bins=bins)[0])


def operating_point(
    labels: Shaped[ArrayLike, "image"], probabilities: Shaped[ArrayLike, "image"]
) -> float:
    """Choose the threshold of the largest Youden index, sensitivity + specificity - 1.

    Returns:
      One of the probabilities; at or above it an image is called positive. Of several equally good
      ones the lowest, which misses the fewest positives. NaN where a class is absent.

    Raises:
      ValueError: as `auroc`.
    """
    labels, probabilities = _known(labels, probabilities)
    positives, negatives = labels.sum(), (1.0 - labels).sum()
    if not (positives and negatives):
        return math.nan
    below = weighted.below(labels, probabilities, np.ones((1, labels.size)))
    detected, alarmed = positives - below[0][0, :-1], negatives - below[1][0, :-1]
    # Whole numbers, so that equally good thresholds are exactly equal.
    youden = detected * negatives - alarmed * positives
    return float(np.unique(probabilities)[np.argmax(youden)])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Confusion:
    """Counts of true and false positives and negatives."""

    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def sensitivity(self) -> float:
        """Share of the positives that are called positive; NaN where there is none."""
        return self.tp / (self.tp + self.fn) if self.tp + self.fn else math.nan

    @property
    def specificity(self) -> float:
        """Share of the negatives that are called negative; NaN where there is none."""
        return self.tn / (self.tn + self.fp) if self.tn + self.fp else math.nan


def confusion(
    labels: Shaped[ArrayLike, "image"],
    probabilities: Shaped[ArrayLike, "image"],
    *,
    threshold: float,
) -> Confusion:
    """Count right and wrong calls, where an image is called positive at probability >= threshold.

    Raises:
      ValueError: as `auroc`, or the threshold is NaN.
    """
    labels, probabilities = _known(labels, probabilities)
    if math.isnan(threshold):
        raise ValueError(
            "threshold must be a number, got NaN; was a class absent when it was chosen?"
        )
    present, called = labels == 1, probabilities >= threshold
    return Confusion(
        tp=int((present & called).sum()),
        fp=int((~present & called).sum()),
        fn=int((present & ~called).sum()),
        tn=int((~present & ~called).sum()),
    )


def dice(prediction: Shaped[ArrayLike, "*pixels"], target: Shaped[ArrayLike, "*pixels"]) -> float:
    """Dice coefficient of two masks, 2 |A ∩ B| / (|A| + |B|); 1 where both are empty.

    Args:
      prediction, target: booleans, or 0 and 1.

    Returns:
      A number in [0, 1].

    Raises:
      ValueError: the shapes differ, or a mask holds something else.
    """
    a, b = np.asarray(prediction), np.asarray(target)
    if a.shape != b.shape:
        raise ValueError(f"prediction and target must have one shape, got {a.shape} and {b.shape}")
    for name, mask in (("prediction", a), ("target", b)):
        if not np.isin(mask, (0, 1)).all():
            raise ValueError(f"{name} must hold 0 and 1 alone; compare it to a threshold first")
    a, b = a.astype(bool), b.astype(bool)
    size = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / size if size else 1.0


def bootstrap_interval(
    metric: Metric,
    labels: Shaped[ArrayLike, "image"],
    scores: Shaped[ArrayLike, "image"],
    *,
    groups: Sequence[str] | Sequence[int] | Shaped[np.ndarray, "image"] | None = None,
    key: PRNGKeyArray,
    samples: int = 1000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Interval of a metric by the percentile bootstrap over whole patients.

    Patients are drawn with replacement, as many as there are, each with all of its images: those
    are alike, and counting them as independent would make the interval too narrow.

    Args:
      metric: of labels and scores. Those of this module are computed for all resamples at once
        (25,000 images and 1,000 resamples within seconds), any other is called for each.
      labels: 1, 0 or NaN.
      scores: as the metric wants them.
      groups: the patient of each image; None where each image is a patient of its own.
      key: of the draws; the same key gives the same interval.
      samples: resamples; those on which the metric is undefined (a class is absent) are skipped.
      level: share of the resamples' values that lie within, in (0, 1).

    Returns:
      (low, high); NaN where fewer than two patients have one of the classes, for then the
      resamples say nothing about how much it varies.

    Raises:
      ValueError: as `auroc`, groups has another length, or samples or level is out of its range.
    """
    if samples < 1:
        raise ValueError(f"samples must be at least 1, got {samples}")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must be in (0, 1), got {level!r}")
    known = ~np.isnan(np.asarray(labels, np.float64))
    patients = np.arange(known.size) if groups is None else np.asarray(groups)
    if patients.shape != known.shape:
        raise ValueError(
            f"groups must name one patient an image, {known.size} in all, got {patients.size}"
        )
    labels, scores = _known(labels, scores)
    names, patient = np.unique(patients[known], return_inverse=True)
    if any(np.unique(patient[labels == label]).size < 2 for label in (0.0, 1.0)):
        return math.nan, math.nan
    resample = _WEIGHTED.get(metric) or _one_by_one(metric)
    values = [
        resample(labels, scores, counts[:, patient])
        for counts in draws(key, names.size, samples, images=labels.size)
    ]
    return interval(np.concatenate(values), level=level)


def mean_interval(
    values: Float[np.ndarray, "image"],
    *,
    groups: Sequence[str] | Sequence[int] | Shaped[np.ndarray, "image"],
    key: PRNGKeyArray,
    samples: int = 1000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Interval of a mean by the percentile bootstrap over whole patients, as `bootstrap_interval`.

    Returns:
      (low, high); NaN where there are fewer than two patients.
    """
    names, patient = np.unique(np.asarray(groups), return_inverse=True)
    if names.size < 2:
        return math.nan, math.nan
    sums, sizes = np.bincount(patient, weights=values), np.bincount(patient)
    means = [
        (counts @ sums) / (counts @ sizes)
        for counts in draws(key, names.size, samples, images=values.size)
    ]
    return interval(np.concatenate(means), level=level)


def interval(values: Float[np.ndarray, "resample"], *, level: float = 0.95) -> tuple[float, float]:
    """Percentiles of what resamples give; NaN where none gives a number."""
    values = values[~np.isnan(values)]
    if not values.size:
        return math.nan, math.nan
    low, high = np.quantile(values, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return float(low), float(high)


def draws(
    key: PRNGKeyArray, patients: int, samples: int, *, images: int
) -> Iterator[Float[np.ndarray, "resample patient"]]:
    """How often each patient is drawn, some resamples at a time to bound the memory."""
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())
    rows = max(1, _ELEMENTS // images)
    for start in range(0, samples, rows):
        count = min(rows, samples - start)
        drawn = rng.integers(patients, size=(count, patients))
        drawn += patients * np.arange(count)[:, None]
        tallies = np.bincount(drawn.ravel(), minlength=count * patients)
        yield tallies.reshape(count, patients).astype(np.float64)


_ELEMENTS = 2**20  # of a block of resamples times images: what a processor's cache holds is fastest


_WEIGHTED: dict[Metric, Callable[..., np.ndarray]] = {
    auroc: weighted.auroc,
    average_precision: weighted.average_precision,
    expected_calibration_error: weighted.calibration_error,
}


def _one_by_one(metric: Metric) -> Callable[..., np.ndarray]:
    def resample(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
        images = np.arange(labels.size)
        chosen = (np.repeat(images, row) for row in weights.astype(np.int64))
        return np.array([metric(labels[index], scores[index]) for index in chosen], np.float64)

    return resample


def _known(
    labels: Shaped[ArrayLike, "image"], scores: Shaped[ArrayLike, "image"]
) -> tuple[Float[np.ndarray, "known"], Float[np.ndarray, "known"]]:
    """Both as float64 where the label is known, checked."""
    y, s = np.asarray(labels, np.float64), np.asarray(scores, np.float64)
    if y.ndim != 1 or y.shape != s.shape:
        raise ValueError(
            f"labels and scores must be of one length, got shapes {y.shape} and {s.shape}; "
            "give several findings column by column"
        )
    known = ~np.isnan(y)
    y, s = y[known], s[known]
    if not np.isin(y, (0.0, 1.0)).all():
        raise ValueError(f"labels must be 1, 0 or NaN, got {y[~np.isin(y, (0.0, 1.0))][0]:g}")
    if np.isnan(s).any():
        raise ValueError(f"scores must be numbers, got {int(np.isnan(s).sum())} NaN")
    return y, s
