"""The report of a run: what was asked, how well it is answered, by what, from what."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from cxr_jax.by_finding import SplitEvaluation, SplitPredictions
from cxr_jax.reporting.curves import training_curves
from cxr_jax.reporting.page import Section, write_page
from cxr_jax.reporting.results import result_sections


@dataclasses.dataclass(frozen=True, kw_only=True)
class Findings:
    """What a report is made of.

    Attributes:
      title, subtitle: of the page.
      validation, test: numbers of the two splits.
      predictions: of the test split.
      counts: rows of the table of splits: split, images, patients, images with a finding.
      history: one row an epoch.
      preprocessing, augmentation: sheets of sample images.
      skipped: images that were left out, and why.
      config, environment: as JSON text.
      sections: further ones, shown after discrimination and calibration.
    """

    title: str
    subtitle: str
    validation: SplitEvaluation
    test: SplitEvaluation
    predictions: SplitPredictions
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
    has_masks = findings.predictions.masks is not None
    return [
        *result_sections(
            {"test": findings.test, "validation": findings.validation},
            findings.predictions,
            chosen="on the validation images, as that of largest sensitivity + specificity",
            loss="Loss of masks and label" if has_masks else "Cross entropy, class-weighted",
        ),
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


def _skipped(skipped: Sequence[tuple[str, str]]) -> list[str]:
    if not skipped:
        return []
    shown = "; ".join(reason for _, reason in skipped[:5])
    more = f"; and {len(skipped) - 5} more" if len(skipped) > 5 else ""
    return [
        f"{len(skipped)} images could not be used and were left out (skipped.csv): {shown}{more}."
    ]
