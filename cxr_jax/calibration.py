"""Temperature scaling: make a probability of 0.8 right eight times in ten.

Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks, ICML 2017
(https://arxiv.org/abs/1706.04599). One number T divides the logit. As that keeps the order of the
images, it changes no AUROC, and a threshold on the uncalibrated probability stays as it is.

On the host, in NumPy and double precision.
"""

import numpy as np
from jaxtyping import ArrayLike, Float, Shaped
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

TEMPERATURES = (0.01, 100.0)
"""Where a temperature is looked for."""

_EXACT = 1e-7  # what is nearer to 0 or 1 is float32 rounding, and its logit infinite


def fit_temperature(
    labels: Shaped[ArrayLike, "image"], probabilities: Shaped[ArrayLike, "image"]
) -> float:
    """Find the T that makes the negative log likelihood of σ(logit(p) / T) smallest.

    The targets are not 1 and 0 but Platt's (N₊ + 1) / (N₊ + 2) and 1 / (N₋ + 2), where N₊ and N₋
    count the two classes: a small sample that is told apart without an error would otherwise drive
    T to 0 and every probability to 0 or 1. With many images they make no difference.

    Args:
      labels: 1, 0 or NaN (unknown, left out).
      probabilities: p, uncalibrated, in [0, 1]; those of exactly 0 and 1 are taken as 1e-7 from it.

    Returns:
      T in [0.01, 100]; above 1 where the probabilities were too sure. 1 where a class is absent,
      for then nothing can be learnt of it. 100 where the probabilities fall with the finding.

    Raises:
      ValueError: lengths differ, a label is another number, or a probability is outside [0, 1].

    Equals scikit-learn 1.9's method="temperature" but for Platt's targets (Probabilistic Outputs
    for Support Vector Machines, 1999).
    """
    y, p = np.asarray(labels, np.float64), _checked(probabilities)
    if y.shape != p.shape:
        raise ValueError(
            f"labels and probabilities must be of one length, got shapes {y.shape} and {p.shape}"
        )
    known = ~np.isnan(y)
    y, logits = y[known], _logit(p[known])
    if not np.isin(y, (0.0, 1.0)).all():
        raise ValueError(f"labels must be 1, 0 or NaN, got {y[~np.isin(y, (0.0, 1.0))][0]:g}")
    positives = int(y.sum())
    negatives = y.size - positives
    if not (positives and negatives):
        return 1.0
    targets = np.where(y == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return float(np.mean(np.logaddexp(0.0, scaled) - targets * scaled))

    found = minimize_scalar(
        loss, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-8}
    )
    return float(np.exp(found.x))


def apply_temperature(
    probabilities: Shaped[ArrayLike, "*shape"], temperature: float
) -> Float[np.ndarray, "*shape"]:
    """Calibrate: σ(logit(p) / T).

    Args:
      probabilities: p in [0, 1]; those of exactly 0 and 1 are taken as 1e-7 from it.
      temperature: T > 0, as `fit_temperature` gives it.

    Returns:
      Probabilities in (0, 1), float64, in the same order as p.

    Raises:
      ValueError: a probability is outside [0, 1], or T is not positive.
    """
    if not (np.isfinite(temperature) and temperature > 0):
        raise ValueError(f"temperature must be a positive number, got {temperature}")
    return np.asarray(expit(_logit(_checked(probabilities)) / temperature))


def _checked(probabilities: Shaped[ArrayLike, "*shape"]) -> np.ndarray:
    p = np.asarray(probabilities, np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(
            f"probabilities must be in [0, 1], got {p[~((p >= 0) & (p <= 1))].flat[0]}; "
            "give probabilities, not logits"
        )
    return p


def _logit(p: np.ndarray) -> np.ndarray:
    return np.asarray(logit(np.clip(p, _EXACT, 1.0 - _EXACT)))
