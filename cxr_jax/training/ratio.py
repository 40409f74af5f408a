"""The cardiothoracic ratio beside a classifier: outline heart and lungs, measure, compare.

It is measured only where the network that outlines them was trained on masks of the same data set,
and checked on test images: a number that nobody validated is not shown.
"""

import csv
import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import jax
import numpy as np

from cxr_jax.cardiothoracic import cardiothoracic_ratio
from cxr_jax.errors import TrainingError
from cxr_jax.evaluation import MaskPredictions, estimate_mean
from cxr_jax.pipeline.record import Record
from cxr_jax.training import console, workdir
from cxr_jax.training.config import Config
from cxr_jax.training.data import RunData
from cxr_jax.training.mask_config import SegmentationConfig
from cxr_jax.training.outputs import Addition, bootstrap_key
from cxr_jax.training.pretrained_config import PretrainedConfig
from cxr_jax.training.run import fit_one

if TYPE_CHECKING:
    from cxr_jax.reporting.page import Section

STRUCTURES = ("heart", "lungs")
MEASUREMENT = "cardiothoracic_ratio"


def measure_ratio(config: Config, data: RunData, interrupted: Callable[[], bool]) -> Addition:
    """Train the outlines on the run's own splits, and measure the ratio of its test images.

    Writes `cardiothoracic_ratio.csv` and the run of the outlining network, `ratio/`, into the run's
    directory.

    Args:
      config: of the run, its workdir set.
      data: the run's.
      interrupted: as for `fit`.

    Returns:
      What to report; where the ratio cannot be validated, the reason.
    """
    reason = _cannot(config, data)
    if reason:
        return Addition(
            name="cardiothoracic_ratio",
            numbers=None,
            summary=[("heart/thorax ratio", f"absent: {reason}")],
            section=lambda: _absent(reason),
        )
    folder = Path(str(config.workdir))
    console.say("\ncardiothoracic ratio: training the outlines of heart and lungs")
    try:
        outlining = workdir.as_part(_outlining(config), folder / "ratio")
        run = fit_one(outlining, interrupted=interrupted)
    except TrainingError as error:
        raise TrainingError(
            f"outlines of heart and lungs: {error} (theirs are --ratio_lr and --ratio_epochs; "
            "--nocardiothoracic_ratio goes without)"
        ) from error
    masks = run.predictions["test"].masks
    assert masks is not None
    measured = np.array(measure(masks))
    return _report(config, folder, data.records("test"), measured)


def measure(masks: MaskPredictions) -> list[float]:
    """The ratio of every image, NaN where heart or lungs were not found."""
    assert masks.probabilities is not None
    return [
        cardiothoracic_ratio(*np.moveaxis(drawn / 255.0, -1, 0)) for drawn in masks.probabilities
    ]


def _cannot(config: Config, data: RunData) -> str:
    """Why the ratio would be a number that nobody validated; "" where it would not."""
    records = data.prepared.records
    if not all(name in record.masks for record in records for name in STRUCTURES):
        return f"data set {config.dataset} has no masks of heart and lungs to learn it from"
    if not all(MEASUREMENT in record.measurements for record in records):
        return f"data set {config.dataset} has no measured ratio to check it against"
    return ""


def _outlining(config: Config) -> Config:
    """The run of the network that outlines heart and lungs, on the same images and splits."""
    ratio = config.ratio
    assert ratio is not None
    return dataclasses.replace(
        config,
        ratio=None,
        init_from=None,
        pretrained=PretrainedConfig(),
        segmentation=SegmentationConfig(masks=STRUCTURES),
        model=ratio.model,
        growth_rate=None,
        compression=None,
        dropout=0.0,
        epochs=ratio.epochs,
        lr=ratio.lr,
        mixup_alpha=0.0,  # half of a heart here and half of another there has no outline
        max_steps=None,
        patience=0,
    )


def _report(
    config: Config, folder: Path, records: Sequence[Record], measured: np.ndarray
) -> Addition:
    true = np.array([record.measurements[MEASUREMENT] for record in records])
    found = ~np.isnan(measured)
    error = estimate_mean(
        np.abs(measured - true)[found],
        [record.patient for record, there in zip(records, found, strict=True) if there],
        key=bootstrap_key(config),
        samples=config.bootstrap_samples,
    )
    if jax.process_index() == 0:
        _write(folder / "cardiothoracic_ratio.csv", records, measured, true)
    missing = int((~found).sum())

    def section() -> "Section":
        from cxr_jax.reporting.ratio import ratio_section

        return ratio_section(measured, true, error)

    return Addition(
        name="cardiothoracic_ratio",
        numbers={"mean_absolute_error": dataclasses.asdict(error), "not_found": missing},
        summary=[("heart/thorax ratio", f"mean absolute error {error}")],
        section=section,
    )


def _write(path: Path, records: Sequence[Record], measured: np.ndarray, true: np.ndarray) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("image", "patient", "measured", "true"))
        for record, ratio, reference in zip(records, measured, true, strict=True):
            shown = "" if math.isnan(ratio) else f"{ratio:.4f}"
            table.writerow((record.image, record.patient, shown, f"{reference:.4f}"))


def _absent(reason: str) -> "Section":
    from cxr_jax.reporting.page import Section

    return Section(
        title="Cardiothoracic ratio",
        text=[f"Not shown: {reason}. A ratio that nobody could validate would only look exact."],
    )
