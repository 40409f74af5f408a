"""Type and shape annotations are enforced while tests run, and only then."""

import os
import tempfile
from pathlib import Path

import jax
import pytest
from jaxtyping import install_import_hook

jax.config.update("jax_num_cpu_devices", 8)

# What one test compiled, drew or prepared, another need not, in whichever process it runs.
if "CXR_JAX_TESTS_CACHE" not in os.environ:
    _cache = tempfile.TemporaryDirectory(prefix="cxr-jax-tests-")
    os.environ["CXR_JAX_TESTS_CACHE"] = _cache.name
CACHE = Path(os.environ["CXR_JAX_TESTS_CACHE"])
jax.config.update("jax_compilation_cache_dir", str(CACHE / "compiled"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)

install_import_hook("cxr_jax", "beartype.beartype")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole runs, the longest files, come first, so that processes that share them end together."""
    items.sort(key=lambda item: not {"training", "commands"} & set(item.path.parts))


@pytest.fixture(scope="session")
def cache() -> Path:
    """Of whole runs: their phantoms, prepared images and compiled programs."""
    return CACHE


@pytest.fixture(scope="session")
def nih_sample() -> Path:
    """The folder of 122 real radiographs; skips where it is not there, fails where promised."""
    promised = os.environ.get("CXR_JAX_NIH_SAMPLE")
    folder = Path(promised or Path(__file__).parents[2] / "shared/data/nih_sample")
    if not (folder / "Data_Entry_2017.csv").is_file():
        if promised:
            pytest.fail(f"CXR_JAX_NIH_SAMPLE={promised} holds no Data_Entry_2017.csv")
        pytest.skip("the NIH sample is not here; set CXR_JAX_NIH_SAMPLE to its folder")
    return folder
