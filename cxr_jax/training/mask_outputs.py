"""What a run that draws masks writes of them: Dice, run lengths for a submission, a section."""

import csv
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import jax
import numpy as np

from cxr_jax.by_finding import SplitPredictions
from cxr_jax.evaluation import Estimate, MaskPredictions, Predictions, estimate_mean
from cxr_jax.mask_rule import MaskRule
from cxr_jax.pipeline.decode import decode
from cxr_jax.pipeline.record import Record
from cxr_jax.pipeline.rle import encode_rle
from cxr_jax.placement import restore_mask
from cxr_jax.preprocess import is_mirrored
from cxr_jax.training.config import Config
from cxr_jax.training.data import RunData
from cxr_jax.training.outputs import Addition, bootstrap_key

if TYPE_CHECKING:
    from cxr_jax.reporting.page import Section


def masks_addition(
    folder: Path, config: Config, data: RunData, predictions: Mapping[str, SplitPredictions]
) -> list[Addition]:
    """Write `masks_test.csv` and `submission.csv` of a run that draws masks; of another nothing."""
    test = predictions["test"]
    if test.masks is None or config.segmentation is None:
        return []
    masks, rule = test.masks, config.segmentation.rule
    images = test.findings[config.finding]
    if jax.process_index() == 0:
        _write_dice(folder / "masks_test.csv", images, masks)
        records = data.records("test")
        write_submission(folder / "submission.csv", records, masks, rule, config)
    estimates = mask_estimates(images, masks, config)

    def section() -> "Section":
        from cxr_jax.reporting.masks import masks_section

        indices = data.indices("test")
        return masks_section(
            estimates,
            masks,
            lambda at: data.prepared.images.example(indices[at]),
            images.images,
            rule,
        )

    return [
        Addition(
            name="masks",
            numbers={name: dataclasses.asdict(estimate) for name, estimate in estimates.items()},
            summary=[(f"Dice, {name}", str(estimate)) for name, estimate in estimates.items()],
            section=section,
        )
    ]


def mask_estimates(
    test: Predictions, masks: MaskPredictions, config: Config
) -> dict[str, Estimate]:
    """Mean Dice of each mask: over all images, as SIIM-ACR scores it, and where there is one."""
    patients = np.asarray(test.patients)
    estimates = {}
    for at, name in enumerate(masks.names):
        for which, of in (
            ("all images", np.full(len(patients), True)),
            ("non-empty masks", masks.present[:, at]),
        ):
            estimates[f"{name}, {which}"] = estimate_mean(
                masks.dice[of, at],
                patients[of].tolist(),
                key=bootstrap_key(config),
                samples=config.bootstrap_samples,
            )
    return estimates


def _write_dice(path: Path, test: Predictions, masks: MaskPredictions) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("image", "patient", "mask", "present", "dice"))
        for image, patient, present, dice in zip(
            test.images, test.patients, masks.present, masks.dice, strict=True
        ):
            for name, there, value in zip(masks.names, present, dice, strict=True):
                table.writerow((image, patient, name, int(there), f"{value:.6f}"))


def write_submission(
    path: Path,
    records: Sequence[Record],
    masks: MaskPredictions,
    rule: MaskRule,
    config: Config,
) -> None:
    """Write the first mask of every image as SIIM-ACR wants it: ImageId, EncodedPixels.

    Run lengths are in the pixels of the film as it was decoded; -1 is no mask.
    """
    assert masks.probabilities is not None
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("ImageId", "EncodedPixels"))
        for record, drawn in zip(records, masks.probabilities[..., 0], strict=True):
            probability = (drawn / 255.0).astype(np.float32)
            if not rule.decide(probability).any():
                table.writerow((record.image, "-1"))
                continue
            film = decode(record.path, config.decode, bit_depth=record.bit_depth)
            mirrored = is_mirrored(film, config.preprocess)
            whole = restore_mask(probability, config.preprocess, film.shape, mirrored=mirrored)
            table.writerow((record.image, encode_rle(whole >= rule.floor)))
