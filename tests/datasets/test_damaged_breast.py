"""Damaged tables, outlines and TFDS files end in one clear error."""

import os

import miniatures_breast
import miniatures_tfds
import numpy as np
import pytest
from mutations import mutate

from cxr_jax import datasets
from cxr_jax.errors import DataError

COUNT = int(os.environ.get("CXR_JAX_FUZZ", "30"))
MINIATURES = {
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
        try:
            datasets.read(name, tmp_path, cache_dir=tmp_path / f"cache{at}")
        except DataError as error:
            refused.append(str(error))
        path.write_bytes(whole)
    assert len(refused) > COUNT / 10
    assert all(str(tmp_path) in message and "\n" not in message for message in refused)
