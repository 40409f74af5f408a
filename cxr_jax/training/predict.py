"""Predict a whole split, batch by batch."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from cxr_jax.evaluation import Predictions
from cxr_jax.pipeline.record import Record
from cxr_jax.training.parallel import HostBatch, Predict
from cxr_jax.training.state import Tree


def predict(
    predict_batch: Predict,
    variables: Mapping[str, Tree],
    batches: Iterable[HostBatch],
    records: Sequence[Record],
) -> Predictions:
    """Predict a split whose last batch may be padded with images of weight 0.

    Args:
      predict_batch: of `parallel.make_predict`.
      batches: one pass over the split, in the order of `records`.
    """
    rows: dict[str, list[np.ndarray]] = {"label": [], "probability": [], "loss": []}
    for batch in batches:
        real = batch["weight"] > 0
        out = predict_batch(variables, {name: batch[name] for name in ("image", "label")})
        rows["label"].append(batch["label"][real, 0])
        rows["probability"].append(out["probability"][real, 0])
        rows["loss"].append(out["loss"][real])
    label, probability, loss = (np.concatenate(part).astype(np.float64) for part in rows.values())
    return Predictions(
        images=tuple(record.image for record in records),
        patients=tuple(record.patient for record in records),
        labels=label,
        probabilities=probability,
        losses=loss,
    )
