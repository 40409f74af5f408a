"""The cardiothoracic ratio: measured where it can be checked, and absent elsewhere."""

import csv
import dataclasses
import json

import numpy as np
import pytest

from cxr_jax.datasets import nih
from cxr_jax.evaluation import MaskPredictions
from cxr_jax.pipeline.prepare import Prepared
from cxr_jax.pipeline.store import ImageStore
from cxr_jax.preprocess import PreprocessConfig
from cxr_jax.training import Config, fit
from cxr_jax.training.data import RunData
from cxr_jax.training.mask_config import RatioConfig
from cxr_jax.training.ratio import measure, measure_ratio

TINY = Config(
    model="tiny",
    preprocess=PreprocessConfig(image_size=32),
    class_weights=(0.9, 1.1),  # the classifier's program is that of tiny_run
    batch_size=8,
    epochs=2,
    bootstrap_samples=20,
    ratio=RatioConfig(epochs=1),
)


def test_the_ratio_is_measured_in_probabilities():
    drawn = np.zeros((2, 20, 20, 2), np.uint8)
    drawn[0, 8:14, 7:13, 0] = 255  # a heart 6 wide …
    drawn[0, 2:16, 2:7, 1] = drawn[0, 2:16, 13:18, 1] = 255  # … between lungs 16 wide
    outlines = MaskPredictions(
        names=("heart", "lungs"),
        dice=np.ones((2, 2)),
        present=np.ones((2, 2), bool),
        probabilities=drawn,
    )
    ratio, missing = measure(outlines)
    assert ratio == pytest.approx(6 / 16, abs=0.01)
    assert np.isnan(missing)


def test_phantoms_give_a_ratio_with_its_error(tmp_path, cache):
    run = fit(
        dataclasses.replace(
            TINY,
            phantom_count=64,
            phantom_size=64,
            workdir=str(tmp_path / "run"),
            cache_dir=str(cache),
        )
    )
    with (run.workdir / "cardiothoracic_ratio.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == list(
        run.predictions["test"].findings["Cardiomegaly"].images
    )
    errors = [abs(float(row["measured"]) - float(row["true"])) for row in rows if row["measured"]]
    numbers = json.loads((run.workdir / "evaluation.json").read_text())["cardiothoracic_ratio"]
    assert numbers["not_found"] == len(rows) - len(errors)
    if errors:
        assert numbers["mean_absolute_error"]["value"] == pytest.approx(np.mean(errors), abs=1e-3)
    assert "Mean absolute error on the test images" in (run.workdir / "report.html").read_text()
    assert (run.workdir / "ratio/report.html").is_file()


def test_without_masks_the_ratio_is_absent_and_the_report_says_why(nih_sample):
    records = tuple(nih.read(nih_sample))
    prepared = Prepared(
        images=ImageStore(nih_sample), records=records, kept=np.arange(len(records)), skipped=()
    )
    labels = np.zeros((len(records), 1))
    data = RunData(
        prepared=prepared,
        findings=("Cardiomegaly",),
        labels=labels,
        splits=("test",) * len(records),
    )
    config = dataclasses.replace(TINY, dataset="nih", data_dir=str(nih_sample))
    absent = measure_ratio(config, data, lambda: False)
    assert absent.numbers is None
    assert absent.section is not None
    (said,) = absent.section().text
    assert said.startswith("Not shown: data set nih has no masks of heart and lungs")
    assert "absent" in absent.summary[0][1]
