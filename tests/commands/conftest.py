"""One tiny run on phantoms, which all commands are tried with."""

from pathlib import Path

import pytest
from tiny_run import tiny_config

from cxr_jax import datasets
from cxr_jax.training import fit


@pytest.fixture(scope="package")
def run(tmp_path_factory, cache):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    return fit(tiny_config(folder, cache))


@pytest.fixture(scope="package")
def films(cache) -> Path:
    """The folder of the run's own phantoms: images/*.png and phantoms.csv."""
    return datasets.draw("phantom", cache, count=64, seed=0, image_size=64)
