"""Damaged tables, lists, outlines and TFDS files end in one clear error."""

import os

import chest_dicom_miniatures
import chest_miniatures
import miniatures_breast
import miniatures_tfds
import numpy as np
import pytest
from mutations import mutate

from cxr_jax import datasets
from cxr_jax.datasets.reader_config import ReaderConfig
from cxr_jax.errors import DataError

COUNT = int(os.environ.get("CXR_JAX_FUZZ", "30"))
TABLES = ("*.csv", "*.csv.gz", "*/*.csv", "*.json", "*.txt")
MINIATURES = {
    "nih": (chest_miniatures.nih, *TABLES),
    "chexpert": (chest_miniatures.chexpert, *TABLES),
    "mimic_cxr": (chest_miniatures.mimic_cxr, *TABLES),
    "padchest": (chest_miniatures.padchest, *TABLES),
    "vindr_cxr": (
        lambda folder: chest_dicom_miniatures.vindr_cxr(folder, layout="physionet"),
        *TABLES,
    ),
    "rsna_pneumonia": (chest_dicom_miniatures.rsna_pneumonia, *TABLES),
    "inbreast": (miniatures_breast.inbreast, "*.csv", "AllXML/*.xml"),
    "vindr_mammo": (miniatures_breast.vindr_mammo, "*.csv"),
    "rsna_breast": (miniatures_breast.rsna_breast, "*.csv"),
    "csv": (miniatures_breast.own_csv, "*.csv"),
    "tfds:chexpert": (miniatures_tfds.chexpert, "chexpert/*/*"),
}


@pytest.mark.parametrize("name", MINIATURES)
def test_a_damaged_file_is_refused_or_read(name, tmp_path):
    make, *patterns = MINIATURES[name]
    make(tmp_path)
    files = sorted(path for pattern in patterns for path in tmp_path.glob(pattern))
    rng = np.random.default_rng(0)
    refused = []
    for at in range(COUNT):
        path = files[at % len(files)]
        whole = path.read_bytes()
        path.write_bytes(mutate(rng, whole))
        options = ReaderConfig(nih_labels=("mined", "expert")[at % 2])
        try:
            datasets.read(name, tmp_path, options, cache_dir=tmp_path / f"cache{at}")
        except DataError as error:
            refused.append(str(error))
        path.write_bytes(whole)
    assert len(refused) > COUNT / 10
    assert all(str(tmp_path) in message and "\n" not in message for message in refused)
