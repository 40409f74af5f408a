"""A split is predicted in order, whatever its last batch is filled up with."""

import math
from pathlib import Path

import numpy as np
import pytest

from cxr_jax.pipeline.record import Record
from cxr_jax.training.predict import predict

RECORDS = [Record(image=f"{i}.png", path=Path(), patient=f"{i}") for i in range(5)]


def batches():
    """Five images in batches of three: the grey level is the number of the image."""
    for numbers in ([0, 1, 2], [3, 4, 4]):
        yield {
            "image": np.full((3, 2, 2, 1), np.reshape(numbers, (3, 1, 1, 1)), np.uint8),
            "label": np.reshape(np.float32(numbers), (3, 1)) % 2,
            "weight": np.float32([1, 1, numbers[1] != numbers[2]]),
        }


def by_grey_level(variables, batch):
    level = batch["image"][:, 0, 0].astype(np.float32)
    return {"probability": level / variables["of"], "loss": level[:, 0]}


def test_padding_is_left_out():
    got = predict(by_grey_level, {"of": 10.0}, batches(), RECORDS, findings=["Mass"])
    (one,) = got.findings.values()
    assert one.images == tuple(record.image for record in RECORDS)
    np.testing.assert_allclose(one.probabilities, [0, 0.1, 0.2, 0.3, 0.4], rtol=1e-6)
    np.testing.assert_array_equal(one.labels, [0, 1, 0, 1, 0])
    assert got.loss == pytest.approx(2.0)


def test_a_loss_that_needs_masks_which_are_not_there_is_nan():
    def without_loss(variables, batch):
        return {"probability": by_grey_level(variables, batch)["probability"]}

    got = predict(without_loss, {"of": 10.0}, batches(), RECORDS, findings=["Mass"])
    assert math.isnan(got.loss)
    assert got.auroc == pytest.approx(0.5)
