"""What a project takes in with a loss, a metric or an augmentation of this one."""

import subprocess
import sys

import pytest

HEAVY = {
    "cv2",
    "flax",
    "grain",
    "matplotlib",
    "orbax",
    "sklearn",
    "tensorboardX",
    "tensorflow_datasets",
}


@pytest.mark.smoke
def test_the_functional_modules_import_no_heavy_library():
    names = [
        "augment",
        "clahe",
        "device_preprocess",
        "geometry",
        "labels",
        "losses",
        "metrics",
        "mixup",
        "optim",
    ]
    code = (
        "import sys; "
        + "; ".join(f"import cxr_jax.{name}" for name in names)
        + "; print(*{name.split('.')[0] for name in sys.modules})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(run.stdout.split())
