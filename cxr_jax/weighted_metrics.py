"""Metrics of the same images under many weightings at once, as a bootstrap needs them.

Labels are 1 or 0, [image]; weights count how often each image is there, [resample, image]. One sort
of the scores serves all resamples. What a missing class leaves undefined is NaN.
"""

import math

import numpy as np
from jaxtyping import Float


def below(
    labels: Float[np.ndarray, "image"],
    scores: Float[np.ndarray, "image"],
    weights: Float[np.ndarray, "resample image"],
) -> tuple[Float[np.ndarray, "resample step"], Float[np.ndarray, "resample step"]]:
    """Weight of the positives and of the negatives below each distinct score; the last: of all."""
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    first = np.append(True, ranked[1:] != ranked[:-1])[: ranked.size]
    steps = np.append(np.flatnonzero(first), ranked.size)
    weights = weights[:, order]

    def accumulate(chosen: Float[np.ndarray, "image"]) -> Float[np.ndarray, "resample step"]:
        running = np.zeros((len(weights), chosen.size + 1))
        np.cumsum(weights * chosen[order], axis=1, out=running[:, 1:])
        return running[:, steps]

    return accumulate(labels), accumulate(1.0 - labels)


def auroc(
    labels: Float[np.ndarray, "image"],
    scores: Float[np.ndarray, "image"],
    weights: Float[np.ndarray, "resample image"],
) -> Float[np.ndarray, "resample"]:
    """`metrics.auroc` of each resample."""
    positives, negatives = below(labels, scores, weights)
    wins = (np.diff(positives, axis=1) * (negatives[:, 1:] + negatives[:, :-1])).sum(axis=1) / 2.0
    return _ratio(wins, positives[:, -1] * negatives[:, -1])


def average_precision(
    labels: Float[np.ndarray, "image"],
    scores: Float[np.ndarray, "image"],
    weights: Float[np.ndarray, "resample image"],
) -> Float[np.ndarray, "resample"]:
    """`metrics.average_precision` of each resample."""
    positives, negatives = below(labels, scores, weights)
    detected = positives[:, -1:] - positives[:, :-1]
    called = detected + negatives[:, -1:] - negatives[:, :-1]
    precision = np.divide(detected, called, out=np.zeros_like(called), where=called > 0)
    area = (np.diff(positives, axis=1) * precision).sum(axis=1)
    return _ratio(area, positives[:, -1] * (negatives[:, -1] > 0))


def sensitivity(
    labels: Float[np.ndarray, "image"],
    called: Float[np.ndarray, "image"],
    weights: Float[np.ndarray, "resample image"],
) -> Float[np.ndarray, "resample"]:
    """Share of the positives that are called positive (1) in each resample."""
    return _ratio(weights @ (labels * called), weights @ labels)


def specificity(
    labels: Float[np.ndarray, "image"],
    called: Float[np.ndarray, "image"],
    weights: Float[np.ndarray, "resample image"],
) -> Float[np.ndarray, "resample"]:
    """Share of the negatives that are called negative (0) in each resample."""
    return sensitivity(1.0 - labels, 1.0 - called, weights)


def calibration_error(
    labels: Float[np.ndarray, "image"],
    probabilities: Float[np.ndarray, "image"],
    weights: Float[np.ndarray, "resample image"],
    *,
    bins: int = 15,
) -> Float[np.ndarray, "resample"]:
    """`metrics.expected_calibration_error` of each resample."""
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}")
    if ((probabilities < 0) | (probabilities > 1)).any():
        raise ValueError("probabilities must be in [0, 1]; apply a sigmoid or softmax to logits")
    index = np.maximum(np.ceil(probabilities * bins).astype(int) - 1, 0)
    excess = np.zeros((labels.size, bins))
    excess[np.arange(labels.size), index] = labels - probabilities
    return _ratio(np.abs(weights @ excess).sum(axis=1), weights.sum(axis=1))


def _ratio(
    numerator: Float[np.ndarray, "resample"], denominator: Float[np.ndarray, "resample"]
) -> Float[np.ndarray, "resample"]:
    """Numerator / denominator, NaN where that is 0."""
    nan = np.full_like(numerator, math.nan)
    return np.divide(numerator, denominator, out=nan, where=denominator > 0)
