"""The report's section on the cardiothoracic ratio."""

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from cxr_jax.evaluation import Estimate
from cxr_jax.reporting.curves import ACCENT, FAINT
from cxr_jax.reporting.page import Section


def ratio_section(
    measured: Float[np.ndarray, "image"], true: Float[np.ndarray, "image"], error: Estimate
) -> Section:
    """Set measured ratios against the true ones.

    Args:
      measured: NaN where heart or lungs were not found.
      true: the data set's own.
      error: the mean absolute difference.
    """
    found = ~np.isnan(measured)
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    scatter, difference = figure.subplots(1, 2)
    low, high = 0.95 * min(true.min(), 0.5), 1.05 * max(true.max(), 0.5)
    scatter.plot([low, high], [low, high], color=FAINT, ls=":")
    scatter.plot(true[found], measured[found], ".", color=ACCENT)
    scatter.axvline(0.5, color=FAINT, lw=0.8)
    scatter.axhline(0.5, color=FAINT, lw=0.8)
    scatter.set(xlabel="true ratio", ylabel="measured ratio", aspect="equal")
    difference.hist((measured - true)[found], bins=20, color=ACCENT)
    difference.set(xlabel="measured − true", ylabel="images")
    difference.locator_params(axis="x", nbins=5)
    return Section(
        title="Cardiothoracic ratio",
        text=[
            "The widest extent of the heart over that of the lungs, from outlines that a second "
            "network draws; it was trained on the masks of this data set's training images. "
            f"Mean absolute error on the test images: {error}; heart or lungs were not "
            f"found in {int((~found).sum())} of {len(true)}. It explains the classifier to the eye "
            "and takes no part in its decision.",
        ],
        figure=("cardiothoracic_ratio", figure),
        caption="Grey lines: 0.5, above which a heart counts as enlarged.",
    )
