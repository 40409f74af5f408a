"""The sections of a report that say how well one finding, or several, are predicted."""

import math
from collections.abc import Mapping, Sequence

from cxr_jax.by_finding import SplitEvaluation, SplitPredictions
from cxr_jax.evaluation import Estimate, Evaluation, Predictions
from cxr_jax.reporting.curves import discrimination_curves, roc_curves
from cxr_jax.reporting.page import Section

NAMES = {
    "auroc": "AUROC",
    "average_precision": "Average precision",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "expected_calibration_error": "Expected calibration error",
    "calibrated_error": "Expected calibration error after temperature scaling",
}
_WIDE = 0.2  # an AUROC interval wider than this says little
_INTERVALS = "Intervals are 95 %, from resampling patients."


def result_sections(
    splits: Mapping[str, SplitEvaluation],
    predictions: SplitPredictions,
    *,
    chosen: str,
    loss: str | None = None,
) -> list[Section]:
    """Make the sections.

    Args:
      splits: the numbers by the heads of their columns, those of `predictions` first.
      predictions: of the split that is shown.
      chosen: how operating points and temperatures were found, to stand behind "chosen".
      loss: what the loss is called; None leaves it out.
    """
    shown = next(iter(splits.values()))
    text = [
        f"On {shown.images} images of {shown.patients} patients, {shown.positives} positive. "
        + _INTERVALS,
        "An image is called positive from the operating point on. It was chosen "
        f"{chosen}, and so was the temperature that divides logits to calibrate them. Operating "
        "point, curves and the other numbers are of the probabilities before that.",
    ]
    losses = [(loss, *(f"{split.loss:.4f}" for split in splits.values()))] if loss else []
    of = _of_one if len(shown.findings) == 1 else _of_several
    return of(splits, predictions, text, losses)


def _of_one(
    splits: Mapping[str, SplitEvaluation],
    predictions: SplitPredictions,
    text: Sequence[str],
    losses: Sequence[Sequence[str]],
) -> list[Section]:
    (finding, numbers), *_ = next(iter(splits.values())).findings.items()
    all_numbers = [split.findings[finding] for split in splits.values()]
    points = (
        f"The operating point is {numbers.threshold:.3f}, the temperature "
        f"{numbers.temperature:.3g}."
    )
    return [
        Section(
            title="Result",
            text=[*text, points, *cautions(numbers.estimates)],
            table=[
                ("", *splits),
                *(
                    (name, *(str(each.estimates[key]) for each in all_numbers))
                    for key, name in NAMES.items()
                ),
                *losses,
            ],
        ),
        Section(title="Confusion at the operating point", table=_confusion(numbers)),
        *_discrimination(predictions.findings[finding], numbers),
    ]


def _of_several(
    splits: Mapping[str, SplitEvaluation],
    predictions: SplitPredictions,
    text: Sequence[str],
    losses: Sequence[Sequence[str]],
) -> list[Section]:
    shown = next(iter(splits.values()))
    rows = [
        (
            finding,
            str(numbers.images),
            str(numbers.positives),
            *(_short(numbers.estimates[key]) for key in NAMES),
            f"{numbers.threshold:.3f}",
            f"{numbers.temperature:.3g}",
            numbers.estimates["auroc"].reason,
        )
        for finding, numbers in shown.findings.items()
    ]
    heads = ("", "images", "positive", *NAMES.values(), "operating point", "temperature", "")
    return [
        Section(
            title="Result",
            text=[
                *text,
                "These are means over the findings of which both classes are there.",
                *cautions(shown.macro),
            ],
            table=[
                ("mean over findings", *splits),
                *(
                    (name, *(str(split.macro[key]) for split in splits.values()))
                    for key, name in NAMES.items()
                ),
                *losses,
            ],
        ),
        Section(
            title="Each finding",
            text=["Of the images whose label of the finding is known."],
            table=[heads, *rows],
            figure=("roc", roc_curves(predictions, shown)),
            caption="ROC of each finding, the dot its operating point. Dotted: chance.",
        ),
    ]


def _short(estimate: Estimate) -> str:
    """Without the reason where a number is missing."""
    if math.isnan(estimate.value):
        return "–"
    return f"{estimate.value:.3f}" if math.isnan(estimate.low) else str(estimate)


def cautions(estimates: Mapping[str, Estimate]) -> list[str]:
    """What a reader must not overlook."""
    auroc = estimates["auroc"]
    reasons: dict[str, list[str]] = {}
    for name, estimate in estimates.items():
        reasons.setdefault(estimate.reason, []).append(NAMES[name])
    said = [f"{', '.join(names)}: {reason}." for reason, names in reasons.items() if reason]
    if auroc.high - auroc.low > _WIDE:
        said.append(
            f"The AUROC's interval, {auroc.low:.2f} to {auroc.high:.2f}, is wide: these images are "
            "too few to tell how good the model is."
        )
    return said


def _confusion(numbers: Evaluation) -> list[tuple[str, str, str]]:
    counts = {name: str(count) for name, count in numbers.confusion.items()}
    return [
        ("", "called positive", "called negative"),
        ("finding present", counts["true_positives"], counts["false_negatives"]),
        ("finding absent", counts["false_positives"], counts["true_negatives"]),
    ]


def _discrimination(predictions: Predictions, numbers: Evaluation) -> list[Section]:
    if math.isnan(numbers.estimates["auroc"].value):
        return []
    return [
        Section(
            title="Discrimination and calibration",
            figure=("discrimination", discrimination_curves(predictions, numbers)),
            caption="Dotted: chance, prevalence, perfect calibration.",
        )
    ]
