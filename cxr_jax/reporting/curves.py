"""Figures of training and of predictions."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn import metrics as sklearn_metrics

from cxr_jax.by_finding import SplitEvaluation, SplitPredictions
from cxr_jax.evaluation import Evaluation, Predictions

_IN_A_ROW = 4  # of small figures
INK, ACCENT, FAINT = "#1f2933", "#0b6e99", "#9aa5b1"


def training_curves(history: Sequence[Mapping[str, Any]]) -> Figure:
    """Loss, the validation score that chooses the model, and learning rate, by epoch."""
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    loss, score, rate = figure.subplots(1, 3)
    epochs = [row["epoch"] for row in history]

    def values(key: str) -> list[float]:
        return [np.nan if row[key] is None else row[key] for row in history]

    has_masks = "validation_dice" in history[0]
    kept_by, name = ("validation_dice", "Dice") if has_masks else ("validation_auroc", "AUROC")
    loss.plot(
        epochs, values("train_loss"), marker="o", color=FAINT, label="training (smoothed, mixed)"
    )
    loss.plot(epochs, values("validation_loss"), marker="o", color=ACCENT, label="validation")
    loss.set(title="Loss of masks and label" if has_masks else "Cross entropy", xlabel="epoch")
    loss.legend(frameon=False)
    score.plot(epochs, values(kept_by), marker="o", color=ACCENT)
    best = [row for row in history if row["is_best"] and row[kept_by] is not None]
    if best:
        score.plot(best[-1]["epoch"], best[-1][kept_by], "o", ms=12, mfc="none", color=INK)
    score.set(title=f"Validation {name} (ring: the model kept)", xlabel="epoch")
    rate.plot(epochs, values("lr"), marker="o", color=ACCENT)
    rate.set(title="Learning rate at the epoch's end", xlabel="epoch")
    for axes in (loss, score, rate):
        axes.xaxis.get_major_locator().set_params(integer=True)
    return figure


def roc_curves(predictions: SplitPredictions, evaluation: SplitEvaluation) -> Figure:
    """The ROC of each finding with its operating point, or why there is none."""
    rows = -(-len(evaluation.findings) // _IN_A_ROW)
    figure = Figure(figsize=(11, 2.9 * rows), layout="constrained")
    cells = figure.subplots(rows, _IN_A_ROW, squeeze=False).flat
    for finding, axes in itertools.zip_longest(evaluation.findings, cells):
        if finding is None:
            axes.set_axis_off()
            continue
        one, numbers = predictions.findings[finding], evaluation.findings[finding]
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", xticks=[0, 1])
        axes.set(yticks=[0, 1])
        auroc = numbers.estimates["auroc"]
        if np.isnan(auroc.value):
            axes.set_title(finding, fontsize=9)
            axes.text(0.5, 0.5, "lacks a class", ha="center", va="center", fontsize=9, color=INK)
            continue
        known = ~np.isnan(one.labels)
        fpr, tpr, _ = sklearn_metrics.roc_curve(one.labels[known], one.probabilities[known])
        axes.plot([0, 1], [0, 1], color=FAINT, ls=":")
        axes.plot(fpr, tpr, color=ACCENT)
        estimates = numbers.estimates
        axes.plot(
            1 - estimates["specificity"].value, estimates["sensitivity"].value, "o", color=INK
        )
        axes.set_title(f"{finding}\n{auroc.value:.3f}, {numbers.positives} positive", fontsize=9)
    figure.supxlabel("1 − specificity", fontsize=10)
    figure.supylabel("sensitivity", fontsize=10)
    return figure


def discrimination_curves(predictions: Predictions, evaluation: Evaluation) -> Figure:
    """ROC with the operating point, precision and recall, calibration, and the probabilities.

    Raises:
      ValueError: a class is absent, so that there is no curve.
    """
    known = ~np.isnan(predictions.labels)
    labels, scores = predictions.labels[known], predictions.probabilities[known]
    if len(set(labels)) < 2:
        raise ValueError(f"curves need both classes, got only label {labels[:1]}")
    figure = Figure(figsize=(11, 8.5), layout="constrained")
    ((roc, precision), (calibration, histogram)) = figure.subplots(2, 2)

    fpr, tpr, _ = sklearn_metrics.roc_curve(labels, scores)
    roc.plot([0, 1], [0, 1], color=FAINT, ls=":")
    roc.plot(fpr, tpr, color=ACCENT)
    sensitivity = evaluation.estimates["sensitivity"].value
    specificity = evaluation.estimates["specificity"].value
    roc.plot(1 - specificity, sensitivity, "o", color=INK, label="operating point")
    roc.legend(frameon=False, loc="lower right")
    roc.set(
        title=f"ROC: AUROC {evaluation.estimates['auroc']}",
        xlabel="1 − specificity",
        ylabel="sensitivity",
        aspect="equal",
    )
    values, recall, _ = sklearn_metrics.precision_recall_curve(labels, scores)
    precision.plot(recall, values, color=ACCENT)
    precision.axhline(labels.mean(), color=FAINT, ls=":")
    precision.set(
        title=f"Average precision {evaluation.estimates['average_precision']}",
        xlabel="recall (sensitivity)",
        ylabel="precision (positive predictive value)",
        ylim=(0, 1.02),
    )
    bins = np.minimum((scores * 10).astype(int), 9)
    filled = [b for b in range(10) if (bins == b).any()]
    calibration.plot([0, 1], [0, 1], color=FAINT, ls=":")
    calibration.plot(
        [scores[bins == b].mean() for b in filled],
        [labels[bins == b].mean() for b in filled],
        marker="o",
        color=ACCENT,
    )
    calibration.set(
        title="Calibration (tenths of the probability)",
        xlabel="mean predicted probability",
        ylabel="observed fraction",
        aspect="equal",
    )
    histogram.hist(
        scores[labels == 0], bins=20, range=(0, 1), color=FAINT, alpha=0.7, label="negative"
    )
    histogram.hist(
        scores[labels == 1], bins=20, range=(0, 1), color=ACCENT, alpha=0.7, label="positive"
    )
    histogram.axvline(evaluation.threshold, color=INK, lw=1, label="operating point")
    histogram.legend(frameon=False, loc="upper center")
    histogram.set(title="Predicted probabilities", xlabel="probability", ylabel="images")
    return figure
