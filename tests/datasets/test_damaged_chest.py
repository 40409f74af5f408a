"""Damaged tables of chest data sets end in one clear error."""

import os

import chest_dicom_miniatures
import chest_miniatures
import numpy as np
import pytest
from mutations import mutate

from cxr_jax import datasets
from cxr_jax.datasets.reader_config import ReaderConfig
from cxr_jax.errors import DataError

COUNT = int(os.environ.get("CXR_JAX_FUZZ", "30"))
TABLES = ("*.csv", "*.csv.gz", "*/*.csv", "*.json", "*.txt")
MINIATURES = {
    "nih": chest_miniatures.nih,
    "chexpert": chest_miniatures.chexpert,
    "mimic_cxr": chest_miniatures.mimic_cxr,
    "padchest": chest_miniatures.padchest,
    "vindr_cxr": lambda folder: chest_dicom_miniatures.vindr_cxr(folder, layout="physionet"),
    "rsna_pneumonia": chest_dicom_miniatures.rsna_pneumonia,
}


@pytest.mark.parametrize("name", MINIATURES)
def test_a_damaged_table_is_refused_or_read(name, tmp_path):
    MINIATURES[name](tmp_path)
    files = sorted(path for pattern in TABLES for path in tmp_path.glob(pattern))
    rng = np.random.default_rng(0)
    refused = []
    for at in range(COUNT):
        path = files[at % len(files)]
        whole = path.read_bytes()
        path.write_bytes(mutate(rng, whole))
        try:
            datasets.read(name, tmp_path, ReaderConfig(nih_labels=("mined", "expert")[at % 2]))
        except DataError as error:
            refused.append(str(error))
        path.write_bytes(whole)
    assert len(refused) > COUNT / 10
    assert all(str(tmp_path) in message and "\n" not in message for message in refused)
