"""The report of a run: what was asked, how well it is answered, by what, from what."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from cxr_jax.evaluation import Estimate, Evaluation, Predictions
from cxr_jax.reporting.curves import discrimination_curves, training_curves
from cxr_jax.reporting.page import Section, write_page

NAMES = {
    "auroc": "AUROC",
    "average_precision": "Average precision",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "expected_calibration_error": "Expected calibration error",
    "calibrated_error": "Expected calibration error after temperature scaling",
}
_WIDE = 0.2  # an AUROC interval wider than this says little


@dataclasses.dataclass(frozen=True, kw_only=True)
class Findings:
    """What a report is made of.

    Attributes:
      title, subtitle: of the page.
      validation, test: numbers of the two splits.
      predictions: of the test split.
      counts: rows of the table of splits: split, images, patients, positives.
      history: one row an epoch.
      preprocessing, augmentation: sheets of sample images.
      skipped: images that were left out, and why.
      config, environment: as JSON text.
      sections: further ones, shown after discrimination and calibration.
    """

    title: str
    subtitle: str
    validation: Evaluation
    test: Evaluation
    predictions: Predictions
    counts: Sequence[Sequence[str]]
    history: Sequence[Mapping[str, Any]]
    preprocessing: Figure
    augmentation: Figure
    skipped: Sequence[tuple[str, str]]
    config: str
    environment: Mapping[str, Any]
    sections: Sequence[Section] = ()


def write_report(path: Path, findings: Findings) -> None:
    """Write the page and its figures."""
    write_page(
        path,
        title=findings.title,
        subtitle=findings.subtitle,
        sections=[section for section in _sections(findings) if section is not None],
    )


def _sections(findings: Findings) -> list[Section | None]:
    test = findings.test
    return [
        Section(
            title="Result",
            text=[
                f"On {test.images} test images of {test.patients} patients, {test.positives} "
                "positive. Intervals are 95 %, from resampling patients. An image is called "
                f"positive at a probability of at least {test.threshold:.3f}, the operating point "
                "of largest sensitivity + specificity on the validation images.",
                f"Temperature scaling divides logits by {test.temperature:.3g}, fitted on the "
                "validation images. Operating point, curves and the other numbers are of the "
                "probabilities before it.",
                *cautions(test),
            ],
            table=[
                ("", "test", "validation"),
                *(
                    (
                        NAMES[name],
                        str(test.estimates[name]),
                        str(findings.validation.estimates[name]),
                    )
                    for name in NAMES
                ),
                (
                    "Cross entropy, class-weighted"
                    if findings.predictions.masks is None
                    else "Loss of masks and label",
                    f"{test.loss:.4f}",
                    f"{findings.validation.loss:.4f}",
                ),
            ],
        ),
        Section(title="Confusion at the operating point", table=confusion_table(test)),
        _discrimination(findings),
        *findings.sections,
        Section(title="Images", table=findings.counts, text=_skipped(findings.skipped)),
        Section(
            title="Training",
            figure=("training", training_curves(findings.history)),
            caption="Training loss is measured against smoothed and mixed targets and has a floor "
            "above zero; validation loss against plain labels.",
        )
        if findings.history
        else None,
        Section(
            title="Preprocessing, stage by stage",
            figure=("preprocessing", findings.preprocessing),
            caption="From the film to the network's input.",
        ),
        Section(
            title="Augmentation",
            figure=("augmentation", findings.augmentation),
            caption="Above, each transform at the end of its range; below, as training draws.",
        ),
        Section(title="Config", code=findings.config),
        Section(title="Environment", code=json.dumps(findings.environment, indent=2)),
    ]


def cautions(test: Evaluation) -> list[str]:
    """What a reader must not overlook."""
    auroc: Estimate = test.estimates["auroc"]
    said = [
        f"{NAMES[name]}: {estimate.reason}."
        for name, estimate in test.estimates.items()
        if estimate.reason
    ]
    if auroc.high - auroc.low > _WIDE:
        said.append(
            f"The AUROC's interval, {auroc.low:.2f} to {auroc.high:.2f}, is wide: these images are "
            "too few to tell how good the model is."
        )
    return said


def confusion_table(test: Evaluation) -> list[tuple[str, str, str]]:
    counts = {name: str(count) for name, count in test.confusion.items()}
    return [
        ("", "called positive", "called negative"),
        ("finding present", counts["true_positives"], counts["false_negatives"]),
        ("finding absent", counts["false_positives"], counts["true_negatives"]),
    ]


def _discrimination(findings: Findings) -> Section | None:
    if math.isnan(findings.test.estimates["auroc"].value):
        return None
    return Section(
        title="Discrimination and calibration",
        figure=("discrimination", discrimination_curves(findings.predictions, findings.test)),
        caption="Test images. Dotted: chance, prevalence, perfect calibration.",
    )


def _skipped(skipped: Sequence[tuple[str, str]]) -> list[str]:
    if not skipped:
        return []
    shown = "; ".join(reason for _, reason in skipped[:5])
    more = f"; and {len(skipped) - 5} more" if len(skipped) > 5 else ""
    return [
        f"{len(skipped)} images could not be used and were left out (skipped.csv): {shown}{more}."
    ]
