"""What becomes of findings that a report neither affirms nor denies."""

import math

import numpy as np
from jaxtyping import Float32

from cxr_jax.pipeline.record import UNCERTAIN

POLICIES: dict[str, tuple[float, float]] = {
    "ignore": (math.nan, math.nan),
    "zeros": (0.0, 0.0),
    "ones": (1.0, 1.0),
    "smooth": (0.55, 0.85),
}
"""Policy -> the range from which a label is drawn."""


def settle(
    labels: Float32[np.ndarray, "image finding"], *, policy: str, seed: int
) -> Float32[np.ndarray, "image finding"]:
    """Replace the labels that are UNCERTAIN.

    Args:
      labels: 1, 0, UNCERTAIN or NaN.
      policy: "ignore" makes them unknown, "zeros" absent, "ones" present (U-Ignore, U-Zeros and
        U-Ones of Irvin et al., CheXpert, AAAI 2019); "smooth" draws each from [0.55, 0.85), one
        draw for the whole training (U-Ones+LSR of Pham et al., Neurocomputing 437, 2021).
      seed: of the draws.

    Returns:
      New labels: 1, 0, NaN, and with "smooth" numbers between.

    Raises:
      ValueError: policy is another word.
    """
    if policy not in POLICIES:
        raise ValueError(f"uncertain must be one of {', '.join(POLICIES)}, got {policy!r}")
    low, high = POLICIES[policy]
    drawn = low + (high - low) * np.random.default_rng(seed).random(labels.shape, np.float32)
    return np.where(labels == UNCERTAIN, drawn, labels).astype(np.float32)
