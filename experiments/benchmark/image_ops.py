"""Augmentation and CLAHE, ours and other libraries', side by side: tables in Markdown.

python -m experiments.benchmark.image_ops

All run on the same two cores and the same films and take turns, so that what disturbs the machine
disturbs them alike. `pip install -e '.[benchmark]'` installs the others; those that are missing
are named. It takes some minutes, on Linux.
"""

import os
import platform
import tempfile
import warnings
from pathlib import Path

import jax
import numpy as np

from cxr_jax import datasets
from cxr_jax.augment import AugmentConfig
from cxr_jax.pipeline.decode import decode
from experiments.benchmark.peers import CHAIN, CLAHE, JAX, RANGES, ours
from experiments.benchmark.turns import THREADS, Contestant, processor, table

BATCHES = ((64, 224), (16, 512))
ROTATION_ALONE = AugmentConfig(
    rotation=RANGES.rotation,
    height_shift=0.0,
    width_shift=0.0,
    shear=0.0,
    zoom=0.0,
    brightness=0.0,
    flip=0.0,
)
OPERATIONS = (
    Contestant(name="all operations", packages=JAX, ways=lambda images: ours(RANGES, images)),
    Contestant(
        name="rotation alone", packages=JAX, ways=lambda images: ours(ROTATION_ALONE, images)
    ),
)


def main() -> None:
    """Measure, and print the tables as they come."""
    cores = sorted(os.sched_getaffinity(0))[:THREADS]
    os.sched_setaffinity(0, cores)
    jax.config.update("jax_platforms", "cpu")
    warnings.simplefilter("ignore")
    print(
        f"{processor()}, {len(cores)} cores and threads, Python {platform.python_version()}, "
        f"NumPy {np.__version__}; load when it began {os.getloadavg()[0]:.1f}. "
        "Times ours: the median by ours, and what is asked of it.\n"
    )
    for count, size in BATCHES:
        films = _films(count, size)
        unit = films.astype(np.float32) / 255
        of = f"of {count} images of {size} x {size}"
        for title, contestants, images in (
            (f"Augmentation {of}, float32", CHAIN, unit),
            (f"One geometric operation or all {of}, float32", OPERATIONS, unit),
            (f"CLAHE {of}, uint8 (kornia: float32)", CLAHE, films),
        ):
            print("\n".join(table(title, contestants, images)), end="\n\n", flush=True)


def _films(count: int, size: int) -> np.ndarray:
    """Chest phantoms, uint8 [count, size, size]; 16 different ones."""
    with tempfile.TemporaryDirectory() as folder:
        drawn = datasets.draw("phantom", Path(folder), count=16, seed=0, image_size=size)
        films = [decode(path) for path in sorted((drawn / "images").glob("*.png"))]
    return np.resize(np.stack(films), (count, size, size))


if __name__ == "__main__":
    main()
