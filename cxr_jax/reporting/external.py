"""The page of an external validation: a run on data that it was not made from."""

import math
from collections.abc import Mapping
from pathlib import Path

from cxr_jax.evaluation import Evaluation, Predictions
from cxr_jax.reporting.curves import discrimination_curves
from cxr_jax.reporting.page import Section, write_page
from cxr_jax.reporting.report import NAMES, cautions, confusion_table


def write_external_report(
    path: Path,
    *,
    title: str,
    asked: Mapping[str, str],
    predictions: Predictions,
    evaluation: Evaluation,
) -> None:
    """Write the page and its figures.

    Args:
      asked: what was evaluated on what, for the table at the end.
      predictions, evaluation: of the other data set.
    """
    sections = [
        Section(
            title="Result",
            text=[
                f"On {evaluation.images} images of {evaluation.patients} patients, "
                f"{evaluation.positives} positive. Intervals are 95 %, from resampling patients. "
                f"An image is called positive at a probability of at least "
                f"{evaluation.threshold:.3f}, the operating point of the run's own validation "
                "images, whose temperature scaling, "
                f"{evaluation.temperature:.3g}, is taken too.",
                *cautions(evaluation),
            ],
            table=[
                ("", "value"),
                *((name, str(evaluation.estimates[key])) for key, name in NAMES.items()),
            ],
        ),
        Section(title="Confusion at the operating point", table=confusion_table(evaluation)),
    ]
    if not math.isnan(evaluation.estimates["auroc"].value):
        figure = discrimination_curves(predictions, evaluation)
        sections.append(
            Section(
                title="Discrimination and calibration",
                figure=("discrimination", figure),
                caption="Dotted: chance, prevalence, perfect calibration.",
            )
        )
    sections.append(Section(title="What was asked", table=[("", ""), *asked.items()]))
    write_page(path, title=title, subtitle="external validation", sections=sections)
