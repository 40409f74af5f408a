"""Miniatures of all breast data sets, and of own tables, become the data of a run."""

import miniatures_breast
import miniatures_tfds
import pytest

from cxr_jax.training.data import load_data
from experiments import cli, mammography

OPTIONS = {option.flag: option for option in cli.options_of(mammography.PRESET)}
MINIATURES = {
    "inbreast": lambda folder: miniatures_breast.inbreast(folder, count=24),
    "vindr_mammo": lambda folder: miniatures_breast.vindr_mammo(folder, studies=12),
    "rsna_breast": lambda folder: miniatures_breast.rsna_breast(folder, patients=18),
    "csv": lambda folder: miniatures_breast.own_csv(folder, count=12),
    "tfds:curated_breast_imaging_ddsm/original-mass": miniatures_tfds.original_mass,
    "tfds:curated_breast_imaging_ddsm/patches": miniatures_tfds.patches,
}


@pytest.mark.parametrize("dataset", MINIATURES)
def test_a_miniature_becomes_the_data_of_a_run(dataset, tmp_path):
    MINIATURES[dataset](tmp_path)
    given = {"dataset": dataset, "data_dir": str(tmp_path), "image_size": 32}
    given |= {"finding": "Effusion"} if dataset == "csv" else {}
    config = cli.make_config(mammography.PRESET, OPTIONS, given, mammography.DATASETS)
    data = load_data(config, tmp_path / "cache")
    counts = {split: (images, patients) for split, images, patients, _ in data.counts()}
    assert all(images for images, _ in counts.values())
    patients = {split: {r.patient for r in data.records(split)} for split in counts}
    assert sum(map(len, patients.values())) == len(set.union(*patients.values()))
    assert data.prepared[0].shape == (32, 32, 1)
