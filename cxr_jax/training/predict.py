"""Predict a whole split, batch by batch."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from cxr_jax import metrics
from cxr_jax.by_finding import SplitPredictions
from cxr_jax.evaluation import MaskPredictions, Predictions
from cxr_jax.mask_rule import MaskRule
from cxr_jax.pipeline.record import Record
from cxr_jax.training.parallel import HostBatch, Predict
from cxr_jax.training.state import Tree


def predict(
    predict_batch: Predict,
    variables: Mapping[str, Tree],
    batches: Iterable[HostBatch],
    records: Sequence[Record],
    *,
    findings: Sequence[str],
    masks: Sequence[str] = (),
    rule: MaskRule | None = None,
    keep_masks: bool = False,
) -> SplitPredictions:
    """Predict a split whose last batch may be padded with images of weight 0.

    Args:
      predict_batch: of `parallel.make_predict`.
      batches: one pass over the split, in the order of `records`.
      findings: names of the columns of labels and probabilities.
      masks: names of the masks that the network draws, which the batches then bring too.
      rule: decides them; needed with masks.
      keep_masks: whether to keep the pixels' probabilities, a byte each.
    """
    rows: dict[str, list[np.ndarray]] = {"label": [], "probability": [], "loss": []}
    judged: dict[str, list[np.ndarray]] = {"dice": [], "present": [], "probabilities": []}
    for batch in batches:
        real = batch["weight"] > 0
        given = {name: batch[name] for name in ("image", "label", "mask") if name in batch}
        out = predict_batch(variables, given)
        rows["label"].append(batch["label"][real])
        rows["probability"].append(out["probability"][real])
        without = np.full(real.shape, np.nan, np.float32)  # the loss needs masks that are not there
        rows["loss"].append(out.get("loss", without)[real].reshape(-1, len(findings)))
        if rule is not None:
            drawn = np.round(255 * out["mask"][real]).astype(np.uint8)
            judged["dice"].append(_dice(drawn, batch["mask"][real], rule))
            judged["present"].append(np.any(batch["mask"][real], axis=(1, 2)))
            judged["probabilities"].append(drawn if keep_masks else drawn[:0])
    columns = [np.concatenate(part).astype(np.float64).T for part in rows.values()]
    mask_predictions = None
    if rule is not None:
        dice, present, probabilities = (np.concatenate(part) for part in judged.values())
        mask_predictions = MaskPredictions(
            names=tuple(masks),
            dice=dice,
            present=present,
            probabilities=probabilities if keep_masks else None,
        )
    images = tuple(record.image for record in records)
    patients = tuple(record.patient for record in records)
    predictions = {
        finding: Predictions(
            images=images, patients=patients, labels=label, probabilities=probability, losses=loss
        )
        for finding, label, probability, loss in zip(findings, *columns, strict=True)
    }
    return SplitPredictions(findings=predictions, masks=mask_predictions)


def _dice(drawn: np.ndarray, true: np.ndarray, rule: MaskRule) -> np.ndarray:
    """Dice of every image's masks, [image, mask]."""
    decided = rule.decide(np.moveaxis(drawn, -1, 1) / 255.0)
    pairs = zip(decided, np.moveaxis(true, -1, 1), strict=True)
    return np.array([[metrics.dice(*pair) for pair in zip(*image, strict=True)] for image in pairs])
