"""What a run on several data sets reports of each."""

import numpy as np
import pytest
from miniatures import own_folder, siim
from tiny_run import tiny_config

from cxr_jax.by_finding import SplitPredictions
from cxr_jax.evaluation import Predictions, evaluate
from cxr_jax.training.data import load_data
from cxr_jax.training.dataset_outputs import datasets_additions
from cxr_jax.training.outputs import bootstrap_key, evaluate_splits


@pytest.fixture
def run(tmp_path):
    """Config, data, and invented predictions of two data sets that label one finding each."""
    folders = {name: tmp_path / name for name in ("siim", "folder")}
    for folder in folders.values():
        folder.mkdir()
    siim(folders["siim"], count=12)
    own_folder(folders["folder"], count=8)
    config = tiny_config(
        tmp_path / "run",
        tmp_path / "cache",
        dataset=",".join(folders),
        data_dir=",".join(map(str, folders.values())),
        findings=("Nodule", "Pneumothorax"),
    )
    data = load_data(config, tmp_path / "cache")
    predictions = {split: invented(data, split) for split in ("validation", "test")}
    return config, data, predictions


def invented(data, split):
    records = data.records(split)
    rng = np.random.default_rng(0)
    return SplitPredictions(
        findings={
            finding: Predictions(
                images=tuple(record.image for record in records),
                patients=tuple(record.patient for record in records),
                labels=labels,
                probabilities=rng.random(len(records)),
                losses=np.zeros(len(records)),
            )
            for finding, labels in zip(
                data.findings, data.labels[data.indices(split)].T, strict=True
            )
        }
    )


def test_each_data_set_has_the_numbers_of_its_own_images(run):
    config, data, predictions = run
    _, test = evaluate_splits(predictions, config)
    (addition,) = datasets_additions(config, data, predictions["test"], test)
    assert list(addition.numbers) == ["siim", "folder"]
    labelled = {"siim": "Pneumothorax", "folder": "Nodule"}
    for name, numbers in addition.numbers.items():
        whole = predictions["test"].findings[labelled[name]]
        own = [image.startswith(name) for image in whole.images]
        found = numbers["findings"][labelled[name]]
        assert found["images"] == sum(own)
        # Nobody but the data set itself labels its finding, so all its images are its own.
        alone = evaluate(
            whole,
            threshold=found["threshold"],
            temperature=found["temperature"],
            key=bootstrap_key(config),
            samples=config.bootstrap_samples,
        )
        assert found["confusion"] == alone.confusion
        assert found["estimates"]["auroc"]["value"] == alone.estimates["auroc"].value
    assert [line for line, _ in addition.summary] == ["mean AUROC, siim", "mean AUROC, folder"]
    rows = addition.section().table
    assert [row[:2] for row in rows[1:]] == [("siim", "Pneumothorax"), ("folder", "Nodule")]


def test_one_data_set_alone_is_not_divided(run):
    config, data, predictions = run
    alone = tiny_config("run", "cache", dataset="siim", data_dir="a", findings=config.findings)
    _, test = evaluate_splits(predictions, config)
    assert datasets_additions(alone, data, predictions["test"], test) == []
