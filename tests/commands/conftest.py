"""One tiny run on phantoms, which all commands are tried with."""

from pathlib import Path

import pytest

from cxr_jax import datasets
from cxr_jax.preprocess import PreprocessConfig
from cxr_jax.training import Config, fit

# As in tests/training/test_run.py, whose compiled programs are taken again.
SMALL = {
    "phantom_count": 64,
    "phantom_size": 64,
    "model": "tiny",
    "batch_size": 8,
    "epochs": 2,
    "bootstrap_samples": 50,
    "preprocess": PreprocessConfig(image_size=32),
}


@pytest.fixture(scope="package")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="package")
def run(tmp_path_factory, cache):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return fit(Config(**{**SMALL, "workdir": str(folder), "cache_dir": str(cache)}))


@pytest.fixture(scope="package")
def films(cache) -> Path:
    """The folder of the run's own phantoms: images/*.png and phantoms.csv."""
    return datasets.draw("phantom", cache, count=64, seed=0, image_size=64)
