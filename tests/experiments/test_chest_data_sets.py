"""Miniatures of all chest data sets become the data of a run, by the README's commands."""

import chest_dicom_miniatures
import chest_miniatures
import miniatures
import pytest

from cxr_jax.training.data import load_data
from experiments import cardiomegaly, cli

OPTIONS = {option.flag: option for option in cli.options_of(cardiomegaly.PRESET)}
CASES = {
    "nih": (chest_miniatures.nih, {}),
    "chexpert": (chest_miniatures.chexpert, {}),
    "mimic_cxr": (chest_miniatures.mimic_cxr, {}),
    "padchest": (chest_miniatures.padchest, {}),
    "vindr_cxr": (chest_dicom_miniatures.vindr_cxr, {"readers": "majority"}),
    "rsna_pneumonia": (chest_dicom_miniatures.rsna_pneumonia, {"finding": "Pneumonia"}),
}


@pytest.mark.parametrize("dataset", CASES)
def test_a_miniature_becomes_the_data_of_a_run(dataset, tmp_path):
    make, flags = CASES[dataset]
    make(tmp_path, times=6)
    assert _data_of(dataset, tmp_path, flags).prepared[0].shape == (32, 32, 1)


def test_so_does_siims(tmp_path):
    miniatures.siim(tmp_path, count=10, kind="png")
    _data_of("siim", tmp_path, {"finding": "Pneumothorax"})


def _data_of(dataset, folder, flags):
    given = {"dataset": dataset, "data_dir": str(folder), "image_size": 32, **flags}
    config = cli.make_config(cardiomegaly.PRESET, OPTIONS, given, cardiomegaly.DATASETS)
    data = load_data(config, folder / "cache")
    patients = [
        {r.patient for r in data.records(split)} for split in ("train", "validation", "test")
    ]
    assert all(patients)
    assert sum(map(len, patients)) == len(set.union(*patients))
    return data
