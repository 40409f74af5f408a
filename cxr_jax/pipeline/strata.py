"""The classes that splits and batches are balanced by."""

import numpy as np
from jaxtyping import Float, Int


def rarest_finding(labels: Float[np.ndarray, "row label"]) -> Int[np.ndarray, "row"]:
    """Say for each row which of its positive labels is the rarest of all.

    Args:
      labels: 1, 0 or NaN; of images, or of patients.

    Returns:
      The label's column; where none is positive, the number of columns.
    """
    positive = labels == 1
    frequency = positive.sum(axis=0)
    rarest = np.where(positive, frequency, np.inf).argmin(axis=1)
    return np.where(positive.any(axis=1), rarest, labels.shape[1])
